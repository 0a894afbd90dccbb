// What one real node has, as the agent declares it. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "schema/types_generated.h"

namespace reeve::agent {

struct NodeDevice {
  std::string uuid;
  std::string model;
  std::uint64_t memory_bytes = 0;
  std::int16_t numa_node = -1;
  std::vector<std::string> paths;  // below /dev, for a task that is granted it
  // To each device of the node; empty: not known.
  std::vector<schema::DeviceLink> links = {};
  std::string mig_of = {};  // the uuid of the device that it is a part of
};

struct Node {
  std::string name;
  std::string group;  // empty: the default one
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<NodeDevice> devices;
  // The driver has not answered yet: what it has is told later (GpuWatch).
  bool gpus_awaited = false;
  // For a task that is granted any device.
  std::vector<std::string> common_device_paths;
  // The library that holds a task to its share of a GPU; empty: this host has
  // none, and gives GPUs whole.
  std::string share_library;
  // The program that tests and clears GPUs; empty: this host cannot.
  std::string gpu_probe = {};
  // The pipes of the MPS that shares of whole GPUs go through; empty: none.
  std::string mps_directory = {};
  std::vector<std::string> limits;  // what it does not give, as sentences
  // Of these, what a node with any GPUs tells: of the tools that give them to
  // containers, of its settings.
  std::vector<std::string> gpu_limits = {};
  std::vector<std::pair<std::string, std::string>> labels;
};

}  // namespace reeve::agent

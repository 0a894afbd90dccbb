// What this host has to offer. Reads the system and asks the GPU driver, so it
// may take a second.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "actors/agent/node.hpp"
#include "cluster/error.hpp"
#include "gpu/inventory.hpp"

namespace reeve::agent {

struct HostOptions {
  std::string name;                          // empty: the host's name
  std::string group;                         // empty: the default one
  std::uint32_t cpu_milli = 0;               // 0: all that the host has
  std::uint64_t memory_bytes = 0;            // 0: all that the host has
  std::string gpu_probe = {};                // empty: beside this program
  std::string mps_directory = {};            // of the site's MPS; empty: none
  std::vector<std::string> gpu_limits = {};  // of a node with GPUs
  gpu::Sources gpu_sources = {};
  // A start does not wait longer for the driver, lest the node be lost
  // meanwhile; without any driver it does not wait at all.
  std::chrono::milliseconds gpus_within{5'000};
};

// Of this host: what the settings say, or else the host's own.
Expected<std::string> node_name(const std::string& configured);

// What is wrong with a device is in `limits`. A host without a GPU driver has
// no devices, nor has one whose driver does not answer in time: `gpus_awaited`.
Expected<Node> read_host(const HostOptions& options);

// In the place of the GPUs that the node had, with all that is particular to a
// node with GPUs. `limits` become those that these bring about. `gpu_probe` and
// `mps_directory` as in HostOptions.
void set_gpus(const gpu::Inventory& found, const std::string& gpu_probe,
              const std::string& mps_directory, Node& node);

// The device files there are that a program needs with any GPU.
std::vector<std::string> common_device_paths();

// The path of the keeper's program: beside that of this process.
Expected<std::string> keeper_program();

// The path of the program that tests GPUs and clears them, `wanted` or beside
// this one. `not_found` where there is none, or no CUDA for it.
Expected<std::string> probe_program(const std::string& wanted);

// The path of the library that holds tasks to their shares of GPUs: in the
// directory of the programs, or in lib beside that. `not_found` where there is
// none that all users can read.
Expected<std::string> share_library(const std::string& programs);

}  // namespace reeve::agent

// The GPUs of this host, asked of the driver through NVML, which is loaded at
// run time: a host without a driver simply has none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reeve::gpu {

struct Device {
  std::string uuid;   // "GPU-..."
  std::string model;  // "NVIDIA H200"
  std::uint64_t memory_bytes = 0;
  std::uint32_t minor = 0;      // of /dev/nvidia<minor>
  std::int16_t numa_node = -1;  // -1: not known
  std::string pci_bus;          // "0000:1b:00.0"
};

struct Inventory {
  std::vector<Device> devices;
  std::string driver_version;  // empty: no driver
  // Why there are no devices, in one sentence; empty when there are.
  std::string why_none;
  // What keeps a present device from being offered, one sentence each.
  std::vector<std::string> problems;
};

struct Sources {
  std::string library = "libnvidia-ml.so.1";  // as dlopen takes it
  std::string pci_devices = "/sys/bus/pci/devices";
};

// Loads the library and lets it go again. Devices in MIG mode are left out
// with a sentence: as a whole they run nothing.
Inventory read_inventory(const Sources& sources = {});

}  // namespace reeve::gpu

// The GPUs of this host, asked of the driver through NVML, which is loaded at
// run time: a host without a driver simply has none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/connection.hpp"

namespace reeve::gpu {

// One compute instance of a device that is cut by MIG.
struct MigInstance {
  std::string uuid;     // "MIG-..."
  std::string profile;  // "1g.10gb"; empty: the driver does not tell
  std::uint32_t gpu_instance = 0;
  std::uint32_t compute_instance = 0;
  std::uint32_t multiprocessors = 0;
  std::uint64_t memory_bytes = 0;
  // Below /dev: what a process must be able to open besides the device itself.
  // Empty: not known, so nobody can use the instance.
  std::vector<std::string> files;
  // Others can be used in its GPU instance, and the memory is that one's: it
  // cannot be cleared between two owners.
  bool shares_memory = false;

  bool told() const {
    return !profile.empty() && memory_bytes > 0 && !files.empty();
  }
  bool offered() const { return told() && !shares_memory; }
  bool operator==(const MigInstance&) const = default;
};

enum class Ecc : std::uint8_t { unknown, off, on };

// Numbers that a driver may not tell are 0 then.
struct Device {
  std::string uuid;   // "GPU-..."
  std::string model;  // "NVIDIA H200"
  std::uint64_t memory_bytes = 0;
  std::uint32_t minor = 0;      // of /dev/nvidia<minor>
  std::int16_t numa_node = -1;  // -1: not known
  std::string pci_bus;          // "0000:1b:00.0"

  std::uint32_t compute_major = 0;  // compute capability, 9.0 for Hopper
  std::uint32_t compute_minor = 0;
  Ecc ecc = Ecc::unknown;
  Ecc ecc_after_reset = Ecc::unknown;
  std::uint32_t power_limit_mw = 0;  // enforced now
  std::uint32_t power_limit_default_mw = 0;
  std::uint32_t power_limit_lowest_mw = 0;
  std::uint32_t power_limit_highest_mw = 0;
  std::uint32_t sm_clock_highest_mhz = 0;
  std::uint32_t memory_clock_highest_mhz = 0;
  std::uint32_t pcie_generation_highest = 0;
  std::uint32_t pcie_width_highest = 0;
  std::uint32_t nvlinks = 0;  // active ones
  bool mig_mode = false;
  bool mig_mode_after_reset = false;
  std::vector<MigInstance> mig;  // as it is cut
};

struct Inventory {
  std::vector<Device> devices;
  // How devices[i] reaches devices[j], for all i and j.
  std::vector<std::vector<Connection>> connections;
  // Devices in MIG mode: they run nothing as a whole, their instances do.
  std::vector<Device> cut;
  std::string driver_version;  // empty: no driver
  std::string cuda_version;    // "13.0", the newest this driver runs
  // Why there are neither devices nor instances, in one sentence; else empty.
  std::string why_none;
  // What keeps a present device from being offered, one sentence each.
  std::vector<std::string> problems;
};

struct Sources {
  std::string library = "libnvidia-ml.so.1";  // as dlopen takes it
  std::string pci_devices = "/sys/bus/pci/devices";
  std::string capabilities = "/proc/driver/nvidia/capabilities";
};

// Loads the library and lets it go again.
Inventory read_inventory(const Sources& sources = {});

}  // namespace reeve::gpu

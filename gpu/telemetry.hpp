// What the GPUs of this host do now, asked of the driver again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpu/inventory.hpp"

namespace reeve::gpu {

struct ProcessUse {
  std::uint32_t pid = 0;
  // Not known inside some containers and virtual machines.
  std::optional<std::uint64_t> memory_bytes;
};

// Why the clocks are below what was asked; several at a time.
enum class Throttle : std::uint8_t {
  idle,
  setting,
  power_cap,
  hardware,
  sync_boost,
  thermal,
  hardware_thermal,
  power_brake,
  display,
};
constexpr std::size_t throttle_count = 9;
std::string_view name(Throttle reason);

// Empty where the driver does not tell.
struct Sample {
  std::string uuid;  // empty: never told
  std::string lost;  // why nothing is told of this device now; else empty

  std::optional<std::uint32_t> gpu_percent;
  std::optional<std::uint32_t> memory_percent;  // of the time it was accessed
  std::optional<std::uint64_t> memory_used_bytes;
  std::optional<std::uint64_t> memory_total_bytes;
  std::optional<std::uint32_t> power_mw;
  std::optional<std::uint64_t> energy_mj;  // since the driver was loaded
  std::optional<std::uint32_t> temperature_c;
  std::optional<std::uint32_t> memory_temperature_c;
  std::optional<std::uint32_t> sm_clock_mhz;
  std::optional<std::uint32_t> memory_clock_mhz;
  std::optional<std::uint32_t> pcie_generation;
  std::optional<std::uint32_t> pcie_width;
  std::optional<std::uint64_t> pcie_sent_bytes_per_s;
  std::optional<std::uint64_t> pcie_received_bytes_per_s;
  std::optional<std::uint64_t> nvlink_sent_bytes;  // since the driver's start
  std::optional<std::uint64_t> nvlink_received_bytes;
  std::optional<std::uint64_t> ecc_corrected;  // since the driver's start
  std::optional<std::uint64_t> ecc_uncorrected;
  std::optional<std::uint64_t> ecc_corrected_ever;
  std::optional<std::uint64_t> ecc_uncorrected_ever;
  std::optional<std::uint32_t> rows_remapped_corrected;
  std::optional<std::uint32_t> rows_remapped_uncorrected;
  std::optional<bool> row_remap_pending;  // a reset is needed
  std::optional<bool> row_remap_failed;
  std::vector<Throttle> throttles;
  std::vector<ProcessUse> processes;
  std::vector<std::uint64_t> xids;  // since the sample before
};

// Keeps the library open; used by one thread. A device that is lost while
// others are fine is told as such.
class Telemetry {
 public:
  // Each with what the ones before it tell. Some answers are dear: the load
  // is for every few seconds, the rest for every minute or so.
  enum class Depth {
    load,    // use, memory, power, temperature, clocks, throttling, Xid errors
    health,  // ECC, remapped rows, links, energy, processes
    // PCIe traffic, which the driver measures over 20 ms each way and device,
    // for which the caller waits.
    traffic,
  };

  explicit Telemetry(const Sources& sources = {});
  ~Telemetry();

  // Why there is nothing to sample; empty when there is.
  const std::string& why_none() const { return why_none_; }
  // The driver is there and failed: another Telemetry may find it well.
  bool may_pass() const { return may_pass_; }
  std::vector<Sample> sample(Depth depth);

 private:
  class Driver;
  std::unique_ptr<Driver> driver_;
  std::string why_none_;
  bool may_pass_ = false;
};

// A device with more processes tells none of them.
constexpr unsigned processes_per_device_max = 1024;
// Xid errors of one sample, over all devices; the next sample has the rest.
constexpr unsigned xids_per_sample_max = 256;

}  // namespace reeve::gpu

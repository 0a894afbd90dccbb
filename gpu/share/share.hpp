// What a session may take of one device. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace reeve::gpu::share {

constexpr std::size_t share_devices_max = 16;
constexpr std::uint32_t whole_milli = 1000;
// A session that has the device for part of the time has it once in so long.
constexpr std::int64_t period_ns_default = 50'000'000;
// Where a session of a cell finds its ledger (ledger.hpp).
constexpr const char* session_ledger_path = "/dev/reeve/ledger";

// Of one device. Shares of one device that run in turn begin one after the
// other: 0, then the share of the first, ...
struct DeviceShare {
  std::string uuid;  // "GPU-...", "MIG-..."
  std::uint64_t memory_bytes = 0;
  std::uint32_t compute_milli = whole_milli;  // of the time; all: no pacing
  std::uint32_t begin_milli = 0;  // where in each period its time begins
  std::int64_t period_ns = period_ns_default;

  bool whole() const { return compute_milli >= whole_milli; }
  bool operator==(const DeviceShare&) const = default;
};

// Why one session cannot have these shares, as a sentence; empty: it can.
std::string wrong_shares(const std::vector<DeviceShare>& devices);

}  // namespace reeve::gpu::share

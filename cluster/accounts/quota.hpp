// What an account may hold at once, and how much GPU time it may use in a
// period of the calendar.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/types.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

using schema::AccountKind;
using schema::QuotaPeriod;

inline constexpr std::uint64_t no_limit = INT64_MAX;

struct Quota {
  std::uint64_t sessions = no_limit;  // placed and not ended
  std::uint64_t waiting = no_limit;
  std::uint64_t cpu_milli = no_limit;
  std::uint64_t memory_bytes = no_limit;
  std::uint64_t gpu_milli = no_limit;
  std::uint64_t gpu_milli_hours = no_limit;
  QuotaPeriod period = QuotaPeriod::none;

  bool operator==(const Quota&) const = default;
};

Quota quota_of(const schema::QuotaLimits& limits);
flatbuffers::Offset<schema::QuotaLimits> build_quota(
    flatbuffers::FlatBufferBuilder& builder, const Quota& quota);

// When the period that `at` lies in began; 0 for QuotaPeriod::none. Weeks
// begin on Monday.
Time period_start(QuotaPeriod period, Time at);
// When the next one begins; 0: never.
Time period_end(QuotaPeriod period, Time at);

// What is held, or asked for.
struct Amounts {
  std::uint64_t sessions = 0;
  std::uint64_t waiting = 0;
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpu_milli = 0;

  bool operator==(const Amounts&) const = default;
  Amounts& operator-=(const Amounts& other) {
    sessions -= other.sessions;
    waiting -= other.waiting;
    cpu_milli -= other.cpu_milli;
    memory_bytes -= other.memory_bytes;
    gpu_milli -= other.gpu_milli;
    return *this;
  }
  Amounts& operator+=(const Amounts& other) {
    sessions += other.sessions;
    waiting += other.waiting;
    cpu_milli += other.cpu_milli;
    memory_bytes += other.memory_bytes;
    gpu_milli += other.gpu_milli;
    return *this;
  }
};

enum class QuotaItem { sessions, waiting, cpu, memory, gpus, gpu_hours };

// A quota in the way: `limit`, `held` and `wanted` in the item's unit.
struct QuotaExcess {
  std::uint32_t account = ~std::uint32_t{0};  // its AccountIndex
  AccountKind kind = AccountKind::user;
  std::string name;
  QuotaItem item = QuotaItem::sessions;
  std::uint64_t limit = 0;
  std::uint64_t held = 0;
  std::uint64_t wanted = 0;
  QuotaPeriod period = QuotaPeriod::none;  // of gpu_hours
  Time renewed_at;  // when the next period begins; 0: never, or not by time
};

// "10 sessions, 4 GPUs, 100 GPU hours a month".
std::string to_text(const Quota& quota);

// What is held of what the quota limits: "3 sessions, 4 GPUs, 12 GPU hours".
std::string held_text(const Quota& quota, const Amounts& held,
                      std::uint64_t used_milli_hours);

// "project tight may have 4 GPUs and has 3; this session wants 2".
std::string to_text(const QuotaExcess& excess);

}  // namespace reeve::cluster

// Reckoning with times of a monotonic clock.
#pragma once

#include <cstdint>

#include "cluster/types.hpp"

namespace reeve::member {

// 0 where `then` is yet to come.
inline std::uint64_t since(Time then, Time now) {
  return now > then ? now.value - then.value : 0;
}

inline Time after(Time then, std::uint64_t ns) {
  return Time{then.value + ns};
}

}  // namespace reeve::member

// The one place where actors read the clocks of the host.
#pragma once

#include <chrono>

#include "cluster/types.hpp"

namespace reeve::actors {

inline Time wall_time() {
  return Time{static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::system_clock::now().time_since_epoch())
          .count())};
}

// Of the monotonic clock, from any moment on.
inline Time monotonic() {
  return Time{static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now().time_since_epoch())
          .count())};
}

}  // namespace reeve::actors

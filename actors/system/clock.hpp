// The one place where actors read the wall clock.
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

}  // namespace reeve::actors

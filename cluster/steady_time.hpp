// Time that neither runs backwards nor stands still, out of a clock that may
// be set back. Pure: the clock's readings come in.
#pragma once

#include <algorithm>

#include "cluster/types.hpp"

namespace reeve::cluster {

class SteadyTime {
 public:
  SteadyTime() = default;
  // Never before `floor`, e.g. the last time in the log.
  explicit SteadyTime(Time floor) : now_(floor) {}

  // `clock` is what the host's clock says now. Where it was set back, time
  // goes on at half its speed until the clock has caught up.
  Time at(Time clock) {
    if (clock_.value != 0 && clock > clock_) {
      const std::uint64_t passed_ns = clock.value - clock_.value;
      now_.value += passed_ns - passed_ns / 2;
    }
    clock_ = clock;
    return now_ = std::max(now_, clock);
  }
  // The answer to the last reading.
  Time now() const { return now_; }

 private:
  Time clock_;
  Time now_;
};

}  // namespace reeve::cluster

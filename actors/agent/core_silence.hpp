// How long no word of a manager came to an agent that waits for one, and when
// that is reason to try another bus server: servers pass nothing on for one
// another, so where the link between two hosts is down, who leads may be heard
// through all but this one. Pure: the time comes in.
#pragma once

#include <algorithm>
#include <cstdint>

#include "actors/agent/core_retry.hpp"
#include "cluster/types.hpp"

namespace reeve::agent {

// After half to all of this, spread over all agents; after that twice as long,
// up to the longest. So long that the next server brings a heartbeat before the
// node is lost (cluster::node_lost_after_ns_default), and its sessions with it:
// where the leader is silent and another one takes over, some go in vain.
inline constexpr std::uint64_t unheard_ns = 6 * second_ns;
inline constexpr std::uint64_t unheard_longest_ns = 32 * unheard_ns;

class Silence {
 public:
  explicit Silence(std::uint64_t seed)
      : jitter_(seed), wait_ns_(jitter_.spread(step_ns_)) {}

  void on_heard(Time now) {
    begin(now);
    if (step_ns_ != unheard_ns) set_step(unheard_ns);
  }
  // Nobody is waited for, or from now on.
  void begin(Time now) { since_ = now; }

  // How long it has been, when it is time to try another server; else 0.
  std::uint64_t too_long(Time now) {
    if (since_ == Time{}) begin(now);
    const std::uint64_t silent_ns = now > since_ ? now.value - since_.value : 0;
    if (silent_ns < wait_ns_) return 0;
    begin(now);
    set_step(std::min(2 * step_ns_, unheard_longest_ns));
    return silent_ns;
  }

 private:
  void set_step(std::uint64_t step_ns) {
    step_ns_ = step_ns;
    wait_ns_ = jitter_.spread(step_ns);
  }

  Jitter jitter_;
  std::uint64_t step_ns_ = unheard_ns;
  std::uint64_t wait_ns_;
  Time since_;
};

}  // namespace reeve::agent

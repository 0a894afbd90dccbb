// A command that is sent again until it is answered: when, and with what
// spread. Pure: the time comes in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/types.hpp"
#include "schema/types_generated.h"

namespace reeve::agent {

inline constexpr std::uint64_t retry_first_ns = 500'000'000;
inline constexpr std::uint64_t retry_longest_ns = 5 * second_ns;

// A small generator (splitmix64), so that a run is repeated by its seed.
class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
  }
  // Between half of `step_ns` and all of it.
  std::uint64_t spread(std::uint64_t step_ns) {
    return step_ns / 2 + next() % (step_ns / 2 + 1);
  }

 private:
  std::uint64_t state_;
};

struct PendingCommand {
  bool waiting = false;
  schema::Id128 id;
  const char* kind = "";
  std::vector<std::byte> bytes;
  Time due;
  std::uint64_t step_ns = retry_first_ns;
  std::string refusal;  // the last one, told once

  bool is(const schema::Id128& other) const {
    return waiting && id.high() == other.high() && id.low() == other.low();
  }
  // The next try, after a wait that doubles up to the longest.
  void wait(Time now, Jitter& jitter) {
    due = Time{now.value + jitter.spread(step_ns)};
    step_ns = std::min(step_ns * 2, retry_longest_ns);
  }
};

}  // namespace reeve::agent

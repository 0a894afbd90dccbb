// Known bugs, planted in a test build alone: tests/sim/ shows that the
// simulator finds each of them. In any other build `planted` is false at
// compile time, and nothing of this is left.
#pragma once

namespace reeve {

enum class Plant {
  none,
  sync_skipped,        // a commit is called durable before it is synced
  epoch_unchecked,     // an agent obeys an older leader
  release_twice,       // what a task held is given back twice
  repeat_executed,     // a command that is sent again is carried out again
  given_up_early,      // what runs on a lost node is given up at once
  snapshot_off_by_one  // a snapshot says it is one event older than it is
};

#ifdef REEVE_PLANTS
extern Plant chosen_plant;
inline bool planted(Plant plant) {
  return chosen_plant == plant;
}
#else
constexpr bool planted(Plant) {
  return false;
}
#endif

// Of a snapshot behind its content, in events.
inline unsigned snapshot_lag() {
  return planted(Plant::snapshot_off_by_one) ? 1 : 0;
}

}  // namespace reeve

// How old the state of a manager that stands by may be. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "cluster/types.hpp"

namespace reeve::member {

// The state was the cell's so long ago, and may be so still.
struct Age {
  std::optional<std::uint64_t> ns;  // nothing: it cannot be told
  bool of_log = false;              // no leader was heard since the start

  friend bool operator==(const Age&, const Age&) = default;
};

class StateAge {
 public:
  // A leader was heard, and the log here is as long as its own.
  void on_current(Time now) { current_at_ = now; }

  // Before that nobody has said that the log goes on nowhere else: the state
  // is that of its last event, however long the cell, or this manager, was
  // away. `now`: by the clock of on_current; `wall`: by that of the events.
  Age at(Time now, Time last_event, Time wall) const {
    if (current_at_) return {now.value - current_at_->value, false};
    // There is none, or one of the two clocks is wrong.
    if (last_event == Time{} || wall < last_event) return {std::nullopt, true};
    return {wall.value - last_event.value, true};
  }

 private:
  std::optional<Time> current_at_;
};

}  // namespace reeve::member

// Known bugs of a scheduler, or of a manager, planted between them: what the
// real ones say is altered so that it breaks one rule, and keeps the others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/decide.hpp"
#include "tests/sim/meddler.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/room.hpp"

namespace reeve::cluster {

// decide_place as it is: in the program with planted bugs it has this name, and
// another asks it (blind_manager.cpp).
Decision decide_place_checked(const State& state, const Proposal& proposal,
                              const Origin& origin, EventWriter& writer);

}  // namespace reeve::cluster

namespace reeve::sim {

enum class Bug : std::uint8_t {
  // The scheduler proposes
  constraint_ignored,   // a node that its constraint excludes
  within_ignored,       // a gang in several places
  reservation_ignored,  // what is kept for others now
  reservation_left,     // what is not of its own reservation
  quota_ignored,        // more than its accounts may hold
  gpu_time_ignored,     // GPUs to accounts whose GPU time is used up
  full_ignored,         // a node that has no room
  gone_ignored,         // a node that is lost or drained
  wait_ignored,         // who waits for its next attempt
  after_ignored,        // who waits for the end of another
  node_ignored,         // another node than the one that it names
  device_ignored,       // fewer devices than it asks for
  gang_cut,             // all tasks but one
  gang_gathered,        // fewer nodes than it asks for
  apart_ignored,        // a place of those it wants to be apart from
  together_ignored,     // another place than those it wants to be together with
  array_overrun,        // more of an array than may
  window_ignored,       // what is kept for others before it ends
  turn_ignored,         // others in the place of the first
  none_passed,          // others before the first, where nobody may pass
  head_delayed,         // others in the place that is planned for the first
  patience_ignored,     // others for ever in the place of the first
  first_forgotten,      // nothing for some, ever
  // and tells to make room
  room_early,     // who has not run for long enough
  room_in_vain,   // who alone does not make enough
  room_needless,  // one more than has to
  room_upward,    // who is more urgent
  room_unasked,   // somebody, where nobody has to
  // The manager
  retry_lost,   // has who made room fail with retries left
  room_waits,   // has who made room wait for a while
  room_ends,    // has who made room end, against its wish
  any_refused,  // (none: it refuses whatever of these it can)
};

struct PlantedBug {
  const char* name;
  Bug bug;
  // Nobody looks at the passes of the scheduler, and the manager does not see
  // it: what is left is what the events tell.
  bool unchecked;
  // Of the sentence that has to be said of it.
  const char* words;
  // What seeds have to draw to be of use; null: nothing.
  bool Plan::*needs = nullptr;
};

// Null: there is none of that name.
const PlantedBug* planted_bug(const std::string& name);

class Saboteur : public Meddler {
 public:
  explicit Saboteur(const PlantedBug& planted);

  void alter(const cluster::State& known, Time now,
             std::vector<cluster::Proposal>& proposals) override;
  void alter(const cluster::State& known, Time now,
             std::vector<cluster::Preemption>& room) override;
  void alter(const cluster::State& newest, manager::Batch& batch) override;
  bool judged() const override {
    return !planted_.unchecked && planted_.bug != Bug::any_refused;
  }

  // The manager refuses a placement by this rule, with this text; false: it
  // does not see why it should.
  bool refuses(const cluster::Rejection& rejection);
  // What was never refused, of what has to be; empty: nothing.
  std::string unrefused() const;

 private:
  using State = cluster::State;
  using Session = cluster::Session;
  using Proposal = cluster::Proposal;
  using Proposals = std::vector<Proposal>;
  using Wrong = std::function<bool(const Proposal&)>;

  // Whether it is where and as spread as it asks for, unless that is the bug.
  bool keeps_shape(const State& known, const Proposal& proposal) const;
  // Whether the manager sees that the rule is broken, and nothing else is.
  Wrong breaks(const State& known, Time now, const char* rule) const;
  // Whether the manager sees nothing wrong, and `test` is true.
  Wrong passes(const State& known, Time now, Wrong test) const;
  bool break_rule(const State& known, Time now, Bug bug, const char* words,
                  Proposals& proposals);
  void break_any(const State& known, Time now, Proposals& proposals);
  bool move_one(const State& known, const Wrong& wrong, Proposals& proposals);
  bool add_one(const State& known, const Wrong& wrong, Proposals& proposals);
  static bool cut_gang(Proposals& proposals);
  void gather_gang(const State& known, Time now, Proposals& proposals) const;
  static void forget(Proposals& proposals);
  static void cut_devices(Proposals& proposals);
  void pass_first(const State& known, Time now, Proposals& proposals) const;
  void take_turn(const State& known, Time now, Proposals& proposals) const;
  bool is(Bug bug) const { return planted_.bug == bug; }
  void ask_one(const State& known, Time now,
               std::vector<cluster::Preemption>& room) const;

  const PlantedBug& planted_;
  // Proposed by the real scheduler or this, and perhaps not decided yet.
  struct Open {
    Proposal proposal;
    Time at;
  };
  void forget_decided(const State& known, Time now);
  bool is_open(SessionId session) const;
  Proposals beside(const Proposals& proposals) const;

  std::vector<std::uint64_t> refused_;  // by rule
  std::size_t passes_ = 0;
  std::vector<Open> open_;
};

}  // namespace reeve::sim

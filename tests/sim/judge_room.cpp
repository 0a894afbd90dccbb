// Those that are to make room for the first that waits.
#include <algorithm>

#include "tests/sim/judge.hpp"
#include "tests/sim/loop.hpp"

namespace reeve::sim {

using cluster::MakeRoom;
using cluster::Preemption;

namespace {

// Of so many that hold a place the scheduler tries all sets.
constexpr std::size_t all_tried_max = 14;

}  // namespace

void Judge::check_victim(const Preemption& one, Time now) const {
  const Session& head = session(one.for_session.value);
  const Session& victim = session(one.session.value);
  const auto policy = policy_of(pool_of(head));
  SIM_CHECK(policy.preemption != MakeRoom::off,
            "s-{} is to make room, where nobody has to", victim.id.value);
  SIM_CHECK(may_start(head, now),
            "s-{} is to make room for s-{}, which may not start yet",
            victim.id.value, head.id.value);
  SIM_CHECK(holds(victim) && victim.attempt == one.attempt &&
                pool_of(victim) == pool_of(head),
            "s-{} is to make room, and holds none", victim.id.value);
  const bool less = victim.priority < head.priority;
  const bool equal =
      victim.priority == head.priority && policy.preemption == MakeRoom::fair;
  SIM_CHECK(less || equal, "s-{} is to make room for s-{}, which is {}",
            victim.id.value, head.id.value,
            victim.priority == head.priority ? "as urgent" : "less urgent");
  const std::uint64_t ran_ns = now.value - began_.at(victim.id.value).value;
  SIM_CHECK(ran_ns >= policy.preempt_after_ns,
            "s-{} is to make room after {} s, where each may run for {} s",
            victim.id.value, ran_ns / second_ns,
            policy.preempt_after_ns / second_ns);
}

// The head fits when all of them are gone, and not when one stays.
void Judge::check_victims(const Session& head,
                          const std::vector<Preemption>& room, Time now) const {
  const Ask ask(known_, head);
  if (ask.is_tied()) return;
  const auto fits_without = [&](const Preemption* stays) {
    Rooms then = rooms();
    for (const Preemption& one : room) {
      if (&one == stays) continue;
      const Ask of(known_, session(one.session.value));
      for (const auto& task : of.session->tasks)
        if (task.phase != cluster::TaskPhase::exited)
          then.at(task.node.value).give(of, grants_of(task));
    }
    return fits(known_, unreserved(known_, std::move(then), ask, now), ask);
  };
  SIM_CHECK(fits_without(nullptr),
            "{} sessions are to make room for s-{}, which would still not fit",
            room.size(), head.id.value);
  probes_.hit(Probe::room_made);
  // Sets over several nodes, or of many, are not all tried.
  const auto policy = policy_of(pool_of(head));
  if (policy.preemption != MakeRoom::priority || !is_clear() ||
      head.tasks_wanted > 1 || began_.size() > all_tried_max)
    return;
  for (const Preemption& one : room)
    SIM_CHECK(!fits_without(&one),
              "s-{} is to make room for s-{}, which fits without that",
              one.session.value, head.id.value);
}

void Judge::making_room(const std::vector<Preemption>& room, Time now) {
  std::map<std::uint64_t, std::vector<Preemption>> by_head;
  for (const Preemption& one : room) {
    check_victim(one, now);
    by_head[one.for_session.value].push_back(one);
  }
  for (const auto& [head, victims] : by_head)
    check_victims(session(head), victims, now);
  // Other nodes may be kept for it from now on.
  if (!room.empty()) watches_.clear();
}

}  // namespace reeve::sim

// What arrays, reservations and those who make room are promised, from the
// events alone.
#include <algorithm>

#include "tests/sim/oracle.hpp"

namespace reeve::sim {

using cluster::SessionState;
using schema::EndReason;

namespace {

bool holds(const cluster::Reservation& kept, Time now) {
  if (now < kept.first.from) return false;
  const std::uint64_t since_ns = now.value - kept.first.from.value;
  const std::uint64_t length_ns = kept.first.to.value - kept.first.from.value;
  return (kept.every_ns == 0 ? since_ns : since_ns % kept.every_ns) < length_ns;
}

bool lists(const auto& list, const auto& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

bool keeps_device(const cluster::Reservation& kept,
                  const schema::DeviceShare& share) {
  return kept.devices.empty() || lists(kept.devices, share.device());
}

// Whether the task takes anything that is kept.
bool takes_of(const cluster::Task& task, const cluster::Reservation& kept) {
  return kept.devices.empty() ||
         std::any_of(
             task.devices.begin(), task.devices.end(),
             [&](const auto& share) { return keeps_device(kept, share); });
}

}  // namespace

// No more of an array hold a place than may.
void Oracle::check_array(const schema::SessionPlaced& body) const {
  const cluster::Spec spec =
      truth_.spec(*truth_.session(SessionId{body.session()}));
  if (spec.array_running_max == 0) return;
  const SessionId first{spec.array_session};
  const std::uint64_t end = first.value + truth_.array_size(first);
  std::uint32_t holding = 0;
  truth_.visit_sessions(first, [&](const cluster::Session& one) {
    if (one.id.value >= end) return false;
    holding +=
        one.state != SessionState::pending && !cluster::has_ended(one.state);
    return true;
  });
  SIM_CHECK(holding <= spec.array_running_max,
            "{} of the array s-{} hold a place, where {} may", holding,
            first.value, spec.array_running_max);
  if (holding == spec.array_running_max) probes_.hit(Probe::array_full);
}

// What is kept now is given to those only who named it; and they get nothing
// else.
void Oracle::check_reservations(const schema::SessionPlaced& body,
                                Time now) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  const cluster::Spec spec = truth_.spec(session);
  const auto& all = truth_.reservations().all();
  for (const cluster::Task& task : session.tasks) {
    const std::string& node = truth_.node(task.node)->name;
    for (const auto& [name, kept] : all)
      SIM_CHECK(name == spec.reservation || !lists(kept.nodes, node) ||
                    !takes_of(task, kept) || !holds(kept, now),
                "s-{} is placed on {}, which {} keeps", body.session(), node,
                name);
  }
  if (spec.reservation.empty()) return;
  const auto own = all.find(spec.reservation);
  SIM_CHECK(own != all.end() && holds(own->second, now),
            "s-{} is placed when {} does not hold", body.session(),
            spec.reservation);
  const cluster::Reservation& kept = own->second;
  const bool named = lists(kept.users, truth_.user(session)) ||
                     lists(kept.projects, spec.project);
  SIM_CHECK(named, "s-{} has no right to {}", body.session(), own->first);
  for (const cluster::Task& task : session.tasks) {
    SIM_CHECK(lists(kept.nodes, truth_.node(task.node)->name),
              "s-{} is placed beside {}", body.session(), own->first);
    for (const auto& share : task.devices)
      SIM_CHECK(keeps_device(kept, share), "s-{} gets device {} beside {}",
                body.session(), share.device(), own->first);
  }
  probes_.hit(Probe::placed_in_reservation);
}

// One makes room for one that waits and is no less urgent.
void Oracle::look_at_stopping(const schema::SessionStopping& body) const {
  if (body.reason() != EndReason::preempted) return;
  probes_.hit(Probe::told_to_make_room);
  const auto* victim = truth_.session(SessionId{body.session()});
  const auto* head = truth_.session(SessionId{body.for_session()});
  SIM_CHECK(victim && head && head->state == SessionState::pending &&
                victim->priority <= head->priority,
            "s-{} makes room for s-{}, which does not wait or is less urgent",
            body.session(), body.for_session());
}

// Making room uses up no retry.
void Oracle::look_at_requeued(const schema::SessionRequeued& body) {
  const auto* session = truth_.session(SessionId{body.session()});
  SIM_CHECK(session && body.attempt() == session->attempt + 1,
            "s-{} goes back to the queue as attempt {}", body.session(),
            body.attempt());
  std::uint32_t& evictions = evictions_[body.session()];
  if (body.reason() == EndReason::preempted) {
    SIM_CHECK(session->on_preempt == schema::OnPreempt::requeue &&
                  body.not_before_at() == 0,
              "s-{} made room and would not wait again at once",
              body.session());
    ++evictions;
    return probes_.hit(Probe::requeued_for_another);
  }
  SIM_CHECK(session->attempt - evictions <= session->requeue_max,
            "s-{} is tried again after attempt {}, {} of which made room, "
            "where {} may be",
            body.session(), session->attempt, evictions, session->requeue_max);
}

void Oracle::look_at_ended(const schema::SessionEnded& body) const {
  if (body.reason() != EndReason::preempted) return;
  const auto* session = truth_.session(SessionId{body.session()});
  SIM_CHECK(session && session->on_preempt == schema::OnPreempt::end,
            "s-{} made room and ends, but would wait again", body.session());
  probes_.hit(Probe::ended_for_another);
}

}  // namespace reeve::sim

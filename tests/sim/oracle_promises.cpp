// What gangs, constraints, quotas, arrays, reservations and those who make room
// are promised, from the events alone.
#include <algorithm>

#include "cluster/decide.hpp"
#include "cluster/node_spec.hpp"
#include "tests/sim/oracle.hpp"

namespace reeve::sim {

using cluster::SessionState;
using schema::EndReason;

namespace {

constexpr std::uint64_t hour_ms = 3'600'000;

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

// A failure after which it is tried again, as often as it may be.
bool is_tried_again(const schema::SessionEnded& body) {
  if (body.state() != SessionState::failed) return false;
  switch (body.reason()) {
    case EndReason::time_limit:
    case EndReason::wait_timeout:
    case EndReason::cancelled:
    case EndReason::dependency_failed:
    case EndReason::preempted: return false;
    default: return true;
  }
}

}  // namespace

// As many tasks as it asks for, each with what it asks for, over as many nodes,
// as evenly as it goes, and those of its queue.
void Oracle::check_shape(const schema::SessionPlaced& body) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  const cluster::Spec spec = truth_.spec(session);
  SIM_CHECK(session.tasks.size() == spec.tasks,
            "{} of the {} tasks of s-{} are placed", session.tasks.size(),
            spec.tasks, body.session());
  std::map<std::uint32_t, std::uint32_t> on_node;
  for (const cluster::Task& task : session.tasks) {
    ++on_node[task.node.value];
    const cluster::Node& node = *truth_.node(task.node);
    SIM_CHECK(node.offered() && node.group == spec.group &&
                  node.simulated == session.simulated &&
                  (spec.on_node.empty() || node.name == spec.on_node),
              "s-{} is placed on {}, which is not of its queue", body.session(),
              node.name);
    std::set<std::uint32_t> devices;
    for (const auto& share : task.devices)
      if (share.milli() == spec.gpu_milli) devices.insert(share.device());
    SIM_CHECK(devices.size() == spec.gpus && task.devices.size() == spec.gpus,
              "a task of s-{} gets {} devices and asks for {}", body.session(),
              devices.size(), spec.gpus);
  }
  if (spec.nodes == 0) return;
  const auto [least, most] = std::minmax_element(
      on_node.begin(), on_node.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  SIM_CHECK(on_node.size() == spec.nodes && most->second - least->second <= 1,
            "the {} tasks of s-{} are on {} nodes, {} on one, and ask for {}",
            spec.tasks, body.session(), on_node.size(), most->second,
            spec.nodes);
  probes_.hit(Probe::placed_spread);
}

// Not before the time of its next attempt, nor before those it waits for.
void Oracle::check_turn(const schema::SessionPlaced& body, Time now) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  SIM_CHECK(session.not_before <= now, "s-{} is placed {} ms before it may be",
            body.session(), (session.not_before.value - now.value) / 1'000'000);
  for (const auto& one : truth_.spec(session).after) {
    const auto* other = truth_.session(SessionId{one.session()});
    SIM_CHECK(!other || (cluster::has_ended(other->state) &&
                         cluster::satisfied(one.kind(), other->state)),
              "s-{} is placed and waits for the end of s-{}", body.session(),
              one.session());
  }
}

// On nodes that will do.
void Oracle::check_wishes(const schema::SessionPlaced& body) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  const cluster::Spec spec = truth_.spec(session);
  if (!spec.constraint.empty()) {
    const auto constraint = Constraint::parse(spec.constraint);
    for (const cluster::Task& task : session.tasks)
      SIM_CHECK(constraint->matches(cluster::facts_of(*truth_.node(task.node))),
                "s-{} is placed on {} and asks for {}", body.session(),
                truth_.node(task.node)->name, spec.constraint);
    probes_.hit(Probe::placed_by_constraint);
  }
  if (spec.within.empty()) return;
  std::set<std::string> places;
  for (const cluster::Task& task : session.tasks) {
    const auto* place = find_label(truth_.node(task.node)->labels, spec.within);
    places.insert(place ? *place : std::string());
  }
  SIM_CHECK(places.size() == 1 && !places.contains(""),
            "s-{} is placed in {} places and asks for one {}", body.session(),
            places.size(), spec.within);
  if (session.tasks.size() > 1) probes_.hit(Probe::placed_within);
}

// Of what a placement takes, each account is within its quota as it is now.
void Oracle::check_quotas(const schema::SessionPlaced& body, Time now) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  const cluster::Accounts& accounts = truth_.accounts();
  std::uint64_t gpu_milli = 0;
  for (const cluster::Task& task : session.tasks)
    for (const auto& share : task.devices) gpu_milli += share.milli();
  const auto check = [&](cluster::AccountIndex index) {
    const cluster::Account& account = accounts.at(index);
    if (!account.quota) return;
    const cluster::Quota& quota = *account.quota;
    const cluster::Amounts& held = account.held;
    SIM_CHECK(
        held.sessions <= quota.sessions &&
            (session.cpu_milli == 0 || held.cpu_milli <= quota.cpu_milli) &&
            (session.memory_bytes == 0 ||
             held.memory_bytes <= quota.memory_bytes) &&
            (gpu_milli == 0 || held.gpu_milli <= quota.gpu_milli),
        "the placement of s-{} is over the quota of {}: {}", body.session(),
        account.name, cluster::to_text(quota));
    if (gpu_milli == 0 || !account.limits_gpu_time()) return;
    const std::uint64_t used = accounts.used_milli_ms(account, now);
    SIM_CHECK(used < quota.gpu_milli_hours * hour_ms,
              "s-{} is placed when {} has used {} of {} thousandths of a GPU "
              "hour",
              body.session(), account.name, used / hour_ms,
              quota.gpu_milli_hours);
  };
  check(session.owners.user);
  check(session.owners.group);
  for (const auto index : accounts.with_parents(session.owners.project))
    check(index);
}

// No more of an array hold a place than may.
void Oracle::check_array(const schema::SessionPlaced& body) const {
  const cluster::Spec spec =
      truth_.spec(*truth_.session(SessionId{body.session()}));
  if (spec.array_running_max == 0) return;
  const SessionId first{spec.array_session};
  std::uint32_t holding = 0;
  truth_.visit_array(first, [&](const cluster::Session& one) {
    holding +=
        one.state != SessionState::pending && !cluster::has_ended(one.state);
  });
  SIM_CHECK(holding <= spec.array_running_max,
            "{} of the array s-{} hold a place, where {} may", holding,
            first.value, spec.array_running_max);
  if (holding == spec.array_running_max) probes_.hit(Probe::array_full);
}

// Neither the device nor the card it is a part of is in quarantine.
void Oracle::check_quarantines(const schema::SessionPlaced& body) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  for (const cluster::Task& task : session.tasks) {
    const cluster::Node& node = *truth_.node(task.node);
    for (const auto& share : task.devices) {
      const auto& device = node.devices.at(share.device());
      for (const auto& [uuid, quarantine] : node.quarantined)
        SIM_CHECK(uuid != device.uuid && uuid != device.mig_of,
                  "s-{} is placed on device {} of {}, in quarantine: {}",
                  body.session(), share.device(), node.name, quarantine.reason);
    }
  }
}

// Nobody of another project shares its GPUs: no group asks for anything else.
void Oracle::check_sharing(const schema::SessionPlaced& body) const {
  const auto& session = *truth_.session(SessionId{body.session()});
  std::set<std::pair<std::uint32_t, std::uint32_t>> shared;
  for (const cluster::Task& task : session.tasks)
    for (const auto& share : task.devices)
      if (share.milli() < milli_per_device)
        shared.emplace(task.node.value, share.device());
  if (shared.empty()) return;
  truth_.visit_sessions({}, [&](const cluster::Session& other) {
    if (other.owners.project == session.owners.project) return true;
    for (const cluster::Task& task : other.tasks)
      for (const auto& share : task.devices)
        SIM_CHECK(task.phase == cluster::TaskPhase::exited ||
                      !shared.contains({task.node.value, share.device()}),
                  "s-{} shares device {} of {} with s-{} of another project",
                  session.id.value, share.device(),
                  truth_.node(task.node)->name, other.id.value);
    return true;
  });
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
  const auto* session = truth_.session(SessionId{body.session()});
  if (session && is_tried_again(body)) {
    const auto found = evictions_.find(body.session());
    const std::uint32_t evictions =
        found == evictions_.end() ? 0 : found->second;
    SIM_CHECK(session->attempt - evictions > session->requeue_max,
              "s-{} fails after attempt {}, {} of which made room, where it "
              "may be tried {} times again",
              body.session(), session->attempt, evictions,
              session->requeue_max);
    probes_.hit(Probe::retries_over);
  }
  if (body.reason() != EndReason::preempted) return;
  SIM_CHECK(session && session->on_preempt == schema::OnPreempt::end,
            "s-{} made room and ends, but would wait again", body.session());
  probes_.hit(Probe::ended_for_another);
}

}  // namespace reeve::sim

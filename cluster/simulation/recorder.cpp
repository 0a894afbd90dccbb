#include "cluster/simulation/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/state.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster::simulation {

using schema::EventBody;
using schema::text;

Recorder::Recorder(Time from, Time to, std::size_t sessions_max)
    : sessions_max_(sessions_max) {
  work_.from = from;
  work_.to = to;
}

Status Recorder::apply(const schema::Event& event,
                       std::span<const std::byte> bytes) {
  using Kind = NodeChange::Kind;
  const Time at{event.time_at()};
  switch (event.body_type()) {
    case EventBody::NodeRegistered:
      joined(*event.body_as_NodeRegistered(), at);
      return {};
    case EventBody::NodeLost:
      changed({.kind = Kind::lost,
               .node = NodeId{event.body_as_NodeLost()->node()}},
              at);
      return {};
    case EventBody::NodeReturned:
      changed({.kind = Kind::returned,
               .node = NodeId{event.body_as_NodeReturned()->node()}},
              at);
      return {};
    case EventBody::NodeDrained:
      changed({.kind = Kind::drained,
               .node = NodeId{event.body_as_NodeDrained()->node()},
               .deadline = Time{event.body_as_NodeDrained()->deadline_at()}},
              at);
      return {};
    case EventBody::NodeResumed:
      changed({.kind = Kind::resumed,
               .node = NodeId{event.body_as_NodeResumed()->node()}},
              at);
      return {};
    case EventBody::NodeRemoved:
      changed({.kind = Kind::removed,
               .node = NodeId{event.body_as_NodeRemoved()->node()}},
              at);
      return {};
    case EventBody::DeviceQuarantined:
      device_changed(Kind::quarantined, *event.body_as_DeviceQuarantined(), at);
      return {};
    case EventBody::DeviceReleased:
      device_changed(Kind::released, *event.body_as_DeviceReleased(), at);
      return {};
    case EventBody::GroupCreated:
    case EventBody::ProjectCreated:
    case EventBody::UserCreated:
    case EventBody::AccountChanged:
    case EventBody::AccountRemoved:
    case EventBody::QuotaSet:
    case EventBody::QuotaRemoved:
    case EventBody::ReservationSet:
    case EventBody::ReservationRemoved:
      work_.accounts.push_back(
          {std::max(at, work_.from), {bytes.begin(), bytes.end()}});
      return {};
    default: return session_event(event);
  }
}

Status Recorder::session_event(const schema::Event& event) {
  const Time at{event.time_at()};
  if (const auto* body = event.body_as_SessionSubmitted())
    return submitted(*body, at);
  const auto with = [&](std::uint64_t id, auto&& act) -> Status {
    const auto found = sessions_.find(id);
    if (found == sessions_.end())
      return fail(
          Errc::damaged,
          fmt::format("event {} ({}) is about s-{}, which does not live",
                      event.seq(), schema::EnumNameEventBody(event.body_type()),
                      id));
    act(found->second);
    return {};
  };
  if (const auto* body = event.body_as_SessionPlaced())
    return with(body->session(), [&](Seen& seen) { placed(seen, *body, at); });
  if (const auto* body = event.body_as_TaskExited())
    return with(body->session(), [&](Seen& seen) {
      if (body->rank() < seen.exits.size()) seen.exits[body->rank()] = at;
    });
  if (const auto* body = event.body_as_SessionStopping())
    return with(body->session(), [&](Seen& seen) {
      seen.leaves_since =
          body->reason() == schema::EndReason::preempted ? at : Time{};
    });
  if (const auto* body = event.body_as_SessionRequeued())
    return with(body->session(),
                [&](Seen& seen) { requeued(seen, *body, at); });
  if (const auto* body = event.body_as_SessionEnded()) {
    const auto good =
        with(body->session(), [&](Seen& seen) { ended(seen, *body, at); });
    if (good && at < work_.from) sessions_.erase(body->session());
    return good;
  }
  return {};
}

// -- nodes --------------------------------------------------------------------

void Recorder::changed(NodeChange change, Time at) {
  change.at = std::max(at, work_.from);
  work_.changes.push_back(change);
}

template <class Body>
void Recorder::device_changed(NodeChange::Kind kind, const Body& body,
                              Time at) {
  changed({.kind = kind,
           .node = NodeId{body.node()},
           .device = body.device(),
           .uuid = body.uuid()->str()},
          at);
}

void Recorder::joined(const schema::NodeRegistered& body, Time at) {
  const schema::NodeSpec& spec = *body.spec();
  Node node;
  node.name = text(spec.name());
  node.group = text(spec.group());
  node.cpu_milli = spec.cpu_milli();
  node.memory_bytes = spec.memory_bytes();
  node.simulated = spec.simulated();
  node.labels = labels_of(spec.labels());
  if (spec.devices())
    for (const auto* device : *spec.devices()) {
      auto& known = node.devices.emplace_back();
      known.model = text(device->model());
      known.memory_bytes = device->memory_bytes();
      known.numa_node = device->numa_node();
      known.uuid = text(device->uuid());
      known.mig_of = text(device->mig_of());
      if (!device->links()) continue;
      for (const auto link : *device->links())
        known.links.push_back(static_cast<schema::DeviceLink>(link));
    }
  const auto inventory = static_cast<std::uint32_t>(work_.inventories.size());
  work_.inventories.push_back(std::move(node));
  changed({.kind = NodeChange::Kind::joined,
           .node = NodeId{body.node()},
           .inventory = inventory},
          at);
}

// -- sessions -----------------------------------------------------------------

Status Recorder::submitted(const schema::SessionSubmitted& body, Time at) {
  if (sessions_.size() >= sessions_max_)
    return fail(Errc::usage,
                fmt::format("more than {} sessions lie in this range: choose "
                            "a shorter one (--from, --to)",
                            sessions_max_));
  const schema::SessionSpec& spec = *body.spec();
  Seen& seen = sessions_[body.session()];
  seen = Seen{};
  seen.simulated = spec.simulated();
  seen.sim_duration_ns = spec.sim_duration_ns();
  seen.outcome.attempts = 1;
  Session& session = seen.session;
  session.id = SessionId{body.session()};
  session.request = work_.requests.index(cluster::request_of(spec));
  session.user = work_.users.index(text(spec.user()));
  session.project = work_.projects.index(text(spec.project()));
  session.name = work_.names.index(text(spec.name()));
  session.priority = spec.priority();
  session.requeue_max = spec.requeue_max();
  session.cut_off_ns = spec.cut_off_ns();
  session.on_preempt = spec.on_preempt();
  session.array = SessionId{spec.array_session()};
  session.array_index = spec.array_index();
  session.array_running_max = spec.array_running_max();
  session.submitted_at = at;
  session.counted = at <= work_.to;
  session.not_before = Time{spec.not_before_at()};
  session.time_limit_ns = spec.time_limit_ns();
  if (spec.after())
    for (const auto* dependency : *spec.after())
      session.after.push_back(*dependency);
  return {};
}

void Recorder::placed(Seen& seen, const schema::SessionPlaced& body, Time at) {
  seen.placed_at = at;
  seen.exits.clear();
  if (body.tasks()->size() > 1) seen.exits.resize(body.tasks()->size());
  seen.outcome.fate = Outcome::Fate::running;
  if (seen.outcome.started_at.value == 0) seen.outcome.started_at = at;
  seen.places.clear();
  if (at >= work_.from) return;
  for (const auto* task : *body.tasks()) {
    auto& place = seen.places.emplace_back();
    place.node = NodeId{task->node()};
    if (!task->devices()) continue;
    for (const auto* share : *task->devices())
      place.devices.push_back(
          {share->device(), share->milli(), share->memory_bytes()});
  }
}

// Before it lets go: it may have been told to.
void Recorder::made_room(Seen& seen, Time at) {
  const Time since = std::exchange(seen.leaves_since, Time{});
  if (since.value == 0 || seen.placed_at.value == 0 || at < work_.from) return;
  seen.session.leaving_ns =
      std::max(seen.session.leaving_ns, at.value - since.value);
  seen.at_least_ns = std::max(
      seen.at_least_ns, at.value - std::max(seen.placed_at, work_.from).value);
  if (since < work_.from) seen.session.leaves_at = at;
}

// The present attempt holds nothing any more.
void Recorder::let_go(Seen& seen, Time at) {
  if (seen.placed_at.value == 0) return;
  const Time from = std::max(seen.placed_at, work_.from);
  const auto since = [&](Time end) {
    return end > from ? end.value - from.value : 0;
  };
  if (seen.placed_at < work_.from && at >= work_.from) {
    seen.session.running_before = true;
    seen.session.counted = false;
    seen.session.placed_before = std::move(seen.places);
  }
  seen.session.duration_ns = since(at);
  seen.session.task_ns.clear();
  bool differ = false;
  for (const Time exit : seen.exits) {
    const bool open = exit.value == 0;
    seen.session.task_ns.push_back(since(open ? at : exit));
    differ |= seen.session.task_ns.back() != seen.session.duration_ns;
  }
  if (!differ) seen.session.task_ns.clear();
  seen.placed_at = Time{};
}

void Recorder::requeued(Seen& seen, const schema::SessionRequeued& body,
                        Time at) {
  made_room(seen, at);
  let_go(seen, at);
  seen.outcome.attempts = body.attempt();
  seen.outcome.fate = Outcome::Fate::waiting;
  if (at >= work_.from) return;
  // Its window begins with this attempt.
  Session& session = seen.session;
  session.submitted_at = at;
  session.not_before = Time{body.not_before_at()};
  if (counts_as_attempt(body.reason()))
    session.requeue_max -= std::min(session.requeue_max, 1u);
  seen.outcome.attempts = 1;
  seen.outcome.started_at = Time{};
}

// How it would have ended had it not made room is not known.
void Recorder::ended(Seen& seen, const schema::SessionEnded& body, Time at) {
  made_room(seen, at);
  let_go(seen, at);
  seen.evicted = body.reason() == schema::EndReason::preempted;
  seen.session.succeeds =
      seen.evicted || body.state() == SessionState::succeeded;
  seen.outcome.fate = Outcome::Fate::ended;
  seen.outcome.ended_at = at;
}

// It had to make room: it, and those of its tasks that ran, would have lasted
// as long as they may, or at least a moment more.
void Recorder::last_longer(Seen& seen) {
  Session& session = seen.session;
  const std::uint64_t held = session.duration_ns;
  session.duration_ns = std::max(seen.at_least_ns + 1, session.time_limit_ns);
  for (auto& task : session.task_ns)
    if (task == held) task = session.duration_ns;
}

// What is known of its length at the end; false: too little to take it along.
bool Recorder::settle(Seen& seen, Time at) {
  const bool started = seen.outcome.started_at.value > 0;
  if (seen.outcome.fate == Outcome::Fate::ended) {
    withdrawn_ += !started && seen.session.counted;
    if (!started || !seen.evicted) return started;
  }
  const bool runs = seen.placed_at.value > 0;
  if (runs) let_go(seen, at);
  seen.session.cut = true;
  if (seen.at_least_ns > 0 && seen.at_least_ns >= seen.session.duration_ns)
    last_longer(seen);
  if (seen.simulated) {
    seen.session.duration_ns =
        std::max(seen.session.duration_ns, seen.sim_duration_ns);
    seen.session.task_ns.clear();
    return true;
  }
  if (started) return true;
  seen.session.duration_ns = seen.session.time_limit_ns;
  const bool known = seen.session.time_limit_ns > 0;
  unknown_length_ += !known && seen.session.counted;
  return known;
}

// Those that are not in the workload have ended at a time that is known.
void Recorder::settle_dependencies(Session& session) const {
  if (session.running_before) {
    session.after.clear();
    session.not_before = Time{};
    return;
  }
  std::erase_if(session.after, [&](const schema::Dependency& dependency) {
    const auto other = sessions_.find(dependency.session());
    if (other == sessions_.end()) return true;
    const Seen& seen = other->second;
    if (!seen.taken)
      session.not_before = std::max(session.not_before, seen.outcome.ended_at);
    return !seen.taken;
  });
}

Recorded Recorder::finish(Time at) {
  std::vector<std::pair<Time, std::uint64_t>> taken;
  for (auto& [id, seen] : sessions_)
    if ((seen.taken = settle(seen, at)))
      taken.emplace_back(seen.session.submitted_at, id);
  std::sort(taken.begin(), taken.end());
  Recorded out;
  out.work.sessions.reserve(taken.size());
  out.outcomes.reserve(taken.size());
  for (const auto& [submitted_at, id] : taken) {
    Seen& seen = sessions_.at(id);
    settle_dependencies(seen.session);
    out.work.sessions.push_back(std::move(seen.session));
    out.outcomes.push_back(seen.outcome);
  }
  auto sessions = std::move(out.work.sessions);
  out.work = std::move(work_);
  out.work.sessions = std::move(sessions);
  out.withdrawn = withdrawn_;
  out.unknown_length = unknown_length_;
  return out;
}

}  // namespace reeve::cluster::simulation

#include "cluster/accounting/ledger.hpp"

#include <fmt/format.h>

#include "schema/wire.hpp"

namespace reeve::cluster::accounting {

using schema::EventBody;
using schema::SessionState;
using schema::text;

namespace {

Status contradiction(std::string_view what) {
  return fail(Errc::damaged, std::string(what));
}

NodePhase phase_of(const LedgerNode& node) {
  if (node.lost) return NodePhase::lost;
  return node.draining ? NodePhase::drained : NodePhase::up;
}

Rate capacity_of(const LedgerNode& node) {
  return {node.cpu_milli, node.memory_bytes,
          std::uint64_t{milli_per_device} * node.devices.size()};
}

}  // namespace

Status Ledger::apply(const schema::Event& event) {
  const Time at{event.time_at()};
  if (at < floor_)
    return fail(Errc::damaged,
                fmt::format("event {} is of a time {} ns before what was told "
                            "already",
                            event.seq(), floor_.value - at.value));
  if (floor_.value != 0) floor_ = at;
  Status status;
  switch (event.body_type()) {
    case EventBody::CellCreated:
      cell_ = text(event.body_as_CellCreated()->cell());
      break;
    case EventBody::NodeRegistered:
      status = registered(*event.body_as_NodeRegistered(), at);
      break;
    case EventBody::NodeLost:
    case EventBody::NodeReturned:
    case EventBody::NodeDrained:
    case EventBody::NodeResumed:
    case EventBody::NodeRemoved: status = node_changed(event); break;
    case EventBody::SessionSubmitted:
      status = submitted(*event.body_as_SessionSubmitted());
      break;
    case EventBody::SessionPlaced:
      status = placed(*event.body_as_SessionPlaced(), at);
      break;
    case EventBody::TaskStarted:
      status = started(*event.body_as_TaskStarted(), at);
      break;
    case EventBody::TaskExited:
      status = exited(*event.body_as_TaskExited(), at);
      break;
    case EventBody::SessionStopping:
      status = stopping(*event.body_as_SessionStopping());
      break;
    case EventBody::SessionRequeued:
      status = requeued(*event.body_as_SessionRequeued(), at);
      break;
    case EventBody::SessionEnded:
      status = ended(*event.body_as_SessionEnded(), at);
      break;
    case EventBody::EpochStarted:
    case EventBody::GroupCreated:
    case EventBody::ProjectCreated:
    case EventBody::UserCreated:
    case EventBody::AccountChanged:
    case EventBody::AccountRemoved:
    case EventBody::QuotaSet:
    case EventBody::QuotaRemoved:
    case EventBody::ReservationSet:
    case EventBody::ReservationRemoved:
    case EventBody::DeviceQuarantined:
    case EventBody::DeviceReleased:
    case EventBody::TokenCreated:
    case EventBody::TokenRevoked:
    case EventBody::IdentityAdded:
    case EventBody::IdentityRemoved:
    case EventBody::DeviceTestRequested:
    case EventBody::DeviceTested:
    case EventBody::LogHealed:
    case EventBody::SessionWarned:
    case EventBody::DeadlinePassed: break;
    case EventBody::NONE:
    default:
      return fail(
          Errc::damaged,
          fmt::format("event {} is of kind {}, which this program does "
                      "not know: this log is newer than this program",
                      event.seq(), static_cast<int>(event.body_type())));
  }
  if (status) return status;
  return fail(
      Errc::damaged,
      fmt::format("event {} ({}) contradicts the events before it: {}",
                  event.seq(), schema::EnumNameEventBody(event.body_type()),
                  status.error().text));
}

void Ledger::cut(Time at) {
  floor_ = at;
  for (auto& [id, session] : sessions_)
    for (std::uint32_t rank = 0; rank < session->tasks.size(); ++rank) {
      Task& task = session->tasks[rank];
      if (!task.holds) continue;
      tell(id, *session, rank, task, at, nullptr);
      task.from = at;
    }
  for (LedgerNode& node : nodes_)
    if (!node.removed) close_span(node, at);
}

SessionState Ledger::state_of(SessionId session) const {
  const auto found = sessions_.find(session.value);
  return found == sessions_.end() ? SessionState::pending
                                  : found->second->state;
}

Ledger::Session* Ledger::find(std::uint64_t session) {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Status Ledger::submitted(const schema::SessionSubmitted& body) {
  auto& slot = sessions_[body.session()];
  if (slot) return contradiction("the session is there already");
  slot = std::make_unique<Session>();
  const auto& spec = *body.spec();
  slot->name = text(spec.name());
  slot->user = texts_.intern(text(spec.user()));
  slot->project = texts_.intern(text(spec.project()));
  slot->group = texts_.intern(text(spec.group()));
  slot->cpu_milli = spec.request()->cpu_milli();
  slot->memory_bytes = spec.request()->memory_bytes();
  return {};
}

Status Ledger::placed(const schema::SessionPlaced& body, Time at) {
  Session* session = find(body.session());
  if (!session || !session->tasks.empty())
    return contradiction("the session does not wait");
  session->attempt = body.attempt();
  session->state = SessionState::placed;
  session->placed_at = at;
  session->started = 0;
  session->tasks.resize(body.tasks()->size());
  for (std::uint32_t rank = 0; rank < body.tasks()->size(); ++rank) {
    const auto* from = body.tasks()->Get(rank);
    if (from->node() >= nodes_.size())
      return contradiction("there is no such node");
    Task& task = session->tasks[rank];
    task.node = NodeId{from->node()};
    LedgerNode& node = nodes_[from->node()];
    if (from->devices())
      for (const auto* share : *from->devices()) {
        if (share->device() >= node.devices.size())
          return contradiction("there is no such device");
        task.devices.push_back(*share);
      }
    task.holds = true;
    task.from = at;
    count(node, at);
    node.used += rate(*session, task);
  }
  return {};
}

Status Ledger::started(const schema::TaskStarted& body, Time at) {
  Session* session = find(body.session());
  if (!session || body.rank() >= session->tasks.size())
    return contradiction("there is no such task");
  session->tasks[body.rank()].started_at = at;
  ++session->started;
  if (session->state != SessionState::stopping)
    session->state = session->started >= session->tasks.size()
                         ? SessionState::running
                         : SessionState::starting;
  return {};
}

Status Ledger::exited(const schema::TaskExited& body, Time at) {
  Session* session = find(body.session());
  if (!session || body.rank() >= session->tasks.size() ||
      !session->tasks[body.rank()].holds)
    return contradiction("there is no such task, or it has exited before");
  End end{body.reason()};
  if (body.facts()) {
    end.exit_code = body.facts()->exit_code();
    end.signal = body.facts()->signal();
  }
  release(body.session(), *session, body.rank(), session->tasks[body.rank()],
          at, end);
  return {};
}

Status Ledger::stopping(const schema::SessionStopping& body) {
  Session* session = find(body.session());
  if (!session) return contradiction("there is no such session");
  session->state = SessionState::stopping;
  return {};
}

Status Ledger::requeued(const schema::SessionRequeued& body, Time at) {
  Session* session = find(body.session());
  if (!session) return contradiction("there is no such session");
  release_all(body.session(), *session, at, {body.reason()});
  if (!session->tasks.empty())
    sink_.attempt_ended({SessionId{body.session()}, session->attempt, at,
                         SessionState::pending, body.reason()});
  session->tasks.clear();
  session->attempt = body.attempt();
  session->state = SessionState::pending;
  return {};
}

Status Ledger::ended(const schema::SessionEnded& body, Time at) {
  Session* session = find(body.session());
  if (!session) return contradiction("there is no such session");
  release_all(body.session(), *session, at,
              {body.reason(), body.exit_code(), body.signal()});
  sink_.attempt_ended({SessionId{body.session()}, session->attempt, at,
                       body.state(), body.reason(), body.exit_code(),
                       body.signal()});
  texts_.release(session->user);
  texts_.release(session->project);
  texts_.release(session->group);
  sessions_.erase(body.session());
  return {};
}

Status Ledger::registered(const schema::NodeRegistered& body, Time at) {
  if (body.node() > nodes_.size())
    return contradiction(
        fmt::format("node {} is registered, but the next new "
                    "one is {}",
                    body.node(), nodes_.size()));
  if (body.node() == nodes_.size()) {
    nodes_.emplace_back();
    nodes_.back().since = nodes_.back().counted = at;
  }
  LedgerNode& node = nodes_[body.node()];
  close_span(node, at);
  const auto& spec = *body.spec();
  node.name = text(spec.name());
  node.group = spec.group() ? text(spec.group()) : "default";
  node.cpu_milli = spec.cpu_milli();
  node.memory_bytes = spec.memory_bytes();
  node.devices.clear();
  if (spec.devices())
    for (const auto* device : *spec.devices())
      node.devices.push_back({std::string(text(device->uuid())),
                              std::string(text(device->model()))});
  return {};
}

Status Ledger::node_changed(const schema::Event& event) {
  const Time at{event.time_at()};
  const auto change = [&](std::uint32_t id, auto&& set) -> Status {
    if (id >= nodes_.size()) return contradiction("there is no such node");
    close_span(nodes_[id], at);
    set(nodes_[id]);
    return {};
  };
  switch (event.body_type()) {
    case EventBody::NodeLost:
      return change(event.body_as_NodeLost()->node(),
                    [](LedgerNode& node) { node.lost = true; });
    case EventBody::NodeReturned:
      return change(event.body_as_NodeReturned()->node(),
                    [](LedgerNode& node) { node.lost = false; });
    case EventBody::NodeDrained:
      return change(event.body_as_NodeDrained()->node(),
                    [](LedgerNode& node) { node.draining = true; });
    case EventBody::NodeResumed:
      return change(event.body_as_NodeResumed()->node(),
                    [](LedgerNode& node) { node.draining = false; });
    default:
      return change(event.body_as_NodeRemoved()->node(),
                    [](LedgerNode& node) { node.removed = true; });
  }
}

Rate Ledger::rate(const Session& session, const Task& task) const {
  Rate out{session.cpu_milli, session.memory_bytes, 0};
  for (const auto& share : task.devices) out.gpu_milli += share.milli();
  return out;
}

void Ledger::release(std::uint64_t id, const Session& session,
                     std::uint32_t rank, Task& task, Time at, const End& end) {
  LedgerNode& node = nodes_[task.node.value];
  count(node, at);
  node.used -= rate(session, task);
  task.holds = false;
  tell(id, session, rank, task, at, &end);
}

void Ledger::release_all(std::uint64_t id, Session& session, Time at,
                         const End& end) {
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank)
    if (session.tasks[rank].holds)
      release(id, session, rank, session.tasks[rank], at, end);
}

void Ledger::tell(std::uint64_t id, const Session& session, std::uint32_t rank,
                  const Task& task, Time to, const End* end) {
  if (to <= task.from) return;
  Holding out;
  out.session = SessionId{id};
  out.attempt = session.attempt;
  out.rank = rank;
  out.node = task.node;
  out.placed_at = session.placed_at;
  out.started_at = task.started_at;
  out.from = task.from;
  out.to = to;
  out.cpu_milli = session.cpu_milli;
  out.memory_bytes = session.memory_bytes;
  out.devices = task.devices;
  out.name = session.name;
  out.user = texts_.get(session.user);
  out.project = texts_.get(session.project);
  out.group = texts_.get(session.group);
  if (end) {
    out.ended = true;
    out.reason = end->reason;
    out.exit_code = end->exit_code;
    out.signal = end->signal;
  }
  sink_.held(out);
}

// What its tasks held since the last count.
void Ledger::count(LedgerNode& node, Time at) {
  if (at <= node.counted) return;
  node.amount += over(node.used, at.value - node.counted.value);
  node.counted = at;
}

void Ledger::close_span(LedgerNode& node, Time at) {
  count(node, at);
  if (at > node.since && !node.removed) {
    const NodeId id{static_cast<std::uint32_t>(&node - nodes_.data())};
    sink_.node_was({id, node.name, node.group, phase_of(node), node.since, at,
                    capacity_of(node), node.amount});
  }
  node.since = at;
  node.amount = {};
}

}  // namespace reeve::cluster::accounting

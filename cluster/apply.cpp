// State::apply: one case for each kind of event. No decision is taken here.
// What is told of devices is in apply_device.cpp.
#include "cluster/apply.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/device_tests.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

// Of a later release it may be another one.
bool names_known_kind(const schema::Event& event) {
  using schema::EventBody;
  auto kind = schema::AccountKind::user;
  switch (event.body_type()) {
    case EventBody::AccountChanged:
      kind = event.body_as_AccountChanged()->account()->kind();
      break;
    case EventBody::AccountRemoved:
      kind = event.body_as_AccountRemoved()->kind();
      break;
    case EventBody::QuotaSet: kind = event.body_as_QuotaSet()->kind(); break;
    case EventBody::QuotaRemoved:
      kind = event.body_as_QuotaRemoved()->kind();
      break;
    default: break;
  }
  return kind <= schema::AccountKind::MAX;
}

template <class Body>
const Body& body_of(const schema::Event& event) {
  return *static_cast<const Body*>(event.body());
}

}  // namespace

Status contradiction(const schema::Event& event, std::string_view what) {
  return fail(
      Errc::damaged,
      fmt::format("event {} ({}) contradicts the state: {}", event.seq(),
                  schema::EnumNameEventBody(event.body_type()), what));
}

Status State::apply(const schema::Event& event) {
  if (event.seq() != last_sequence_.value + 1)
    return fail(Errc::damaged,
                fmt::format("event {} follows event {}: the log has a hole",
                            event.seq(), last_sequence_.value));
  if (event.epoch() < epoch_.value)
    return contradiction(
        event, fmt::format("it is of epoch {}, and {} has begun before it",
                           event.epoch(), epoch_.value));
  using schema::EventBody;
  accounts_.advance(Time{event.time_at()});
  Status status;
  switch (event.body_type()) {
    case EventBody::CellCreated:
      status = apply_cell_created(body_of<schema::CellCreated>(event));
      break;
    case EventBody::EpochStarted:
      status = apply_epoch(event, body_of<schema::EpochStarted>(event));
      break;
    case EventBody::GroupCreated:
    case EventBody::ProjectCreated:
    case EventBody::UserCreated:
    case EventBody::AccountChanged:
    case EventBody::AccountRemoved:
    case EventBody::QuotaSet:
    case EventBody::QuotaRemoved:
      if (names_known_kind(event))
        accounts_.apply(event);
      else
        status = contradiction(event,
                               "its account is of a kind that this program "
                               "does not know");
      break;
    case EventBody::NodeRegistered:
      status = apply_node_registered(body_of<schema::NodeRegistered>(event));
      break;
    case EventBody::NodeLost:
    case EventBody::NodeReturned:
    case EventBody::NodeDrained:
    case EventBody::NodeResumed:
    case EventBody::NodeRemoved: status = apply_node_change(event); break;
    case EventBody::DeviceQuarantined:
      status =
          apply_quarantined(event, body_of<schema::DeviceQuarantined>(event));
      break;
    case EventBody::DeviceReleased:
      status = apply_released(event, body_of<schema::DeviceReleased>(event));
      break;
    case EventBody::DeviceTestRequested:
      status = apply_test_requested(
          event, body_of<schema::DeviceTestRequested>(event));
      break;
    case EventBody::DeviceTested:
      status = apply_tested(event, body_of<schema::DeviceTested>(event));
      break;
    case EventBody::SessionSubmitted:
      status = apply_submitted(event, body_of<schema::SessionSubmitted>(event));
      break;
    case EventBody::SessionPlaced:
      status = apply_placed(event, body_of<schema::SessionPlaced>(event));
      break;
    case EventBody::TaskStarted:
      status = apply_started(event, body_of<schema::TaskStarted>(event));
      break;
    case EventBody::TaskExited:
      status = apply_exited(event, body_of<schema::TaskExited>(event));
      break;
    case EventBody::DeadlinePassed:
      if (Session* session =
              find(body_of<schema::DeadlinePassed>(event).session()))
        session->last_seq = Sequence{event.seq()};
      break;
    case EventBody::SessionStopping:
      status = apply_stopping(event, body_of<schema::SessionStopping>(event));
      break;
    case EventBody::SessionRequeued:
      status = apply_requeued(event, body_of<schema::SessionRequeued>(event));
      break;
    case EventBody::SessionWarned:
      status = apply_warned(event, body_of<schema::SessionWarned>(event));
      break;
    case EventBody::ReservationSet:
    case EventBody::ReservationRemoved: reservations_.apply(event); break;
    case EventBody::TokenCreated:
    case EventBody::TokenRevoked:
    case EventBody::IdentityAdded:
    case EventBody::IdentityRemoved:
      if (const Status taken = identities_.apply(event); !taken)
        status = contradiction(event, taken.error().text);
      break;
    case EventBody::LogHealed:
      healings_.set(healing_of(*body_of<schema::LogHealed>(event).healing()),
                    Sequence{event.seq()}, Time{event.time_at()});
      break;
    case EventBody::SessionEnded:
      status = apply_ended(event, body_of<schema::SessionEnded>(event));
      break;
    case EventBody::NONE:
    default:
      return fail(
          Errc::damaged,
          fmt::format("event {} is of kind {}, which this program does "
                      "not know: this log is newer than this program",
                      event.seq(), static_cast<int>(event.body_type())));
  }
  if (!status) return status;
  last_sequence_ = Sequence{event.seq()};
  last_time_ = Time{event.time_at()};
  epoch_ = Epoch{event.epoch()};
  remember(event);
  return {};
}

Status State::apply_epoch(const schema::Event& event,
                          const schema::EpochStarted& body) {
  if (body.first_session() == 0) return {};
  if (body.first_session() < next_session_)
    return contradiction(
        event, fmt::format("sessions go on at s-{}, but the next new one is "
                           "s-{}",
                           body.first_session(), next_session_));
  next_session_ = body.first_session();
  return {};
}

Status State::apply_cell_created(const schema::CellCreated& body) {
  cell_ = schema::text(body.cell());
  owner_ = schema::text(body.owner());
  return {};
}

void State::load_node(Node& node, std::string_view agent,
                      const schema::NodeSpec& spec) {
  node.name = schema::text(spec.name());
  node.agent = agent;
  node.group = spec.group() ? schema::text(spec.group()) : "default";
  node.cpu_milli = spec.cpu_milli();
  node.memory_bytes = spec.memory_bytes();
  node.simulated = spec.simulated();
  node.limits.clear();
  if (spec.limits())
    for (const auto* limit : *spec.limits())
      node.limits.emplace_back(schema::text(limit));
  node.labels = labels_of(spec.labels());
  const std::size_t count = spec.devices() ? spec.devices()->size() : 0;
  node.devices.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto* from = spec.devices()->Get(static_cast<unsigned>(i));
    Device& device = node.devices[i];
    device.uuid = schema::text(from->uuid());
    device.model = schema::text(from->model());
    device.memory_bytes = from->memory_bytes();
    device.numa_node = from->numa_node();
    device.mig_of = schema::text(from->mig_of());
    device.links.clear();
    if (from->links())
      for (const auto link : *from->links())
        device.links.push_back(static_cast<schema::DeviceLink>(link));
  }
  mark_slow(node);
}

Status State::apply_node_registered(const schema::NodeRegistered& body) {
  if (body.node() > nodes_.size() || body.node() >= nodes_max)
    return fail(Errc::damaged,
                fmt::format("node {} is registered, but the next new one is {}",
                            body.node(), nodes_.size()));
  if (body.node() == nodes_.size()) {
    const std::string name(schema::text(body.spec()->name()));
    const auto [bearer, fresh] = node_by_name_.try_emplace(name, body.node());
    if (!fresh)
      nodes_[std::exchange(bearer->second, body.node())].barred = false;
    nodes_.emplace_back();
    nodes_.back().id = NodeId{body.node()};
  }
  Node& node = nodes_[body.node()];
  const std::size_t count =
      body.spec()->devices() ? body.spec()->devices()->size() : 0;
  for (std::size_t i = count; i < node.devices.size(); ++i)
    if (node.devices[i].used_milli > 0)
      return fail(Errc::damaged,
                  fmt::format("node {} is registered without device {}, which "
                              "a task holds",
                              body.node(), i));
  uncount_shape(node);
  load_node(node, schema::text(body.agent()), *body.spec());
  node.version = schema::text(body.version());
  node.protocol = body.protocol();
  count_shape(node, shape_of(*body.spec()));
  return {};
}

Status State::apply_node_change(const schema::Event& event) {
  using schema::EventBody;
  const auto get = [&](std::uint32_t id) -> Node* {
    return id < nodes_.size() ? &nodes_[id] : nullptr;
  };
  Node* node = nullptr;
  switch (event.body_type()) {
    case EventBody::NodeLost:
      node = get(body_of<schema::NodeLost>(event).node());
      if (node) node->lost = true;
      break;
    case EventBody::NodeReturned:
      node = get(body_of<schema::NodeReturned>(event).node());
      if (node) node->lost = false;
      break;
    case EventBody::NodeDrained: {
      const auto& body = body_of<schema::NodeDrained>(event);
      node = get(body.node());
      if (!node) break;
      node->draining = true;
      node->drain_reason = schema::text(body.reason());
      node->drain_deadline = Time{body.deadline_at()};
      node->refused = body.refused();
      break;
    }
    case EventBody::NodeResumed:
      node = get(body_of<schema::NodeResumed>(event).node());
      if (!node) break;
      node->draining = false;
      node->drain_reason.clear();
      node->drain_deadline = Time{};
      node->refused = false;
      // Removed it stays: who bears the name next is a new node.
      if (std::exchange(node->barred, false)) node_by_name_.erase(node->name);
      break;
    default:
      node = get(body_of<schema::NodeRemoved>(event).node());
      if (!node) break;
      if (std::exchange(node->removed, true)) break;
      node->barred = true;
      uncount_shape(*node);
      break;
  }
  if (!node) return contradiction(event, "there is no such node");
  return {};
}

void State::load_spec(Session& session, const schema::SessionSpec& spec) {
  pack_own(spec, scratch_);
  session.own = std::make_unique_for_overwrite<char[]>(scratch_.size());
  session.own_bytes = static_cast<std::uint32_t>(scratch_.size());
  std::copy(scratch_.begin(), scratch_.end(), session.own.get());
  pack_request(spec, scratch_);
  session.request = texts_.intern(scratch_);
  pack_context(spec, scratch_);
  session.context = texts_.intern(scratch_);
  if (owners_by_context_.size() <= session.context)
    owners_by_context_.resize(session.context + 1);
  Owners& owners = owners_by_context_[session.context];
  const std::string_view group = schema::text(spec.group());
  if (texts_.users(session.context) == 1)
    owners = accounts_.owners(schema::text(spec.user()),
                              schema::text(spec.project()), group);
  session.owners = owners;
  // Sessions with one context may be in several groups.
  session.owners.group = accounts_.place_of(AccountKind::group, group);
  session.priority = spec.priority();
  session.cpu_milli = spec.request()->cpu_milli();
  session.memory_bytes = spec.request()->memory_bytes();
  session.tasks_wanted = spec.tasks();
  session.requeue_max = spec.requeue_max();
  session.simulated = spec.simulated();
  session.warns = spec.warn_signal() != 0;
  session.on_preempt = spec.on_preempt();
  session.grace_ns = spec.grace_ns();
  session.depends = spec.after() && spec.after()->size() > 0;
  session.reserves = !schema::text(spec.reservation()).empty();
  session.time_limit_ns = spec.time_limit_ns();
  session.sim_duration_ns = spec.sim_duration_ns();
  session.not_before = Time{spec.not_before_at()};
}

Status State::apply_submitted(const schema::Event& event,
                              const schema::SessionSubmitted& body) {
  if (body.session() != next_session_)
    return contradiction(event, fmt::format("session s-{} is submitted, but "
                                            "the next new one is s-{}",
                                            body.session(), next_session_));
  ++next_session_;
  Session& session = create_session(body.session());
  load_spec(session, *body.spec());
  session.submitted_seq = session.last_seq = Sequence{event.seq()};
  session.submitted_at = session.state_at = Time{event.time_at()};
  count(session, SessionState::pending);
  return {};
}

Status State::apply_placed(const schema::Event& event,
                           const schema::SessionPlaced& body) {
  Session* session = find(body.session());
  if (!session || session->state != SessionState::pending)
    return contradiction(event, "the session does not wait");
  if (session->attempt != body.attempt())
    return contradiction(event, "the session is at another attempt");
  session->tasks.resize(body.tasks()->size());
  for (unsigned rank = 0; rank < body.tasks()->size(); ++rank) {
    const auto* from = body.tasks()->Get(rank);
    if (from->node() >= nodes_.size())
      return contradiction(event, "there is no such node");
    Task& task = session->tasks[rank];
    task.node = NodeId{from->node()};
    if (from->devices()) {
      task.devices.reserve(from->devices()->size());
      for (const auto* share : *from->devices()) {
        if (share->device() >= nodes_[from->node()].devices.size())
          return contradiction(event, "there is no such device");
        task.devices.push_back(*share);
      }
    }
    hold(*session, task);
  }
  session->placed_at = Time{event.time_at()};
  session->last_seq = Sequence{event.seq()};
  set_state(*session, SessionState::placed, Time{event.time_at()});
  return {};
}

Status State::apply_started(const schema::Event& event,
                            const schema::TaskStarted& body) {
  Session* session = find(body.session());
  if (!session || body.rank() >= session->tasks.size())
    return contradiction(event, "there is no such task");
  Task& task = session->tasks[body.rank()];
  if (task.phase != TaskPhase::placed)
    return contradiction(event, "the task has started before");
  if (session->attempt != body.attempt())
    return contradiction(event, "the session is at another attempt");
  task.phase = TaskPhase::started;
  task.pid = body.pid();
  // Never 0: this is how a snapshot knows that an exited task had started.
  task.facts.mutate_started_at(body.started_at() ? body.started_at()
                                                 : event.time_at());
  if (body.detail())
    session->detail =
        std::make_unique<std::string>(schema::text(body.detail()));
  ++session->tasks_started;
  session->last_seq = Sequence{event.seq()};
  if (session->state == SessionState::stopping) return {};
  const bool all = session->tasks_started == session->tasks.size();
  if (all) session->started_at = Time{event.time_at()};
  const SessionState next =
      all ? SessionState::running : SessionState::starting;
  if (session->state != next) set_state(*session, next, Time{event.time_at()});
  return {};
}

Status State::apply_exited(const schema::Event& event,
                           const schema::TaskExited& body) {
  Session* session = find(body.session());
  if (!session || body.rank() >= session->tasks.size())
    return contradiction(event, "there is no such task");
  Task& task = session->tasks[body.rank()];
  if (task.phase == TaskPhase::exited)
    return contradiction(event, "the task has exited before");
  if (session->attempt != body.attempt())
    return contradiction(event, "the session is at another attempt");
  release(*session, task);
  task.phase = TaskPhase::exited;
  task.reason = body.reason();
  const std::uint64_t started_at = task.facts.started_at();
  if (body.facts()) task.facts = *body.facts();
  task.facts.mutate_started_at(started_at);
  ++session->tasks_exited;
  session->last_seq = Sequence{event.seq()};
  return {};
}

Status State::apply_stopping(const schema::Event& event,
                             const schema::SessionStopping& body) {
  Session* session = find(body.session());
  if (!session || has_ended(session->state) ||
      session->state == SessionState::pending)
    return contradiction(event, "the session has nothing to stop");
  session->reason = body.reason();
  if (body.detail())
    session->detail =
        std::make_unique<std::string>(schema::text(body.detail()));
  session->stopping_for = SessionId{body.for_session()};
  session->last_seq = Sequence{event.seq()};
  set_state(*session, SessionState::stopping, Time{event.time_at()});
  return {};
}

Status State::apply_requeued(const schema::Event& event,
                             const schema::SessionRequeued& body) {
  Session* session = find(body.session());
  if (!session || has_ended(session->state))
    return contradiction(event, "the session has ended or never was");
  release_all(*session);
  session->tasks.clear();
  session->tasks_started = session->tasks_exited = 0;
  session->attempt = body.attempt();
  if (!counts_as_attempt(body.reason())) ++session->preemptions;
  session->warned = false;
  session->stopping_for = SessionId{};
  session->reason = body.reason();
  session->detail.reset();
  session->not_before = Time{body.not_before_at()};
  session->placed_at = session->started_at = Time{};
  session->last_seq = Sequence{event.seq()};
  set_state(*session, SessionState::pending, Time{event.time_at()});
  return {};
}

Status State::apply_warned(const schema::Event& event,
                           const schema::SessionWarned& body) {
  Session* session = find(body.session());
  if (!session || session->state != SessionState::running)
    return contradiction(event, "the session does not run");
  if (session->attempt != body.attempt())
    return contradiction(event, "the session is at another attempt");
  session->warned = true;
  session->last_seq = Sequence{event.seq()};
  return {};
}

Status State::apply_ended(const schema::Event& event,
                          const schema::SessionEnded& body) {
  Session* session = find(body.session());
  if (!session || has_ended(session->state) || !has_ended(body.state()))
    return contradiction(event, "the session has ended or never was");
  if (body.state() > SessionState::MAX)
    return contradiction(event, "a session has no such state");
  release_all(*session);
  session->reason = body.reason();
  session->exit_code = body.exit_code();
  session->signal = body.signal();
  if (body.detail())
    session->detail =
        std::make_unique<std::string>(schema::text(body.detail()));
  session->ended_at = Time{event.time_at()};
  session->stopping_for = SessionId{};
  session->last_seq = Sequence{event.seq()};
  set_state(*session, body.state(), Time{event.time_at()});
  ended_.push_back(session->id.value);
  if (ended_.size() > ended_sessions_max) evict_oldest_ended();
  return {};
}

}  // namespace reeve::cluster

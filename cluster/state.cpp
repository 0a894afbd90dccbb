#include "cluster/state.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/plant.hpp"

namespace reeve::cluster {

State::State() = default;
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

const Quarantines::value_type* Node::quarantine_of(const Device& device) const {
  if (quarantined.empty()) return nullptr;
  auto found = quarantined.find(device.uuid);
  if (found == quarantined.end() && !device.mig_of.empty())
    found = quarantined.find(device.mig_of);
  return found == quarantined.end() ? nullptr : &*found;
}

const Node* State::node(NodeId id) const {
  return id.value < nodes_.size() ? &nodes_[id.value] : nullptr;
}

const Node* State::node(std::string_view name) const {
  const auto found = node_by_name_.find(std::string(name));
  if (found == node_by_name_.end()) return nullptr;
  const Node& node = nodes_[found->second];
  return node.removed ? nullptr : &node;
}

const Node* State::barred_node(std::string_view name) const {
  const auto found = node_by_name_.find(std::string(name));
  if (found == node_by_name_.end()) return nullptr;
  const Node& node = nodes_[found->second];
  return node.barred ? &node : nullptr;
}

void State::count_shape(Node& node, Shape shape) {
  for (std::uint32_t i = 0; i < shapes_.size(); ++i) {
    shape.count = shapes_[i].count;
    if (shape != shapes_[i]) continue;
    ++shapes_[i].count;
    node.shape = i;
    return;
  }
  shape.count = 1;
  node.shape = static_cast<std::uint32_t>(shapes_.size());
  shapes_.push_back(std::move(shape));
}

void State::uncount_shape(Node& node) {
  if (node.shape >= shapes_.size()) return;
  --shapes_[node.shape].count;
  node.shape = ~std::uint32_t{0};
}

const Session* State::session(SessionId id) const {
  return const_cast<State*>(this)->find(id.value);
}

Session* State::find(std::uint64_t id) {
  if (id < first_session_ || id - first_session_ >= slots_.size())
    return nullptr;
  const std::uint32_t slot = slots_[id - first_session_];
  return slot == no_slot ? nullptr : &at_slot(slot);
}

Session& State::create_session(std::uint64_t id) {
  if (slots_.empty()) first_session_ = id;
  while (first_session_ + slots_.size() < id) slots_.push_back(no_slot);
  if (free_slots_.empty()) {
    const auto base =
        static_cast<std::uint32_t>(pages_.size()) * sessions_per_page;
    pages_.push_back(std::make_unique<Page>());
    for (std::uint32_t i = sessions_per_page; i-- > 0;)
      free_slots_.push_back(base + i);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_.push_back(slot);
  Session& session = at_slot(slot);
  session.id = SessionId{id};
  return session;
}

void State::evict_oldest_ended() {
  const std::uint64_t id = ended_.front();
  ended_.pop_front();
  ++ended_evicted_;
  std::uint32_t& slot = slots_[id - first_session_];
  Session& session = at_slot(slot);
  texts_.release(session.request);
  texts_.release(session.context);
  --counts_[static_cast<std::size_t>(session.state)];
  session = Session{};
  free_slots_.push_back(slot);
  slot = no_slot;
  while (!slots_.empty() && slots_.front() == no_slot) {
    slots_.pop_front();
    ++first_session_;
  }
}

void State::count(const Session& session, SessionState state) {
  ++counts_[static_cast<std::size_t>(state)];
  accounts_.add(session.owners, amounts_of(state));
}

void State::uncount(const Session& session) {
  --counts_[static_cast<std::size_t>(session.state)];
  accounts_.remove(session.owners, amounts_of(session.state));
}

void State::set_state(Session& session, SessionState state, Time at) {
  uncount(session);
  count(session, state);
  session.state = state;
  session.state_at = at;
}

void State::hold(Session& session, Task& task) {
  Node& node = nodes_[task.node.value];
  node.used_cpu_milli += session.cpu_milli;
  node.used_memory_bytes += session.memory_bytes;
  for (const auto& share : task.devices) {
    Device& device = node.devices[share.device()];
    device.used_milli += share.milli();
    device.used_memory_bytes += share.memory_bytes();
    if (share.milli() == milli_per_device) continue;
    device.users.add(session.owners.user);
    device.projects.add(session.owners.project);
  }
  node.holders.push_back(session.id);
  accounts_.add(session.owners, amounts_of(session, task));
}

void State::release(Session& session, Task& task) {
  Node& node = nodes_[task.node.value];
  REEVE_CHECK(node.used_cpu_milli >= session.cpu_milli &&
                  node.used_memory_bytes >= session.memory_bytes,
              fmt::format("s-{} releases more than node {} has given",
                          session.id.value, node.name));
  node.used_cpu_milli -= session.cpu_milli;
  if (planted(Plant::release_twice) && node.used_cpu_milli >= session.cpu_milli)
    node.used_cpu_milli -= session.cpu_milli;
  node.used_memory_bytes -= session.memory_bytes;
  for (const auto& share : task.devices) {
    Device& device = node.devices[share.device()];
    REEVE_CHECK(device.used_milli >= share.milli(),
                fmt::format("s-{} releases more than device {} of node {} gave",
                            session.id.value, share.device(), node.name));
    device.used_milli -= share.milli();
    device.used_memory_bytes -= share.memory_bytes();
    if (share.milli() == milli_per_device) continue;
    device.users.remove(session.owners.user);
    device.projects.remove(session.owners.project);
  }
  // Recent holders end first as often as not: look from the back.
  const auto found =
      std::find(node.holders.rbegin(), node.holders.rend(), session.id);
  REEVE_CHECK(found != node.holders.rend(), "a holder was not on its node");
  *found = node.holders.back();
  node.holders.pop_back();
  accounts_.remove(session.owners, amounts_of(session, task));
}

void State::release_all(Session& session) {
  for (Task& task : session.tasks) {
    if (task.phase == TaskPhase::exited) continue;
    release(session, task);
    task.phase = TaskPhase::exited;
    ++session.tasks_exited;
  }
}

std::uint64_t State::live_sessions() const {
  std::uint64_t live = 0;
  for (std::size_t i = 0; i < session_states; ++i)
    if (!has_ended(static_cast<SessionState>(i))) live += counts_[i];
  return live;
}

Spec State::spec(const Session& session) const {
  Spec spec;
  unpack_request(texts_.get(session.request), spec);
  unpack_context(texts_.get(session.context), spec);
  unpack_own({session.own.get(), session.own_bytes}, spec);
  spec.priority = session.priority;
  spec.time_limit_ns = session.time_limit_ns;
  spec.not_before_at = session.not_before.value;
  spec.requeue_max = session.requeue_max;
  spec.sim_duration_ns = session.sim_duration_ns;
  return spec;
}

void State::visit_array(
    SessionId first, const std::function<void(const Session&)>& visit) const {
  if (first.value == 0) return;
  // Their ids follow each other, and what they have in common names the array.
  const Session* member = nullptr;
  visit_sessions(first, [&](const Session& session) {
    const bool same = member ? session.context == member->context
                             : spec(session).array_session == first.value;
    if (!same) return false;
    member = &session;
    visit(session);
    return true;
  });
}

std::uint32_t State::array_size(SessionId first) const {
  std::uint32_t size = 0;
  visit_array(first, [&](const Session&) { ++size; });
  return std::max(size, 1u);
}

std::string_view State::user(const Session& session) const {
  return accounts_.at(session.owners.user).name;
}

bool State::may_administer(std::string_view principal) const {
  if (principal == owner_) return true;
  const Account* user = accounts_.find(AccountKind::user, principal);
  return user != nullptr && user->admin;
}

namespace {

// The session that the answer to the event's command names, if it is the first
// of its decision.
SessionId answered_session(const schema::Event& event) {
  using schema::EventBody;
  switch (event.body_type()) {
    case EventBody::SessionSubmitted:
      return SessionId{event.body_as_SessionSubmitted()->session()};
    case EventBody::SessionStopping:
      return SessionId{event.body_as_SessionStopping()->session()};
    case EventBody::SessionEnded:
      return SessionId{event.body_as_SessionEnded()->session()};
    default: return SessionId{};
  }
}

}  // namespace

void State::remember(const schema::Event& event) {
  const auto* id = event.command_id();
  if (!id || (id->high() == 0 && id->low() == 0)) return;
  const SessionId session = answered_session(event);
  const CommandRing::Key key{id->high(), id->low()};
  CommandAnswer* known = commands_.find(key);
  if (!known) return commands_.push(key, {Sequence{event.seq()}, session});
  if (known->session.value == 0) known->session = session;
}

std::optional<CommandAnswer> State::answered(
    const schema::Id128& command) const {
  const auto* known = commands_.find({command.high(), command.low()});
  if (!known) return std::nullopt;
  return *known;
}

Amounts amounts_of(const Session& session, const Task& task) {
  Amounts out{0, 0, session.cpu_milli, session.memory_bytes, 0};
  for (const auto& share : task.devices) out.gpu_milli += share.milli();
  return out;
}

Amounts wanted_amounts(const Spec& spec) {
  const std::uint64_t tasks = spec.tasks;
  return {1, 0, tasks * spec.cpu_milli, tasks * spec.memory_bytes,
          tasks * spec.gpus * spec.gpu_milli};
}

Amounts amounts_of(SessionState state) {
  Amounts out;
  if (state == SessionState::pending) {
    out.waiting = 1;
  } else if (!has_ended(state)) {
    out.sessions = 1;
  }
  return out;
}

std::uint64_t grace_of(const Session& session) {
  if (session.grace_ns == 0) return stop_grace_ns;
  return session.reason == EndReason::cell_stopped ? grace_at_cell_stop(session)
                                                   : session.grace_ns;
}

std::uint64_t grace_at_cell_stop(const Session& session) {
  return std::min(session.grace_ns == 0 ? stop_grace_ns : session.grace_ns,
                  cell_stop_grace_ns);
}

namespace {

// From when on a session that waits could be placed, were there room: its own
// time, and the beginning of the window that it may use.
Time waits_since(const State& state, const Session& session) {
  const Time since = std::max(session.state_at, session.not_before);
  if (!session.reserves) return since;
  const Reservation* reservation =
      state.reservations().find(state.spec(session).reservation);
  const auto window =
      reservation ? reservation->window_at(since) : std::nullopt;
  return window ? std::max(since, window->from) : since;
}

}  // namespace

Time deadline_of(const State& state, const Session& session) {
  const auto after = [&](Time from, std::uint64_t limit_ns) {
    return Time{from.value + limit_ns};
  };
  switch (session.state) {
    case SessionState::pending:
      return after(waits_since(state, session), pending_ns_max);
    case SessionState::placed:
    case SessionState::starting: return after(session.placed_at, start_ns_max);
    case SessionState::running:
      return after(session.started_at, session.time_limit_ns
                                           ? session.time_limit_ns
                                           : running_ns_max);
    case SessionState::stopping:
      return after(session.state_at,
                   stopping_ns_max - stop_grace_ns + grace_of(session));
    default: return Time{};
  }
}

}  // namespace reeve::cluster

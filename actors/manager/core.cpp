#include "actors/manager/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "actors/manager/messages.hpp"
#include "cluster/check.hpp"
#include "cluster/plant.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {

using cluster::Decision;
using cluster::has_ended;
using cluster::Rejection;
using schema::SessionState;

Core::Core(State state, Options options)
    : state_(std::move(state)),
      options_(options),
      writer_(Sequence{state_.last_sequence().value + 1},
              Epoch{state_.epoch().value + 1}),
      clock_(state_.last_time()),
      durable_(state_.last_sequence()) {
  admission_.waiting_max = options.waiting_max;
  writer_.set_time_floor(state_.last_time());
}

Origin Core::origin(Time now, std::string_view principal) const {
  return {now, principal, {}};
}

void Core::start(std::string_view cell, std::string_view owner,
                 std::uint32_t owner_uid, std::string_view manager, Time now) {
  now_ = now = clock_.at(now);
  checked_at_ = now;
  manager_ = manager;
  if (state_.last_sequence().value == 0)
    cluster::decide_creation(cell, owner, owner_uid, origin(now), writer_);
  cluster::decide_epoch(manager, origin(now), writer_);
  absorb();
  for (const auto& node : state_.nodes())
    if (!node.removed) {
      Agent& agent = agents_[node.agent];
      agent.seen = now;
      agent.lost = agent.lost || node.lost;
    }
  state_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (has_ended(session.state)) return true;
    link_dependencies(session);
    if (session.reserves && session.state == SessionState::pending)
      reserving_.insert(session.id.value);
    arm(session);
    // Of tasks that have started, only simulated ones are launched again.
    want_launch(session);
    if (session.state == SessionState::stopping) want_stop(session);
    if (session.warned) want_warning(session);
    for (const auto& task : session.tasks)
      if (task.phase != cluster::TaskPhase::exited &&
          state_.node(task.node)->lost)
        orphaned_.push_back(session.id.value);
    return true;
  });
  doubt_reserving({});
  follow_up(now);
}

void Core::on_command(const schema::Command& command,
                      std::string_view principal, std::string_view reply_to,
                      Time now) {
  now_ = clock_.at(now);
  ++counters_.commands;
  if (const auto known = state_.answered(*command.id());
      known && !planted(Plant::repeat_executed)) {
    ++counters_.repeats;
    return reply(reply_to, encode_reply(*command.id(), *known,
                                        sessions_of(command, known->session)));
  }
  if (const auto* rejected = rejections_.find(*command.id())) {
    ++counters_.repeats;
    // With a full disk it would be told that it may take effect yet.
    if (no_room_.empty()) return reply(reply_to, *rejected);
    if (reply_to.empty()) return;
    effects_.push_back(SendReply{std::string(reply_to), *rejected});
    return;
  }
  if (refuse_without_room(command, reply_to)) return;
  const Decision decision = decide(command, principal, now_);
  absorb();
  follow_up(now_);
  if (!decision) ++counters_.rejections;
  send_answer(command, reply_to, decision);
}

// How many sessions an accepted command is about.
std::uint32_t Core::sessions_of(const schema::Command& command,
                                SessionId first) const {
  const auto* submit = command.body_as_SubmitSession();
  const auto* cancel = command.body_as_CancelSession();
  if (!submit && !cancel) return 0;
  const bool array = submit ? submit->array() : cancel->array();
  return array ? state_.array_size(first) : 1;
}

void Core::send_answer(const schema::Command& command,
                       std::string_view reply_to, const Decision& decision) {
  if (decision)
    return reply(reply_to,
                 encode_reply(*command.id(), {decision->seq, decision->session},
                              decision->sessions));
  auto answer = encode_rejection(*command.id(), decision.error());
  // Agents send again what was rejected, until it is accepted.
  using schema::CommandBody;
  if (command.body_type() != CommandBody::ReportFacts &&
      command.body_type() != CommandBody::RegisterNodes)
    rejections_.add(*command.id(), answer);
  reply(reply_to, std::move(answer));
}

void Core::stop_all(Time now) {
  now_ = clock_.at(now);
  stopping_ = true;
  std::vector<SessionId> stopped;
  state_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!session.simulated) stopped.push_back(session.id);
    return true;
  });
  for (const SessionId id : stopped) {
    cluster::decide_cell_stop(*state_.session(id), origin(now_), writer_);
    absorb();
  }
}

std::size_t Core::real_tasks() const {
  std::size_t count = 0;
  for (const auto& node : state_.nodes())
    if (!node.simulated && !node.lost) count += node.holders.size();
  return count;
}

Decision Core::decide(const schema::Command& command,
                      std::string_view principal, Time now) {
  Origin asked{now, principal, *command.id()};
  const auto owner_only = [&]() -> std::optional<Rejection> {
    if (state_.may_administer(principal)) return std::nullopt;
    return Rejection{schema::RejectCode::forbidden, "owner_only",
                     "only " + state_.owner() + " and admins may do this", 0,
                     0};
  };
  using schema::CommandBody;
  if (stopping_ && command.body_type() == CommandBody::SubmitSession)
    return tl::unexpected(Rejection{schema::RejectCode::stopping,
                                    "cell_stopping",
                                    "the cell is being stopped", 0, 0});
  switch (command.body_type()) {
    case CommandBody::SubmitSession:
      return cluster::decide_submit(state_, *command.body_as_SubmitSession(),
                                    admission_, asked, writer_);
    case CommandBody::CancelSession:
      return cluster::decide_cancel(state_, *command.body_as_CancelSession(),
                                    asked, writer_);
    case CommandBody::RegisterNodes:
      return register_nodes(*command.body_as_RegisterNodes(), principal, now);
    case CommandBody::ReportFacts:
      return report_facts(*command.body_as_ReportFacts(), principal, now);
    case CommandBody::DrainNode:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_drain(state_, *command.body_as_DrainNode(), asked,
                                   writer_);
    case CommandBody::ResumeNode:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_resume(state_, *command.body_as_ResumeNode(),
                                    asked, writer_);
    case CommandBody::RemoveNode:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_remove(state_, *command.body_as_RemoveNode(),
                                    asked, writer_);
    case CommandBody::QuarantineDevice:
      return cluster::decide_quarantine(
          state_, *command.body_as_QuarantineDevice(), asked, writer_);
    case CommandBody::ReleaseDevice:
      return cluster::decide_release(state_, *command.body_as_ReleaseDevice(),
                                     asked, writer_);
    case CommandBody::SetReservation:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_set_reservation(
          state_, *command.body_as_SetReservation(), asked, writer_);
    case CommandBody::RemoveReservation:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_remove_reservation(
          state_, *command.body_as_RemoveReservation(), asked, writer_);
    case CommandBody::SetAccount:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_set_account(state_, *command.body_as_SetAccount(),
                                         asked, writer_);
    case CommandBody::RemoveAccount:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_remove_account(
          state_, *command.body_as_RemoveAccount(), asked, writer_);
    case CommandBody::SetQuota:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_set_quota(state_, *command.body_as_SetQuota(),
                                       asked, writer_);
    case CommandBody::RemoveQuota:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_remove_quota(
          state_, *command.body_as_RemoveQuota(), asked, writer_);
    default: break;
  }
  return tl::unexpected(
      Rejection{schema::RejectCode::malformed, "command_kind",
                "this program does not know the command: it is older than "
                "the one that asks",
                0, 0});
}

// Whoever reconciled with a list from before one of its nodes was lost, or
// from another manager, may still run what was given up with the node. It
// registers again within a minute.
bool Core::is_reconciled(const schema::RegisterNodes& command) const {
  const auto agent = agents_.find(schema::text(command.agent()));
  if (!command.reconciled() || !command.boot() || agent == agents_.end())
    return false;
  const schema::Id128& asked = agent->second.boot;
  return agent->second.listed && command.boot()->high() == asked.high() &&
         command.boot()->low() == asked.low();
}

// Where an agent was told more than the log knows, an older copy of the log was
// put in place. Its owner wants it to count, so it is made the newest: the next
// epoch is above all that were obeyed, and no session gets a number that a task
// out there has. What runs and is not in the log ends with the list.
std::optional<Rejection> Core::catch_up(const schema::RegisterNodes& command,
                                        const Origin& origin) {
  const std::uint64_t epoch = state_.epoch().value;
  const std::uint64_t session = state_.next_session().value - 1;
  if (command.newest_epoch() <= epoch && command.newest_session() <= session)
    return std::nullopt;
  const auto knows = fmt::format(
      "agent {} knows of epoch {} and session s-{}, this log ends "
      "at epoch {} and s-{}: an older copy of it was put in place",
      schema::text(command.agent()), command.newest_epoch(),
      command.newest_session(), epoch, session);
  const std::uint64_t newest_epoch = std::max(command.newest_epoch(), epoch);
  const std::uint64_t newest_session =
      std::max(command.newest_session(), session);
  const std::uint64_t ahead =
      std::max(newest_epoch - epoch, newest_session - session);
  if (ahead > seen_ahead_max)
    return Rejection{schema::RejectCode::over_limit, "seen_ahead_max",
                     knows + ", too old to go on with: restore a newer one",
                     seen_ahead_max, ahead};
  writer_.set_epoch(Epoch{newest_epoch + 1});
  cluster::decide_epoch(manager_, origin, writer_,
                        SessionId{newest_session + 1});
  absorb();
  messages_.push_back(fmt::format(
      "{}. It goes on as epoch {} with s-{}; sessions that only the newer log "
      "knew are gone, and what runs of them is stopped",
      knows, newest_epoch + 1, newest_session + 1));
  return std::nullopt;
}

Decision Core::register_nodes(const schema::RegisterNodes& command,
                              std::string_view principal, Time now) {
  const std::string agent(schema::text(command.agent()));
  if (principal != "agent-" + agent && principal != state_.owner())
    return tl::unexpected(Rejection{
        schema::RejectCode::forbidden, "agent_foreign",
        std::string(principal) + " does not speak for agent " + agent, 0, 0});
  if (command.nodes()->size() > cluster::nodes_per_command_max)
    return tl::unexpected(
        Rejection{schema::RejectCode::over_limit, "nodes_per_command_max",
                  "too many nodes in one command",
                  cluster::nodes_per_command_max, command.nodes()->size()});
  const bool reconciled = is_reconciled(command);
  // Tried first, each alone: with a rejection nothing changes.
  for (const auto* spec : *command.nodes()) {
    cluster::EventWriter unused(writer_.next(), writer_.epoch());
    const Decision one = cluster::decide_register(
        state_, agent, *spec, reconciled, origin(now, principal), unused);
    if (!one) return one;
  }
  if (auto no = catch_up(command, origin(now, principal)))
    return tl::unexpected(std::move(*no));
  cluster::Accepted accepted{state_.last_sequence(), {}};
  bool first = true;
  for (const auto* spec : *command.nodes()) {
    const Decision one = cluster::decide_register(
        state_, agent, *spec, reconciled, origin(now, principal), writer_);
    if (!one) return one;
    if (std::exchange(first, false)) accepted = *one;
    absorb();
  }
  Agent& known = agents_[agent];
  known.seen = now;
  known.known = true;
  if (!command.reconciled()) {
    if (command.boot()) known.boot = *command.boot();
    known.listed = true;
    want_reconcile(agent);
  }
  return accepted;
}

Decision Core::report_facts(const schema::ReportFacts& command,
                            std::string_view principal, Time now) {
  const std::string_view agent = schema::text(command.agent());
  if (principal != "agent-" + std::string(agent))
    return tl::unexpected(
        Rejection{schema::RejectCode::forbidden, "agent_foreign",
                  std::string(principal) + " does not speak for agent " +
                      std::string(agent),
                  0, 0});
  for (const auto* fact : *command.facts()) {
    ++counters_.facts;
    const auto outcome = cluster::decide_fact(state_, agent, *fact,
                                              origin(now, principal), writer_);
    absorb();
    if (outcome != cluster::FactOutcome::foreign) continue;
    ++counters_.facts_foreign;
    if (fact->kind() == schema::FactKind::started)
      want_stop(agent, {fact->session(), fact->attempt(), fact->rank()},
                cluster::stop_grace_ns);
  }
  hear(agent);
  return cluster::Accepted{state_.last_sequence(), {}};
}

std::vector<std::pair<SessionId, std::uint32_t>> Core::on_proposals(
    const std::vector<Proposal>& proposals, Time now) {
  now_ = clock_.at(now);
  std::vector<std::pair<SessionId, std::uint32_t>> refused;
  for (const Proposal& proposal : proposals) {
    if (stopping_) {
      refused.emplace_back(proposal.session, proposal.attempt);
      continue;
    }
    const Decision decision =
        cluster::decide_place(state_, proposal, origin(now_), writer_);
    if (!decision) {
      ++counters_.placements_refused;
      refused.emplace_back(proposal.session, proposal.attempt);
      continue;
    }
    ++counters_.placements;
    absorb();
  }
  follow_up(now_);
  return refused;
}

void Core::on_preemptions(const std::vector<cluster::Preemption>& preemptions,
                          Time now) {
  now_ = clock_.at(now);
  for (const cluster::Preemption& one : preemptions) {
    if (stopping_) break;
    if (!cluster::decide_preempt(state_, one, origin(now_), writer_)) continue;
    ++counters_.preemptions;
    absorb();
  }
  follow_up(now_);
}

void Core::on_heartbeat(std::string_view agent, Time now) {
  now_ = clock_.at(now);
  hear(agent);
}

void Core::hear(std::string_view agent) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return;
  found->second.seen = now_;
  found->second.known = true;
}

// ---- what follows from events

void Core::absorb() {
  while (absorbed_ < writer_.bytes().size()) {
    const auto rest = writer_.bytes().subspan(absorbed_);
    const auto size = flatbuffers::GetPrefixedSize(
                          reinterpret_cast<const std::uint8_t*>(rest.data())) +
                      sizeof(flatbuffers::uoffset_t);
    const schema::Event& event = schema::event_of(rest.first(size));
    const Status applied = state_.apply(event);
    REEVE_CHECK(applied.has_value(), applied.error().text);
    absorbed_ += size;
    react(event);
  }
}

void Core::react(const schema::Event& event) {
  using schema::EventBody;
  const auto live = [&](std::uint64_t id) {
    return state_.session(SessionId{id});
  };
  switch (event.body_type()) {
    case EventBody::SessionSubmitted: {
      const Session* session =
          live(event.body_as_SessionSubmitted()->session());
      arm(*session);
      link_dependencies(*session);
      if (session->reserves) reserving_.insert(session->id.value);
      break;
    }
    case EventBody::SessionPlaced: {
      const Session* session = live(event.body_as_SessionPlaced()->session());
      reserving_.erase(session->id.value);
      arm(*session);
      want_launch(*session);
      break;
    }
    case EventBody::TaskStarted: {
      const Session* session = live(event.body_as_TaskStarted()->session());
      if (session->state == SessionState::stopping) {
        want_stop(*session);
      } else if (session->state == SessionState::running ||
                 session->tasks_started == 1) {
        arm(*session);  // it has entered this state by this event
      }
      break;
    }
    case EventBody::SessionStopping: {
      const Session* session = live(event.body_as_SessionStopping()->session());
      arm(*session);
      want_stop(*session);
      break;
    }
    case EventBody::SessionWarned: {
      const Session* session = live(event.body_as_SessionWarned()->session());
      arm(*session);
      want_warning(*session);
      break;
    }
    case EventBody::SessionRequeued: {
      const Session* session = live(event.body_as_SessionRequeued()->session());
      arm(*session);
      if (!session->reserves) break;
      reserving_.insert(session->id.value);
      doubted_.push_back({session->id.value, {}});
      break;
    }
    case EventBody::SessionEnded:
      reserving_.erase(event.body_as_SessionEnded()->session());
      if (dependents_.contains(event.body_as_SessionEnded()->session()))
        ended_.push_back(event.body_as_SessionEnded()->session());
      break;
    case EventBody::NodeLost: {
      const auto* node = state_.node(NodeId{event.body_as_NodeLost()->node()});
      for (const SessionId holder : node->holders)
        orphaned_.push_back(holder.value);
      agents_[node->agent].listed = false;
      break;
    }
    case EventBody::ReservationSet:
      doubt_reserving({Sequence{event.seq()}});
      break;
    case EventBody::ReservationRemoved:
      doubt_reserving({Sequence{event.seq()}, event.command_id() == nullptr});
      break;
    case EventBody::AccountChanged:
      // A project may lie below another one now.
      if (event.body_as_AccountChanged()->account()->kind() ==
          schema::AccountKind::project)
        doubt_reserving({Sequence{event.seq()}});
      break;
    default: break;
  }
}

void Core::link_dependencies(const Session& session) {
  if (!session.depends) return;
  for (const auto& dependency : state_.spec(session).after) {
    dependents_[dependency.session()].push_back(session.id.value);
    const Session* other = state_.session(SessionId{dependency.session()});
    if (other && has_ended(other->state))
      ended_.push_back(dependency.session());
  }
}

void Core::doubt_reserving(const cluster::ReservationChange& change) {
  for (const std::uint64_t id : reserving_) doubted_.push_back({id, change});
}

void Core::end_unreserved(Time now) {
  for (const auto& [id, change] : std::exchange(doubted_, {})) {
    const Session* session = state_.session(SessionId{id});
    if (session && cluster::decide_unreserved(state_, *session, change,
                                              origin(now), writer_))
      absorb();
  }
}

void Core::follow_up(Time now) {
  while (!orphaned_.empty() || !ended_.empty() || !doubted_.empty()) {
    if (!doubted_.empty()) {
      end_unreserved(now);
      continue;
    }
    if (!orphaned_.empty()) {
      const Session* session = state_.session(SessionId{orphaned_.back()});
      if (!session ||
          !cluster::decide_task_lost(state_, *session, origin(now), writer_))
        orphaned_.pop_back();
      absorb();
      continue;
    }
    const SessionId ended{ended_.back()};
    ended_.pop_back();
    const auto waiting = dependents_.extract(ended.value);
    if (waiting.empty()) continue;
    for (const std::uint64_t id : waiting.mapped()) {
      const Session* session = state_.session(SessionId{id});
      const Session* cause = state_.session(ended);
      if (session && cause)
        cluster::decide_dependent(state_, *session, *cause, origin(now),
                                  writer_);
      absorb();
    }
  }
}

// ---- time

void Core::arm(const Session& session) {
  const Time deadline = cluster::deadline_of(session);
  if (deadline.value == 0) return;
  Time due = deadline;
  switch (session.state) {
    case SessionState::placed:
    case SessionState::starting:
    case SessionState::stopping:
      due = std::min(due, Time{now_.value + options_.resend_ns});
      break;
    case SessionState::running:
      if (const Time warning = cluster::warning_of(state_, session);
          warning.value != 0)
        due = std::min(due, warning);
      break;
    default: break;
  }
  timers_.push_back({due, session.id, session.state_at});
  std::push_heap(timers_.begin(), timers_.end(), std::greater<>{});
  // Entries of sessions that moved on stay until they are due: keep them few.
  if (timers_.size() > 4096 && timers_.size() > 3 * state_.live_sessions())
    rebuild_timers();
}

void Core::rebuild_timers() {
  std::erase_if(timers_, [&](const Timer& timer) {
    const Session* session = state_.session(timer.session);
    return !session || has_ended(session->state) ||
           session->state_at != timer.state_at;
  });
  std::make_heap(timers_.begin(), timers_.end(), std::greater<>{});
}

void Core::on_due(const Session& session, Time now) {
  if (cluster::decide_deadline(state_, session, origin(now), writer_)) {
    absorb();
    return;
  }
  if (cluster::decide_warning(state_, session, origin(now), writer_)) {
    absorb();
    return;
  }
  if (session.state == SessionState::placed ||
      session.state == SessionState::starting)
    want_launch(session);
  if (session.state == SessionState::stopping) want_stop(session);
  arm(session);
}

void Core::on_tick(Time now) {
  now_ = clock_.at(now);
  while (!timers_.empty() && timers_.front().due <= now_) {
    std::pop_heap(timers_.begin(), timers_.end(), std::greater<>{});
    const Timer timer = timers_.back();
    timers_.pop_back();
    const Session* session = state_.session(timer.session);
    if (!session || has_ended(session->state) ||
        session->state_at != timer.state_at)
      continue;
    on_due(*session, now_);
  }
  check_agents(now_);
  check_drains(now_);
  drop_reservations(now_);
  follow_up(now_);
}

void Core::check_agents(Time now) {
  // Whoever did not listen must not say that others were silent.
  const bool deaf =
      now.value - checked_at_.value > options_.heartbeat_ns_max / 2;
  checked_at_ = now;
  for (auto& [name, agent] : agents_) {
    if (deaf) agent.seen = now;
    const std::uint64_t silent_ns =
        now.value > agent.seen.value ? now.value - agent.seen.value : 0;
    const bool silent = silent_ns > options_.heartbeat_ns_max;
    if (silent && !agent.lost) lose_nodes(name, silent_ns, now);
    if (!silent && agent.lost && agent.known) return_simulated(name, now);
    if (silent || agent.known) agent.lost = silent;
  }
}

void Core::lose_nodes(std::string_view agent, std::uint64_t silent_ns,
                      Time now) {
  for (const auto& node : state_.nodes()) {
    if (node.agent != agent || node.lost || node.removed) continue;
    cluster::decide_node_lost(state_, node, silent_ns, origin(now), writer_);
    absorb();
  }
}

// On a simulated node nothing is left to reconcile; no agent declares it.
void Core::return_simulated(std::string_view agent, Time now) {
  for (const auto& node : state_.nodes()) {
    if (node.agent != agent || !node.lost || node.removed || !node.simulated)
      continue;
    cluster::decide_node_returned(node, origin(now), writer_);
    absorb();
  }
}

void Core::check_drains(Time now) {
  for (const auto& node : state_.nodes()) {
    if (!node.draining || node.drain_deadline.value == 0 ||
        node.drain_deadline > now || node.holders.empty())
      continue;
    const std::vector<SessionId> holders = node.holders;
    for (const SessionId id : holders) {
      const Session* session = state_.session(id);
      if (session)
        cluster::decide_evict(state_, *session, origin(now), writer_);
      absorb();
    }
  }
}

void Core::drop_reservations(Time now) {
  bool over = false;
  for (const auto& [name, reservation] : state_.reservations().all())
    over |= cluster::decide_reservation_over(reservation, origin(now), writer_);
  if (over) absorb();
}

// ---- what leaves

void Core::gate(Effect effect) {
  if (durable_ >= state_.last_sequence()) {
    effects_.push_back(std::move(effect));
  } else {
    gated_.push_back({state_.last_sequence(), std::move(effect)});
    if (!no_room_.empty()) refuse_gated();
  }
}

void Core::reply(std::string_view reply_to, std::vector<std::byte> bytes) {
  if (reply_to.empty()) return;
  gate(SendReply{std::string(reply_to), std::move(bytes)});
}

void Core::set_no_room(std::string_view why) {
  no_room_ = why;
  if (!no_room_.empty()) refuse_gated();
}

// What is decided takes effect with its commit, whenever that can be. Orders
// and the answers to questions wait for it; who sent a command is told.
void Core::refuse_gated() {
  for (auto gated = gated_.begin(); gated != gated_.end();) {
    auto* waiting = std::get_if<SendReply>(&gated->effect);
    const auto* answer =
        waiting ? schema::verified<schema::Reply>(waiting->bytes) : nullptr;
    if (!answer || !answer->command_id()) {
      ++gated;
      continue;
    }
    waiting->bytes = encode_rejection(
        *answer->command_id(),
        {schema::RejectCode::no_space, "not_kept",
         "it is decided, but cannot be kept: " + no_room_ +
             ". It takes effect when there is room, if the daemon lives on",
         0, 0});
    effects_.push_back(std::move(gated->effect));
    gated = gated_.erase(gated);
  }
}

// Facts are taken: they come again until they are kept.
bool Core::refuse_without_room(const schema::Command& command,
                               std::string_view reply_to) {
  using schema::CommandBody;
  if (no_room_.empty() || command.body_type() == CommandBody::ReportFacts ||
      command.body_type() == CommandBody::RegisterNodes)
    return false;
  ++counters_.rejections;
  auto answer = encode_rejection(*command.id(),
                                 {schema::RejectCode::no_space, "no_room",
                                  "nothing was changed: " + no_room_, 0, 0});
  rejections_.add(*command.id(), answer);
  if (!reply_to.empty())
    effects_.push_back(SendReply{std::string(reply_to), std::move(answer)});
  return true;
}

void Core::reply_read(std::string_view reply_to, std::vector<std::byte> bytes) {
  if (admission_.open) return reply(reply_to, std::move(bytes));
  if (reply_to.empty()) return;
  effects_.push_back(SendReply{std::string(reply_to), std::move(bytes)});
}

Batch Core::take_batch() {
  flush_orders();
  auto taken = writer_.take(options_.batch_bytes_max);
  absorbed_ -= taken.bytes.size();
  return {taken.first, taken.count, writer_.epoch(), std::move(taken.bytes)};
}

void Core::committed(Sequence sequence) {
  durable_ = std::max(durable_, sequence);
  while (!gated_.empty() && gated_.front().after <= durable_) {
    effects_.push_back(std::move(gated_.front().effect));
    gated_.pop_front();
  }
}

std::vector<Effect> Core::take_effects() {
  return std::exchange(effects_, {});
}

std::vector<std::string> Core::take_messages() {
  return std::exchange(messages_, {});
}

void Core::set_pids(int daemon_pid, int bus_pid) {
  daemon_pid_ = daemon_pid;
  bus_pid_ = bus_pid;
}

void Core::set_counter(std::string_view name, std::uint64_t value) {
  const auto found = outside_counters_.find(name);
  if (found != outside_counters_.end()) {
    found->second = value;
  } else {
    outside_counters_.emplace(name, value);
  }
}

}  // namespace reeve::manager

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
      writer_(Sequence{}, Epoch{}) {
  admission_.waiting_max = options.waiting_max;
  admission_.commit_bytes_max = options.batch_bytes_max;
  stand_at_head();
}

Epoch Core::next_epoch() const {
  return Epoch{std::max(state_.epoch(), options_.begun).value + 1};
}

void Core::stand_at_head() {
  writer_ = cluster::EventWriter(Sequence{state_.last_sequence().value + 1},
                                 next_epoch());
  writer_.set_time_floor(state_.last_time());
  clock_ = cluster::SteadyTime(state_.last_time());
  durable_ = state_.last_sequence();
}

namespace {

// Who may connect to the bus.
bool changes_identities(const schema::Event& event) {
  using schema::EventBody;
  switch (event.body_type()) {
    case EventBody::TokenCreated:
    case EventBody::IdentityAdded:
    case EventBody::IdentityRemoved: return true;
    default: return false;
  }
}

}  // namespace

Status Core::follow(const schema::Event& event) {
  REEVE_CHECK(!started_, "a leader follows nobody");
  if (Status applied = state_.apply(event); !applied) return applied;
  durable_ = state_.last_sequence();
  now_ = std::max(now_, state_.last_time());
  identities_changed_ |= changes_identities(event);
  return {};
}

Batch Core::beginning(std::string_view cell, std::string_view owner,
                      std::uint32_t owner_uid, std::string_view manager,
                      Epoch epoch, Time now,
                      std::span<const cluster::Healing> healings) const {
  REEVE_CHECK(!started_ && epoch > state_.epoch(), "the epoch is not new");
  cluster::EventWriter writer(Sequence{state_.last_sequence().value + 1},
                              epoch);
  writer.set_time_floor(state_.last_time());
  write_beginning(cell, owner, owner_uid, manager, now, writer);
  for (const cluster::Healing& one : healings)
    cluster::write_healing(one, origin(now), writer);
  auto taken = writer.take();
  return {taken.first, taken.count, epoch, std::move(taken.bytes)};
}

void Core::write_beginning(std::string_view cell, std::string_view owner,
                           std::uint32_t owner_uid, std::string_view manager,
                           Time now, cluster::EventWriter& writer) const {
  if (state_.last_sequence().value == 0)
    cluster::decide_creation(cell, owner, owner_uid, origin(now), writer);
  // What runs and is not in the log ends with the list that agents get.
  const bool is_older = state_.epoch() < options_.begun;
  cluster::decide_epoch(
      manager, origin(now), writer,
      is_older ? SessionId{state_.next_session().value + lost_sessions_max}
               : SessionId{});
  cluster::decide_managers(state_, options_.managers, origin(now), writer);
}

Decision Core::remove_identity(const schema::RemoveIdentity& command,
                               const Origin& asked) {
  if (cluster::find_manager(state_.identities(),
                            schema::text(command.principal())))
    return cluster::decide_remove_manager(state_, command, managers_now(),
                                          asked, writer_);
  return cluster::decide_remove_identity(state_, command, asked, writer_);
}

cluster::ManagersNow Core::managers_now() const {
  cluster::ManagersNow now{!membership_.managers.empty(), manager_, {}};
  for (const ManagerSeen& one : membership_.managers)
    if (one.name != manager_ && one.heard &&
        one.silent_ns <= manager_silent_ns_max)
      now.living.push_back(one.name);
  return now;
}

Origin Core::origin(Time now, std::string_view principal) const {
  return {now, principal, {}};
}

void Core::start(std::string_view cell, std::string_view owner,
                 std::uint32_t owner_uid, std::string_view manager, Time now,
                 Beginning beginning) {
  REEVE_CHECK(!started_, "it was started twice");
  started_ = true;
  stand_at_head();
  started_at_ = now_ = now = clock_.at(now);
  checked_at_ = now;
  manager_ = manager;
  membership_ = {};
  identities_changed_ = true;
  const Epoch before = state_.epoch();
  const bool was_older = before < options_.begun;
  if (beginning == Beginning::begun)
    writer_.set_epoch(state_.epoch());
  else
    write_beginning(cell, owner, owner_uid, manager, now, writer_);
  absorb();
  if (beginning == Beginning::to_be_written && was_older)
    messages_.push_back(fmt::format(
        "epoch {} was begun here before, and the log ended at epoch {}: an "
        "older copy of it was put in place. It goes on as epoch {} with s-{}; "
        "sessions that only the newer log knew are gone, and what runs of them "
        "is stopped",
        options_.begun.value, before.value, state_.epoch().value,
        state_.next_session().value));
  for (const auto& node : state_.nodes())
    if (!node.removed) {
      Agent& agent = agents_[node.agent];
      agent.seen = now;
      agent.lost = agent.lost || node.lost;
      agent.nodes.insert(node.id.value);
      agent.stranger = agent.doubted = agent.doubted || is_doubtful(node);
      if (!node.testing.empty()) testing_.insert(node.id.value);
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
    if (on_lost_node(session)) lose_tasks(session, now);
    return true;
  });
  doubt_reserving({});
  follow_up(now);
}

void Core::on_command(const schema::Command& command,
                      std::string_view principal, std::string_view reply_to,
                      Time now) {
  if (!started_) return;
  now_ = clock_.at(now);
  ++counters_.commands;
  // They come again, here or to whoever leads by then.
  if (waits_for_others() &&
      command.body_type() == schema::CommandBody::ReportFacts)
    return;
  if (const auto known = state_.answered(*command.id());
      known && !planted(Plant::repeat_executed)) {
    ++counters_.repeats;
    return reply(reply_to, accepted_answer(command, *known));
  }
  if (const auto* rejected = rejections_.find(*command.id())) {
    ++counters_.repeats;
    if (!leads_for_sure_) return reply_unsure(command, reply_to, *rejected);
    // With a full disk it would be told that it may take effect yet.
    if (no_room_.empty()) return reply(reply_to, *rejected);
    if (reply_to.empty()) return;
    effects_.push_back(SendReply{std::string(reply_to), *rejected});
    return;
  }
  const auto no_member = check_member(principal, reply_to);
  set_stranger(principal, no_member.has_value());
  if (refuse_without_room(command, reply_to)) return;
  // Whoever is none learns from leaving, too, that it is none.
  const bool counts =
      !no_member || command.body_type() == schema::CommandBody::Leave;
  const Decision decision =
      counts ? decide(command, principal, now_) : tl::unexpected(*no_member);
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
  if (!array) return 1;
  // The answer to a cancel names the first of those that were told to end.
  return state_.array_size(cancel ? SessionId{cancel->session()} : first);
}

std::vector<std::byte> Core::accepted_answer(
    const schema::Command& command,
    const cluster::CommandAnswer& answer) const {
  const cluster::Token* token =
      command.body_as_CreateToken()
          ? state_.identities().token_made_at(answer.seq)
          : nullptr;
  return encode_reply(*command.id(), answer,
                      sessions_of(command, answer.session),
                      token ? token->id : 0);
}

void Core::send_answer(const schema::Command& command,
                       std::string_view reply_to, const Decision& decision) {
  if (decision)
    return reply(reply_to,
                 accepted_answer(command, {decision->seq, decision->session}));
  auto answer = encode_rejection(*command.id(), decision.error());
  // Agents send again what was rejected, until it is accepted.
  using schema::CommandBody;
  if (command.body_type() != CommandBody::ReportFacts &&
      command.body_type() != CommandBody::RegisterNodes)
    rejections_.add(*command.id(), answer);
  if (!leads_for_sure_) return reply_unsure(command, reply_to, answer);
  reply(reply_to, std::move(answer));
}

// What was rejected here stays so, but another may have done it.
void Core::reply_unsure(const schema::Command& command,
                        std::string_view reply_to,
                        std::span<const std::byte> rejected) {
  const auto* said = schema::verified<schema::Reply>(rejected);
  reply(reply_to,
        encode_rejection(
            *command.id(),
            Rejection{schema::RejectCode::try_again, schema::not_kept_rule,
                      std::string(schema::text(said->rejection()->text())) +
                          "; so says this manager, but if another leads by "
                          "now, that one may have done it",
                      0, 0}));
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
    const Session& session = *state_.session(id);
    cluster::decide_cell_stop(session, origin(now_), writer_);
    absorb();
    // Of one that ended already the grace may be longer than anybody waits.
    if (session.state == SessionState::stopping) want_stop(session);
  }
}

std::size_t Core::real_tasks() const {
  std::size_t count = 0;
  for (const auto& node : state_.nodes())
    if (!node.simulated && !node.lost) count += node.holders.size();
  return count;
}

// An agent of another manager's host speaks through that one's daemon, and is
// answered there. The log has no name of it but the manager's; its settings may
// give it another.
std::optional<Rejection> Core::check_member(std::string_view principal,
                                            std::string_view reply_to) const {
  if (principal == options_.managers_principal) return std::nullopt;
  if (cluster::agent_of(principal) &&
      reply_to.starts_with(options_.managers_inbox))
    return std::nullopt;
  return cluster::check_principal(state_, principal, options_.local_agents);
}

// What is refused whatever it says.
std::optional<Rejection> Core::check_asker(const schema::Command& command,
                                           std::string_view principal) const {
  using schema::CommandBody;
  if (stopping_ && command.body_type() == CommandBody::SubmitSession)
    return Rejection{schema::RejectCode::stopping, "cell_stopping",
                     "the cell is being stopped", 0, 0};
  if (cluster::token_of(principal) && command.body_type() != CommandBody::Join)
    return Rejection{schema::RejectCode::forbidden, "token_joins_only",
                     std::string(principal) +
                         " is good for joining the cell and nothing else",
                     0, 0};
  // An agent's registration is looked at with its nodes.
  if (command.body_type() != CommandBody::RegisterNodes)
    if (auto why = why_apart(command.protocol()))
      return Rejection{schema::RejectCode::wrong_state, cluster::protocol_rule,
                       std::move(*why), options_.program.protocol.number(),
                       cluster::protocol_of(command.protocol()).number()};
  return std::nullopt;
}

std::optional<std::string> Core::why_apart(const schema::Protocol* told) const {
  return cluster::why_apart(options_.program, "the program that asks", {},
                            cluster::protocol_of(told));
}

Decision Core::decide(const schema::Command& command,
                      std::string_view principal, Time now) {
  Origin asked{now, principal, *command.id()};
  if (auto no = check_asker(command, principal)) return tl::unexpected(*no);
  const auto owner_only = [&]() -> std::optional<Rejection> {
    if (state_.may_administer(principal)) return std::nullopt;
    return Rejection{schema::RejectCode::forbidden, "owner_only",
                     "only " + state_.owner() + " and admins may do this", 0,
                     0};
  };
  using schema::CommandBody;
  switch (command.body_type()) {
    case CommandBody::SubmitSession:
      return cluster::decide_submit(state_, *command.body_as_SubmitSession(),
                                    admission_, asked, writer_);
    case CommandBody::CancelSession:
      return cluster::decide_cancel(state_, *command.body_as_CancelSession(),
                                    asked, writer_);
    case CommandBody::RegisterNodes:
      return register_nodes(*command.body_as_RegisterNodes(),
                            command.protocol(), principal, now);
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
    case CommandBody::TestDevice:
      return cluster::decide_test(state_, *command.body_as_TestDevice(), asked,
                                  writer_);
    case CommandBody::ReportTest:
      return cluster::decide_tested(state_, *command.body_as_ReportTest(),
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
    case CommandBody::CreateToken:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_create_token(
          state_, *command.body_as_CreateToken(),
          {manager_, options_.local_agents}, asked, writer_);
    case CommandBody::RevokeToken:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return cluster::decide_revoke_token(
          state_, *command.body_as_RevokeToken(), asked, writer_);
    case CommandBody::RemoveIdentity:
      if (auto no = owner_only()) return tl::unexpected(*no);
      return remove_identity(*command.body_as_RemoveIdentity(), asked);
    case CommandBody::Join:
      return cluster::decide_join(state_, *command.body_as_Join(),
                                  {manager_, options_.local_agents}, asked,
                                  writer_);
    case CommandBody::Leave:
      return cluster::decide_leave(state_, *command.body_as_Leave(), asked,
                                   writer_);
    case CommandBody::ReportHealing:
      if (principal != options_.managers_principal)
        return tl::unexpected(
            Rejection{schema::RejectCode::forbidden, "managers_only",
                      "only managers tell what became of their logs", 0, 0});
      return cluster::decide_healing(state_, *command.body_as_ReportHealing(),
                                     asked, writer_);
    default: break;
  }
  return tl::unexpected(
      Rejection{schema::RejectCode::malformed, "command_kind",
                "this program does not know the command: it is older than "
                "the one that asks",
                0, 0});
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

// ---- what follows from events

void Core::absorb() {
  while (absorbed_ < writer_.bytes().size()) {
    REEVE_CHECK(started_, "a manager that follows decided something");
    const auto rest = writer_.bytes().subspan(absorbed_);
    const auto size = flatbuffers::GetPrefixedSize(
                          reinterpret_cast<const std::uint8_t*>(rest.data())) +
                      sizeof(flatbuffers::uoffset_t);
    const schema::Event& event = schema::event_of(rest.first(size));
    const Status applied = state_.apply(event);
    REEVE_CHECK(applied.has_value(), applied.error().text);
    absorbed_ += size;
    identities_changed_ |= changes_identities(event);
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
      if (ends_for_good(*session) && on_lost_node(*session))
        give_up(session->id);
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
      given_up_.erase(session->id.value);
      arm(*session);
      if (!session->reserves) break;
      reserving_.insert(session->id.value);
      doubted_.push_back({session->id.value, {}});
      break;
    }
    case EventBody::SessionEnded:
      reserving_.erase(event.body_as_SessionEnded()->session());
      given_up_.erase(event.body_as_SessionEnded()->session());
      if (dependents_.contains(event.body_as_SessionEnded()->session()))
        ended_.push_back(event.body_as_SessionEnded()->session());
      break;
    case EventBody::IdentityRemoved:
      set_stranger(schema::text(event.body_as_IdentityRemoved()->principal()),
                   true);
      break;
    case EventBody::EpochStarted: epoch_at_ = Sequence{event.seq()}; break;
    case EventBody::NodeRegistered: {
      const auto& body = *event.body_as_NodeRegistered();
      agents_[body.agent()->str()].nodes.insert(body.node());
      break;
    }
    case EventBody::NodeLost: {
      const auto* node = state_.node(NodeId{event.body_as_NodeLost()->node()});
      const auto& body = *event.body_as_NodeLost();
      const Time heard{event.time_at() -
                       std::min(event.time_at(), body.silent_ns())};
      for (const SessionId holder : node->holders)
        lose_tasks(*state_.session(holder), heard);
      Agent& agent = agents_[node->agent];
      agent.listed = false;
      agent.lost_at = Sequence{event.seq()};
      break;
    }
    case EventBody::NodeReturned: {
      const auto id = NodeId{event.body_as_NodeReturned()->node()};
      for (const SessionId holder : state_.node(id)->holders)
        if (!on_lost_node(*state_.session(holder)))
          given_up_.erase(holder.value);
      break;
    }
    case EventBody::DeviceTestRequested: {
      const auto node = event.body_as_DeviceTestRequested()->node();
      testing_.insert(node);
      probes_.push_back(NodeId{node});
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
      if (session) unlist(*session);
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

// Who is to stop a session had nobody to tell of it before the start.
Time Core::deadline_here(const Session& session) const {
  const Time deadline = cluster::deadline_of(state_, session);
  if (session.state != SessionState::stopping || deadline.value == 0)
    return deadline;
  // And what is given up with its node is not also lost.
  return std::max({deadline, Time{started_at_.value + cluster::stopping_ns_max},
                   Time{given_up_at(session).value + second_ns}});
}

void Core::arm(const Session& session) {
  const Time deadline = deadline_here(session);
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
  if (deadline_here(session) <= now &&
      cluster::decide_deadline(state_, session, origin(now), writer_)) {
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
  now_ = std::max(now_, clock_.at(now));
  // What time brings is decided by whoever leads: one whose links are cut would
  // show sessions as lost that run on.
  if (!started_ || waits_for_others()) return;
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
  give_up_due(now_);
  check_tests(now_);
  check_drains(now_);
  drop_reservations(now_);
  follow_up(now_);
}

// Who tests is told again: the order may be lost, or the agent new.
void Core::check_tests(Time now) {
  if (testing_.empty() || now < next_probes_) return;
  next_probes_ = Time{now.value + options_.resend_ns};
  std::erase_if(testing_, [&](std::uint32_t id) {
    return state_.node(NodeId{id})->testing.empty();
  });
  for (const std::uint32_t id : testing_) probes_.push_back(NodeId{id});
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

}  // namespace reeve::manager

// How sessions are stopped, end, and go back to the queue.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide.hpp"
#include "cluster/decide_internal.hpp"
#include "cluster/rejecting.hpp"
#include "schema/json.hpp"

namespace reeve::cluster {
namespace {

struct Outcome {
  SessionState state = SessionState::succeeded;
  EndReason reason = EndReason::exited;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  std::optional<std::uint32_t> first_failed{};  // the task that it is of
};

bool failed(EndReason reason, const schema::ExitFacts& facts) {
  return reason != EndReason::exited || facts.exit_code() != 0;
}

// The task that failed first speaks for the session. `exiting`: the one that
// ends by now, if one does.
Outcome outcome_of(const Session& session, const TaskEnd* exiting) {
  Outcome outcome;
  std::uint64_t first_at = ~std::uint64_t{0};
  const auto look = [&](std::uint32_t rank, EndReason why,
                        const schema::ExitFacts& seen) {
    if (!failed(why, seen) || seen.ended_at() >= first_at) return;
    first_at = seen.ended_at();
    outcome = {SessionState::failed, why, seen.exit_code(), seen.signal(),
               rank};
  };
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    if (exiting && rank == exiting->rank) {
      look(rank, exiting->reason, exiting->facts);
    } else if (session.tasks[rank].phase == TaskPhase::exited) {
      look(rank, session.tasks[rank].reason, session.tasks[rank].facts);
    }
  }
  if (session.state == SessionState::stopping &&
      session.reason != EndReason::peer_failed) {
    const bool by_wish = session.reason == EndReason::cancelled ||
                         session.reason == EndReason::cell_stopped;
    outcome.state = by_wish ? SessionState::cancelled : SessionState::failed;
    outcome.reason = session.reason;
  }
  return outcome;
}

// What one that is being stopped ends by, as far as its tasks have told.
EndReason stopped_by(const Session& session) {
  return outcome_of(session, nullptr).reason;
}

// See counts_as_attempt.
std::uint32_t counted_attempt(const Session& session) {
  return session.attempt - session.preemptions;
}

bool may_requeue(const Session& session, EndReason reason) {
  if (reason == EndReason::preempted)
    return session.on_preempt == schema::OnPreempt::requeue;
  // That GPU is in quarantine: another is found, and each fails one only once.
  if (reason == EndReason::device_unclean) return true;
  return cluster::may_requeue(counted_attempt(session), session.requeue_max,
                              reason);
}

void write_requeued(const Session& session, EndReason reason,
                    const Origin& origin, Sequence cause, EventWriter& writer) {
  const std::uint64_t not_before_at =
      reason == EndReason::preempted
          ? 0
          : origin.now.value + requeue_delay(counted_attempt(session));
  writer.add(
      schema::CreateSessionRequeued(writer.builder(), session.id.value,
                                    session.attempt + 1, reason, not_before_at),
      cause);
}

void write_ended(const Session& session, const Outcome& outcome,
                 std::string_view detail, Sequence cause, EventWriter& writer) {
  auto& builder = writer.builder();
  const auto text = build_text(builder, detail);
  writer.add(schema::CreateSessionEnded(
                 builder, session.id.value, session.attempt, outcome.state,
                 outcome.reason, outcome.exit_code, outcome.signal, text),
             cause);
}

void write_stopping(const Session& session, EndReason reason,
                    std::string_view detail, Sequence cause,
                    EventWriter& writer, SessionId for_session = {}) {
  auto& builder = writer.builder();
  const auto text = build_text(builder, detail);
  writer.add(
      schema::CreateSessionStopping(builder, session.id.value, session.attempt,
                                    reason, text, for_session.value),
      cause);
}

bool is_held(const Session& session) {
  switch (session.state) {
    case SessionState::placed:
    case SessionState::starting:
    case SessionState::running: return true;
    default: return false;
  }
}

}  // namespace

bool may_requeue(std::uint32_t attempt, std::uint32_t requeue_max,
                 EndReason reason) {
  if (attempt > requeue_max) return false;
  switch (reason) {
    case EndReason::cancelled:
    case EndReason::time_limit:
    case EndReason::wait_timeout:
    case EndReason::dependency_failed:
    case EndReason::reservation_gone: return false;
    default: return true;
  }
}

bool is_tried_again(const Session& session, EndReason reason) {
  return may_requeue(session, session.state == SessionState::stopping
                                  ? stopped_by(session)
                                  : reason);
}

std::optional<std::uint32_t> first_failed(const Session& session) {
  std::optional<std::uint32_t> out;
  std::uint64_t first_at = ~std::uint64_t{0};
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    const Task& task = session.tasks[rank];
    // One without a reason was let go with its session: nobody told its end.
    if (task.phase != TaskPhase::exited || task.reason == EndReason::none ||
        !failed(task.reason, task.facts) || task.facts.ended_at() >= first_at)
      continue;
    first_at = task.facts.ended_at();
    out = rank;
  }
  return out;
}

std::uint64_t cut_off_of(const Session& session, std::uint64_t wished) {
  if (session.simulated) return 0;
  return cut_off_of(counted_attempt(session), session.requeue_max, wished);
}

std::uint64_t cut_off_of(std::uint32_t attempt, std::uint32_t requeue_max,
                         std::uint64_t wished) {
  if (wished != 0) return wished;
  return attempt <= requeue_max ? cut_off_ns_default : 0;
}

// The spare is for steps of the manager's clock, and for a leader that does not
// know yet that another one leads.
std::optional<std::uint64_t> given_up_after(std::uint64_t cut_off_ns,
                                            bool tried_again, bool simulated) {
  if (simulated) return 0;
  if (cut_off_ns > 0) return cut_off_ns + cut_off_grace_ns + cut_off_spare_ns;
  // It was not to be tried again when it was launched, and runs on.
  if (tried_again) return std::nullopt;
  return 0;
}

std::uint64_t requeue_delay(std::uint32_t attempt) {
  const std::uint32_t doublings = std::min(attempt - 1, 16u);
  return std::min(requeue_delay_ns << doublings, requeue_delay_ns_max);
}

namespace {

std::string failure_of(const TaskEnd& end) {
  std::string out = fmt::format("task {} failed", end.rank);
  if (!end.detail.empty()) out += fmt::format(": {}", end.detail);
  if (out.size() > detail_bytes_max) out.resize(detail_bytes_max);
  return out;
}

// The task that failed first speaks for its session, not those that end
// because of it. What other tasks told is not kept, so where the first one was
// told of neither first nor last, it is the first told that speaks.
std::string detail_of(const Session& session, const Outcome& outcome,
                      const TaskEnd& last) {
  if (session.state != SessionState::stopping ||
      session.reason != EndReason::peer_failed)
    return last.detail;
  if (outcome.first_failed == last.rank) return failure_of(last);
  return session.detail ? *session.detail : std::string();
}

}  // namespace

void write_exit(const Session& session, const TaskEnd& end,
                const Origin& origin, Sequence cause, EventWriter& writer) {
  auto& builder = writer.builder();
  const auto detail = build_text(builder, end.detail);
  const Sequence exited = writer.add(
      schema::CreateTaskExited(builder, session.id.value, session.attempt,
                               end.rank, end.reason, &end.facts, detail),
      cause);
  const bool last = session.tasks_exited + 1 == session.tasks.size();
  if (last) {
    const Outcome outcome = outcome_of(session, &end);
    if (outcome.state != SessionState::succeeded &&
        may_requeue(session, outcome.reason))
      return write_requeued(session, outcome.reason, origin, exited, writer);
    return write_ended(session, outcome, detail_of(session, outcome, end),
                       exited, writer);
  }
  if (failed(end.reason, end.facts) && session.state != SessionState::stopping)
    write_stopping(session, EndReason::peer_failed, failure_of(end), exited,
                   writer);
}

namespace {

// Nothing where it has ended, or ends and will not be tried again.
void cancel(const Session& session, EventWriter& writer) {
  if (has_ended(session.state)) return;
  // One that is to be tried again must not be, from now on.
  if (session.state == SessionState::stopping &&
      !may_requeue(session, stopped_by(session)))
    return;
  if (session.state == SessionState::pending) {
    write_ended(session, {SessionState::cancelled, EndReason::cancelled, 0, 0},
                {}, session.last_seq, writer);
  } else {
    write_stopping(session, EndReason::cancelled, {}, session.last_seq, writer);
  }
}

Decision cancel_array(const State& state, SessionId first, const Origin& origin,
                      EventWriter& writer) {
  writer.begin(origin);
  const Sequence before = writer.next();
  std::uint32_t size = 0;
  std::uint32_t live = 0;
  state.visit_array(first, [&](const Session& session) {
    ++size;
    live += has_ended(session.state) ? 0 : 1;
    cancel(session, writer);
  });
  if (size == 0)
    return tl::unexpected(reject(
        RejectCode::not_found, "array_unknown",
        fmt::format("s-{} is not the first session of an array", first.value)));
  if (live == 0)
    return tl::unexpected(
        reject(RejectCode::wrong_state, "session_ended",
               fmt::format("the whole array of {} has ended already",
                           counted(size, "session"))));
  return Accepted{writer.next() == before ? state.last_sequence() : before,
                  first, size};
}

// The session, or of an array whose first one is forgotten the first that is
// known.
const Session* asked_for(const State& state,
                         const schema::CancelSession& command) {
  const SessionId id{command.session()};
  const Session* found = state.session(id);
  if (found || !command.array()) return found;
  state.visit_array(id, [&](const Session& session) {
    if (!found) found = &session;
  });
  return found;
}

}  // namespace

Decision decide_cancel(const State& state, const schema::CancelSession& command,
                       const Origin& origin, EventWriter& writer) {
  const Session* session = asked_for(state, command);
  if (!session)
    return tl::unexpected(
        reject(RejectCode::not_found, "session_unknown",
               fmt::format("there is no session s-{}", command.session())));
  if (origin.principal != state.user(*session) &&
      !state.may_administer(origin.principal))
    return tl::unexpected(
        reject(RejectCode::forbidden, "session_foreign",
               fmt::format("{} may not cancel a session of {}",
                           origin.principal, state.user(*session))));
  if (command.array())
    return cancel_array(state, SessionId{command.session()}, origin, writer);
  if (has_ended(session->state))
    return tl::unexpected(
        reject(RejectCode::wrong_state, "session_ended",
               fmt::format("s-{} has ended already: {}", command.session(),
                           schema::EnumNameSessionState(session->state))));
  writer.begin(origin);
  const Sequence first = writer.next();
  cancel(*session, writer);
  return Accepted{writer.next() == first ? session->last_seq : first,
                  session->id, 1};
}

bool decide_task_lost(const State& state, const Session& session,
                      const Origin& origin, EventWriter& writer) {
  if (has_ended(session.state)) return false;
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    const Task& task = session.tasks[rank];
    const Node& node = *state.node(task.node);
    if (task.phase == TaskPhase::exited || !node.lost) continue;
    writer.begin(origin);
    TaskEnd end{rank, EndReason::node_lost, task.facts,
                fmt::format("node {} was lost", node.name)};
    end.facts.mutate_ended_at(origin.now.value);
    write_exit(session, end, origin, session.last_seq, writer);
    return true;
  }
  return false;
}

bool decide_deadline(const State& state, const Session& session,
                     const Origin& origin, EventWriter& writer) {
  const Time due = deadline_of(state, session);
  if (due.value == 0 || due > origin.now) return false;
  writer.begin(origin);
  const Sequence passed = writer.add(
      schema::CreateDeadlinePassed(writer.builder(), session.id.value,
                                   session.state, due.value),
      session.last_seq);
  switch (session.state) {
    case SessionState::pending:
      write_ended(session,
                  {SessionState::failed, EndReason::wait_timeout, 0, 0},
                  "it waited longer than a session may", passed, writer);
      return true;
    case SessionState::running:
      write_stopping(session, EndReason::time_limit,
                     "its time limit has passed", passed, writer);
      return true;
    case SessionState::stopping: break;
    default:
      write_stopping(session, EndReason::start_timeout,
                     "it did not start in time", passed, writer);
      return true;
  }
  // What cannot be ended may hold devices still: nothing new goes there.
  std::vector<NodeId> drained;
  for (const Task& task : session.tasks) {
    const Node& node = *state.node(task.node);
    if (task.phase == TaskPhase::exited || !node.offered()) continue;
    if (std::find(drained.begin(), drained.end(), node.id) != drained.end())
      continue;
    drained.push_back(node.id);
    auto& builder = writer.builder();
    const auto reason = builder.CreateString(
        fmt::format("a task of s-{} could not be ended", session.id.value));
    writer.add(schema::CreateNodeDrained(builder, node.id.value, reason),
               passed);
  }
  write_ended(session, {SessionState::lost, EndReason::stop_timeout, 0, 0},
              "its tasks could not be ended in time", passed, writer);
  return true;
}

namespace {

bool stop_if_held(const Session& session, EndReason reason,
                  std::string_view detail, const Origin& origin,
                  EventWriter& writer) {
  if (!is_held(session)) return false;
  writer.begin(origin);
  write_stopping(session, reason, detail, session.last_seq, writer);
  return true;
}

}  // namespace

bool decide_evict(const State&, const Session& session, const Origin& origin,
                  EventWriter& writer) {
  return stop_if_held(session, EndReason::node_drained,
                      "the deadline of its node's drain has passed", origin,
                      writer);
}

bool decide_cell_stop(const Session& session, const Origin& origin,
                      EventWriter& writer) {
  return stop_if_held(session, EndReason::cell_stopped, "the cell was stopped",
                      origin, writer);
}

bool decide_preempt(const State& state, const Preemption& preemption,
                    const Origin& origin, EventWriter& writer) {
  const Session* victim = state.session(preemption.session);
  const Session* waiting = state.session(preemption.for_session);
  if (!victim || !is_held(*victim) || victim->attempt != preemption.attempt)
    return false;
  if (!waiting || waiting->state != SessionState::pending) return false;
  writer.begin(origin);
  write_stopping(*victim, EndReason::preempted,
                 fmt::format("it makes room for s-{}", waiting->id.value),
                 victim->last_seq, writer, waiting->id);
  return true;
}

Time warning_of(const State& state, const Session& session) {
  if (!session.warns || session.warned || session.time_limit_ns == 0 ||
      session.state != SessionState::running)
    return Time{};
  return Time{session.started_at.value + session.time_limit_ns -
              state.spec(session).warn_ns};
}

bool decide_warning(const State& state, const Session& session,
                    const Origin& origin, EventWriter& writer) {
  const Time due = warning_of(state, session);
  if (due.value == 0 || due > origin.now) return false;
  writer.begin(origin);
  writer.add(schema::CreateSessionWarned(writer.builder(), session.id.value,
                                         session.attempt,
                                         state.spec(session).warn_signal),
             session.last_seq);
  return true;
}

bool decide_dependent(const State& state, const Session& waiting,
                      const Session& ended, const Origin& origin,
                      EventWriter& writer) {
  if (waiting.state != SessionState::pending) return false;
  for (const auto& dependency : state.spec(waiting).after) {
    if (dependency.session() != ended.id.value) continue;
    if (satisfied(dependency.kind(), ended.state)) continue;
    writer.begin(origin);
    write_ended(
        waiting, {SessionState::cancelled, EndReason::dependency_failed, 0, 0},
        fmt::format("it waited for s-{} to end as '{}', which ended as {}",
                    ended.id.value,
                    schema::EnumNameDependencyKind(dependency.kind()),
                    schema::EnumNameSessionState(ended.state)),
        ended.last_seq, writer);
    return true;
  }
  return false;
}

namespace {

// Why a session can never start in the reservation that it asks for; empty: it
// may yet.
std::string never_lets_in(const State& state, const Spec& spec,
                          const ReservationChange& change, Time now) {
  const Reservation* own = state.reservations().find(spec.reservation);
  if (own && own->is_over(now))
    return fmt::format("its reservation {} is over since {}", own->name,
                       schema::rfc3339(own->first.to.value));
  if (own && !is_for(*own, state.accounts(), spec.user, spec.project))
    return fmt::format(
        "its reservation {} is not for {} in project {} any more", own->name,
        spec.user, spec.project);
  if (own) return {};
  if (change.cause.value == 0)
    return fmt::format("its reservation {} is not there any more",
                       spec.reservation);
  return fmt::format("its reservation {} {} {}", spec.reservation,
                     change.over ? "is over since" : "was removed at",
                     schema::rfc3339(now.value));
}

}  // namespace

bool decide_unreserved(const State& state, const Session& waiting,
                       const ReservationChange& change, const Origin& origin,
                       EventWriter& writer) {
  if (waiting.state != SessionState::pending || !waiting.reserves) return false;
  const std::string why =
      never_lets_in(state, state.spec(waiting), change, origin.now);
  if (why.empty()) return false;
  writer.begin(origin);
  write_ended(waiting,
              {SessionState::cancelled, EndReason::reservation_gone, 0, 0},
              why + ": it can never start",
              change.cause.value ? change.cause : waiting.last_seq, writer);
  return true;
}

}  // namespace reeve::cluster

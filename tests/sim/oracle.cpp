// The log, and what clients were told.
#include "tests/sim/oracle.hpp"

#include "actors/journal/core_recovery.hpp"
#include "schema/wire.hpp"

namespace reeve::sim {

using cluster::SessionState;
using schema::EventBody;

std::string text_of(const schema::Event& event) {
  std::string text = schema::EnumNameEventBody(event.body_type());
  const auto session = [&](std::uint64_t id, std::uint64_t attempt = 0) {
    text += fmt::format(" s-{}", id);
    if (attempt != 0) text += fmt::format(".{}", attempt);
  };
  if (const auto* submitted = event.body_as_SessionSubmitted())
    session(submitted->session());
  if (const auto* placed = event.body_as_SessionPlaced()) {
    session(placed->session(), placed->attempt());
    for (const auto* task : *placed->tasks())
      text += fmt::format(" n{}", task->node());
  }
  if (const auto* started = event.body_as_TaskStarted()) {
    session(started->session(), started->attempt());
    text += fmt::format(".{}", started->rank());
  }
  if (const auto* exited = event.body_as_TaskExited()) {
    session(exited->session(), exited->attempt());
    text += fmt::format(".{} {}", exited->rank(),
                        schema::EnumNameEndReason(exited->reason()));
  }
  if (const auto* stopping = event.body_as_SessionStopping()) {
    session(stopping->session(), stopping->attempt());
    text += fmt::format(" {}", schema::EnumNameEndReason(stopping->reason()));
  }
  if (const auto* requeued = event.body_as_SessionRequeued())
    session(requeued->session(), requeued->attempt());
  if (const auto* ended = event.body_as_SessionEnded()) {
    session(ended->session(), ended->attempt());
    text += fmt::format(" {} {}", schema::EnumNameSessionState(ended->state()),
                        schema::EnumNameEndReason(ended->reason()));
  }
  if (const auto* passed = event.body_as_DeadlinePassed()) {
    session(passed->session());
    text += fmt::format(" {}", schema::EnumNameSessionState(passed->state()));
  }
  if (const auto* registered = event.body_as_NodeRegistered())
    text += fmt::format(" n{} {}", registered->node(),
                        schema::text(registered->spec()->name()));
  if (const auto* lost = event.body_as_NodeLost())
    text += fmt::format(" n{}", lost->node());
  if (const auto* returned = event.body_as_NodeReturned())
    text += fmt::format(" n{}", returned->node());
  return text;
}

// ---- the log

void Oracle::apply(const schema::Event& event) {
  look_at(event);
  const Status applied = truth_.apply(event);
  SIM_CHECK(applied, "a durable event cannot be applied: {}",
            applied.error().text);
  count(event);
  loop_.note("event {} {}", event.seq(), text_of(event));
}

void Oracle::committed(std::span<const std::byte> events,
                       const store::Head& head) {
  const Status walked =
      store::for_each_event(events, [&](std::span<const std::byte> bytes) {
        const schema::Event* event = schema::verified_event(bytes);
        SIM_CHECK(event, "a durable event fails verification");
        apply(*event);
      });
  SIM_CHECK(walked, "{}", walked.error().text);
  head_ = head;
}

void Oracle::recovered(const Log& log, const cluster::State& state) {
  const auto hash = log.hash_at(head_.sequence);
  SIM_CHECK(head_.sequence == 0 || (hash && *hash == head_.hash),
            "event {} was acknowledged and is not in the log any more, which "
            "ends at event {}",
            head_.sequence, log.head().sequence);
  if (log.head().sequence > head_.sequence) {
    probes_.hit(Probe::recovered_unacknowledged);
    const Status scanned = log.scan(
        head_.sequence + 1, log.head().sequence,
        [&](const store::Record& record) {
          committed(record.events,
                    {record.last_sequence(), record.epoch, record.hash});
          return true;
        });
    SIM_CHECK(scanned, "{}", scanned.error().text);
  }
  SIM_CHECK(state.digest() == truth_.digest(),
            "the state found at event {} differs from the one that was",
            state.last_sequence().value);
  check_state(state);
}

void Oracle::compare(const cluster::State& live) {
  if (live.last_sequence() != truth_.last_sequence()) return;
  probes_.hit(Probe::digests_compared);
  SIM_CHECK(live.digest() == truth_.digest(),
            "the live state at event {} differs from the replayed one",
            live.last_sequence().value);
}

void Oracle::check_state(const cluster::State& live) const {
  const Status sound = live.check_invariants();
  SIM_CHECK(sound, "{}", sound.error().text);
  live.visit_sessions(SessionId{}, [&](const cluster::Session& session) {
    if (cluster::has_ended(session.state)) return true;
    SIM_CHECK(cluster::deadline_of(live, session).value != 0,
              "s-{} may stay {} for ever", session.id.value,
              schema::EnumNameSessionState(session.state));
    SIM_CHECK(session.state == SessionState::pending ||
                  session.tasks_exited < session.tasks.size(),
              "s-{} is {} and none of its tasks lives", session.id.value,
              schema::EnumNameSessionState(session.state));
    return true;
  });
}

void Oracle::look_at(const schema::Event& event) {
  SIM_CHECK(event.time_at() >= truth_.last_time().value,
            "the time of event {} is before that of the one before it",
            event.seq());
  if (const auto* submitted = event.body_as_SessionSubmitted())
    look_at_submitted(event, *submitted);
  if (const auto* exited = event.body_as_TaskExited()) look_at_exited(*exited);
  if (const auto* returned = event.body_as_NodeReturned())
    look_at_returned(*returned);
  if (const auto* stopping = event.body_as_SessionStopping())
    look_at_stopping(*stopping);
  if (const auto* requeued = event.body_as_SessionRequeued())
    look_at_requeued(*requeued);
  if (const auto* ended = event.body_as_SessionEnded()) look_at_ended(*ended);
}

void Oracle::look_at_submitted(const schema::Event& event,
                               const schema::SessionSubmitted& body) {
  const std::string name(schema::text(body.spec()->name()));
  // A later manager does not know what an earlier one has refused.
  const auto refused = refused_.find(name);
  SIM_CHECK(refused == refused_.end() || refused->second < event.epoch(),
            "{} was refused and is s-{}", name, body.session());
  const auto [known, fresh] = session_by_name_.emplace(name, body.session());
  const std::uint64_t array = body.spec()->array_session();
  const bool next = !fresh && array == known->second &&
                    body.session() == newest_session_ + 1 &&
                    array + body.spec()->array_index() - 1 == body.session();
  newest_session_ = body.session();
  if (fresh && array != 0) probes_.hit(Probe::array_submitted);
  SIM_CHECK(fresh || next, "{} was submitted once and is s-{} and s-{}", name,
            known->second, body.session());
}

// Of the kinds of events, and of what is rare.
void Oracle::count(const schema::Event& event) {
  switch (event.body_type()) {
    case EventBody::SessionPlaced: {
      const auto& placed = *event.body_as_SessionPlaced();
      const Time now{event.time_at()};
      check_turn(placed, now);
      check_shape(placed);
      check_wishes(placed);
      check_quotas(placed, now);
      check_array(placed);
      check_quarantines(placed);
      check_sharing(placed);
      return check_reservations(placed, now);
    }
    case EventBody::ReservationSet: return probes_.hit(Probe::reservation_set);
    case EventBody::ReservationRemoved:
      if (!event.command_id()) probes_.hit(Probe::reservation_over);
      return;
    case EventBody::AccountChanged:
      if (event.body_as_AccountChanged()->account()->kind() ==
          schema::AccountKind::group)
        probes_.hit(Probe::policy_set);
      return;
    case EventBody::QuotaSet: return probes_.hit(Probe::quota_set);
    case EventBody::NodeLost: return probes_.hit(Probe::node_lost);
    case EventBody::NodeReturned: return probes_.hit(Probe::node_returned);
    case EventBody::NodeDrained: return probes_.hit(Probe::node_drained);
    case EventBody::NodeRemoved: return probes_.hit(Probe::node_removed);
    case EventBody::DeviceQuarantined:
      return probes_.hit(Probe::device_quarantined);
    case EventBody::DeviceReleased: return probes_.hit(Probe::device_released);
    case EventBody::SessionRequeued:
      return probes_.hit(Probe::session_requeued);
    case EventBody::SessionWarned: return probes_.hit(Probe::session_warned);
    case EventBody::DeadlinePassed:
      switch (event.body_as_DeadlinePassed()->state()) {
        case SessionState::pending: return probes_.hit(Probe::deadline_pending);
        case SessionState::running: return probes_.hit(Probe::deadline_running);
        case SessionState::stopping:
          return probes_.hit(Probe::deadline_stopping);
        default: return probes_.hit(Probe::deadline_start);
      }
    case EventBody::SessionStopping:
      if (event.body_as_SessionStopping()->reason() ==
          schema::EndReason::node_drained)
        probes_.hit(Probe::drain_evicted);
      return;
    case EventBody::SessionEnded: {
      const auto& ended = *event.body_as_SessionEnded();
      if (ended.state() == SessionState::lost) probes_.hit(Probe::session_lost);
      if (ended.reason() == schema::EndReason::dependency_failed)
        probes_.hit(Probe::dependency_failed);
      if (ended.reason() == schema::EndReason::reservation_gone)
        probes_.hit(Probe::reservation_gone);
      return;
    }
    default: return;
  }
}

// ---- what the manager sends

void Oracle::answered(std::span<const std::byte> bytes, bool waits_for_commit) {
  std::uint64_t sequence = 0;
  if (const auto* reply = schema::verified<schema::Reply>(bytes)) {
    if (!reply->rejection())
      sequence = reply->seq();
    else
      note_refused(*reply);
  } else if (const auto* answer = schema::verified<schema::Answer>(bytes)) {
    if (waits_for_commit) sequence = answer->seq();
  } else {
    SIM_CHECK(false, "an answer fails verification");
  }
  SIM_CHECK(sequence <= head_.sequence,
            "an answer tells of event {} before it is durable; the log ends "
            "at event {}",
            sequence, head_.sequence);
}

void Oracle::ordered(const schema::AgentOrder& order) const {
  const auto* launch = order.body_as_LaunchOrder();
  if (!launch) return;
  for (const auto* task : *launch->tasks()) {
    const auto* session = truth_.session(SessionId{task->session()});
    SIM_CHECK(session && (session->attempt > task->attempt() ||
                          session->state != SessionState::pending),
              "the launch of {}.{}.{} leaves before its placement is durable",
              task->session(), task->attempt(), task->rank());
  }
}

// A rejection says that nothing was changed, and nothing may be.
void Oracle::note_refused(const schema::Reply& reply) {
  const schema::Rejection& rejection = *reply.rejection();
  if (rejection.code() == schema::RejectCode::no_space)
    probes_.hit(Probe::refused_without_room);
  // Only this one says that it may still take effect.
  if (schema::text(rejection.rule()) == schema::not_kept_rule) return;
  const auto found = submissions_.find(
      {reply.command_id()->high(), reply.command_id()->low()});
  if (found == submissions_.end()) return;
  const std::string& name = found->second.name;
  const auto known = session_by_name_.find(name);
  SIM_CHECK(known == session_by_name_.end(), "{} is s-{} and is refused: {}",
            name, known->second, schema::text(rejection.text()));
  refused_[name] = truth_.epoch().value;
}

// ---- clients

void Oracle::asked_submit(const schema::Id128& id, const std::string& name,
                          std::uint32_t sessions) {
  Submission& submission = submissions_[{id.high(), id.low()}];
  submission.name = name;
  submission.sessions = sessions;
}

std::uint64_t Oracle::heard(const schema::Reply& reply) {
  const auto found = submissions_.find(
      {reply.command_id()->high(), reply.command_id()->low()});
  if (found == submissions_.end()) return 0;
  Submission& submission = found->second;
  if (reply.rejection()) {
    if (schema::text(reply.rejection()->rule()) == "sessions_waiting_max")
      probes_.hit(Probe::queue_full);
    if (schema::text(reply.rejection()->rule()).starts_with("quota"))
      probes_.hit(Probe::quota_refused);
    return 0;
  }
  const auto known = session_by_name_.find(submission.name);
  SIM_CHECK(known != session_by_name_.end() && known->second == reply.session(),
            "{} was acknowledged as s-{}, which the log does not know",
            submission.name, reply.session());
  SIM_CHECK(submission.session == 0 || submission.session == reply.session(),
            "{} was acknowledged as s-{} and as s-{}", submission.name,
            submission.session, reply.session());
  if (submission.session == 0) ++acknowledged_;
  submission.session = reply.session();
  return reply.session();
}

void Oracle::finish(const Log& log) const {
  cluster::State replayed;
  const Status scanned =
      log.scan(1, log.head().sequence, [&](const store::Record& record) {
        const Status applied = journal::apply_record(replayed, record);
        SIM_CHECK(applied, "{}", applied.error().text);
        return true;
      });
  SIM_CHECK(scanned, "{}", scanned.error().text);
  SIM_CHECK(replayed.digest() == truth_.digest(),
            "the log on disk tells another state than the events did");
  for (const auto& [id, submission] : submissions_) {
    if (submission.session == 0) continue;
    for (std::uint32_t i = 0; i < submission.sessions; ++i) {
      const SessionId one{submission.session + i};
      const auto* session = replayed.session(one);
      SIM_CHECK(session && replayed.name(*session) == submission.name,
                "s-{} was acknowledged and is not in the log", one.value);
    }
    const auto answer = replayed.answered({id.first, id.second});
    SIM_CHECK(answer && answer->session.value == submission.session,
              "the command that submitted s-{} is not known any more",
              submission.session);
  }
}

}  // namespace reeve::sim

// How those that are told to make room, and what becomes of them, break a rule.
#include <algorithm>

#include "schema/wire.hpp"
#include "store/record.hpp"
#include "tests/sim/loop.hpp"
#include "tests/sim/saboteur.hpp"

namespace reeve::sim {

using cluster::Preemption;
using cluster::SessionState;
using cluster::State;
using schema::EndReason;

namespace {

bool may_go(const cluster::Session& session) {
  return session.state == SessionState::placed ||
         session.state == SessionState::starting ||
         session.state == SessionState::running;
}

// Whether one fits when the other is gone.
bool fits_without(const State& known, const cluster::Session& head,
                  const cluster::Session& gone) {
  Rooms rooms = rooms_of(known);
  const Ask of(known, gone);
  for (const auto& task : gone.tasks)
    if (task.phase != cluster::TaskPhase::exited)
      rooms.at(task.node.value).give(of, grants_of(task));
  return fits(known, rooms, Ask(known, head));
}

}  // namespace

// One more has to go, for the first that waits or the one others go for.
void Saboteur::ask_one(const State& known, Time now,
                       std::vector<Preemption>& room) const {
  const auto policy = policy_of(known, cluster::default_group);
  const auto wanted = is(Bug::room_unasked) ? cluster::MakeRoom::off
                                            : cluster::MakeRoom::priority;
  if (policy.preemption != wanted) return;
  const bool needless = is(Bug::room_needless);
  if (needless == room.empty()) return;
  const Session* head =
      needless ? known.session(room.front().for_session) : nullptr;
  if (!needless)
    known.visit_sessions(SessionId{}, [&](const Session& session) {
      if (session.state == SessionState::pending && !session.depends &&
          session.not_before <= now && !is_open(session.id) &&
          !Ask(known, session).is_tied() &&
          known.spec(session).reservation.empty() &&
          (!head || session.priority > head->priority))
        head = &session;
      return true;
    });
  if (!head) return;
  known.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!may_go(session) || session.simulated != head->simulated) return true;
    const Time began = std::max(session.placed_at, session.started_at);
    const bool early = now.value < began.value + policy.preempt_after_ns;
    const bool upward = session.priority > head->priority;
    const bool less = session.priority < head->priority;
    const bool told = std::any_of(
        room.begin(), room.end(),
        [&](const Preemption& one) { return one.session == session.id; });
    const bool wrong =
        is(Bug::room_unasked)  ? less
        : is(Bug::room_upward) ? upward
        : is(Bug::room_early)  ? less && early
        : needless             ? less && !early && !told
                   : less && !early && !fits_without(known, *head, session);
    if (wrong) room.push_back({session.id, session.attempt, head->id});
    return !wrong;
  });
}

void Saboteur::alter(const State& known, Time now,
                     std::vector<Preemption>& room) {
  if (is(Bug::room_unasked) || is(Bug::room_early) || is(Bug::room_in_vain) ||
      is(Bug::room_needless) || is(Bug::room_upward))
    ask_one(known, now, room);
}

// ---- what the manager decided

namespace {

void write(const schema::SessionRequeued& body, std::uint64_t not_before_at,
           cluster::EventWriter& writer) {
  writer.add(schema::CreateSessionRequeued(writer.builder(), body.session(),
                                           body.attempt(), body.reason(),
                                           not_before_at),
             Sequence{});
}

void write_failed(const schema::SessionRequeued& body,
                  cluster::EventWriter& writer) {
  writer.add(schema::CreateSessionEnded(writer.builder(), body.session(),
                                        body.attempt() - 1,
                                        SessionState::failed, body.reason()),
             Sequence{});
}

}  // namespace

void Saboteur::alter(const State& newest, manager::Batch& batch) {
  const bool waits = is(Bug::room_waits);
  const bool ends = is(Bug::room_ends);
  if (!waits && !ends && !is(Bug::retry_lost)) return;
  std::vector<std::byte> altered;
  const Status walked = store::for_each_event(
      batch.events, [&](std::span<const std::byte> bytes) {
        const schema::Event& event = schema::event_of(bytes);
        cluster::EventWriter writer(Sequence{event.seq()}, batch.epoch);
        writer.begin({Time{event.time_at()}, {}, {}});
        if (const auto* body = event.body_as_SessionRequeued()) {
          const bool preempted = body->reason() == EndReason::preempted;
          const auto* session = newest.session(SessionId{body->session()});
          if (preempted && waits)
            write(*body, event.time_at() + second_ns, writer);
          if (preempted && ends) write_failed(*body, writer);
          if (!preempted && is(Bug::retry_lost) && session &&
              session->preemptions > 0)
            write_failed(*body, writer);
        }
        const auto written = writer.count() > 0 ? writer.bytes() : bytes;
        altered.insert(altered.end(), written.begin(), written.end());
      });
  SIM_CHECK(walked, "{}", walked.error().text);
  batch.events = std::move(altered);
}

}  // namespace reeve::sim

// Every decision of the cell, each for one command or one fact:
// decide(state, input, origin) -> events | rejection. The state is only read;
// the caller applies the events before it decides anything else. A decision
// with several events is one commit, so it is never cut.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/event_writer.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/state.hpp"
#include "schema/command_generated.h"

namespace reeve::cluster {

using schema::RejectCode;

// Nothing changed. `rule` names what refused, `limit` and `value` its numbers.
struct Rejection {
  RejectCode code = RejectCode::none;
  const char* rule = "";
  std::string text;
  std::uint64_t limit = 0;
  std::uint64_t value = 0;
};

// `seq` is the first event, or the last known one where nothing had to change.
struct Accepted {
  Sequence seq;
  SessionId session;
  std::uint32_t sessions = 0;  // from that one on, which it is about
};

using Decision = tl::expected<Accepted, Rejection>;

// What the manager knows beside the state.
struct Admission {
  bool open = true;  // the disk has room
  std::uint64_t waiting_max = sessions_waiting_max;
};

Decision decide_submit(const State& state, const schema::SubmitSession& command,
                       const Admission& admission, const Origin& origin,
                       EventWriter& writer);
Decision decide_cancel(const State& state, const schema::CancelSession& command,
                       const Origin& origin, EventWriter& writer);

// Whether it could run in this cell, with its constraint and where it wants to
// be (submit_place.cpp).
std::optional<Rejection> check_place(const State& state, const Spec& spec,
                                     const schema::SessionSpec& packed);

// One node of a RegisterNodes command. One that is new joins when it is
// reconciled, one that was lost returns then.
Decision decide_register(const State& state, std::string_view agent,
                         const schema::NodeSpec& spec, bool reconciled,
                         const Origin& origin, EventWriter& writer);
Decision decide_drain(const State& state, const schema::DrainNode& command,
                      const Origin& origin, EventWriter& writer);
Decision decide_resume(const State& state, const schema::ResumeNode& command,
                       const Origin& origin, EventWriter& writer);
Decision decide_remove(const State& state, const schema::RemoveNode& command,
                       const Origin& origin, EventWriter& writer);

// A device of a node is offered to nobody, or again. For admins and the node's
// own agent, which may release only what an agent found unfit; admins release
// that with `force` alone.
Decision decide_quarantine(const State& state,
                           const schema::QuarantineDevice& command,
                           const Origin& origin, EventWriter& writer);
Decision decide_release(const State& state,
                        const schema::ReleaseDevice& command,
                        const Origin& origin, EventWriter& writer);

// Who may ask is the caller's to check (State::may_administer).
Decision decide_set_account(const State& state,
                            const schema::SetAccount& command,
                            const Origin& origin, EventWriter& writer);
Decision decide_remove_account(const State& state,
                               const schema::RemoveAccount& command,
                               const Origin& origin, EventWriter& writer);
Decision decide_set_quota(const State& state, const schema::SetQuota& command,
                          const Origin& origin, EventWriter& writer);
Decision decide_remove_quota(const State& state,
                             const schema::RemoveQuota& command,
                             const Origin& origin, EventWriter& writer);

Decision decide_set_reservation(const State& state,
                                const schema::SetReservation& command,
                                const Origin& origin, EventWriter& writer);
Decision decide_remove_reservation(const State& state,
                                   const schema::RemoveReservation& command,
                                   const Origin& origin, EventWriter& writer);
// It is over at `origin.now`: it goes.
bool decide_reservation_over(const Reservation& reservation,
                             const Origin& origin, EventWriter& writer);

// The first events of a new cell.
void decide_creation(std::string_view cell, std::string_view owner,
                     std::uint32_t owner_uid, const Origin& origin,
                     EventWriter& writer);
// `first_session`: where the numbers of new sessions go on; 0: as they were.
void decide_epoch(std::string_view manager, const Origin& origin,
                  EventWriter& writer, SessionId first_session = {});

// Against the newest state: refused when anything of it does not fit (any
// more).
Decision decide_place(const State& state, const Proposal& proposal,
                      const Origin& origin, EventWriter& writer);

// A session that runs makes room for one that waits: its tasks are told to end,
// and it waits again, or ends, as it wished. False: either is not there any
// more, or has moved on.
bool decide_preempt(const State& state, const Preemption& preemption,
                    const Origin& origin, EventWriter& writer);

// What a fact was worth. `foreign`: the cell has no such task (any more); if
// it runs, it must be stopped.
enum class FactOutcome { recorded, known, foreign };
FactOutcome decide_fact(const State& state, std::string_view agent,
                        const schema::Fact& fact, const Origin& origin,
                        EventWriter& writer);

// The node has been silent for too long. Its tasks follow, one by one, by
// decide_task_lost.
void decide_node_lost(const State& state, const Node& node,
                      std::uint64_t silent_ns, const Origin& origin,
                      EventWriter& writer);
// It is back without a word of its agent: for simulated ones only.
void decide_node_returned(const Node& node, const Origin& origin,
                          EventWriter& writer);
// The first live task of the session on a lost node ends; false: it has none.
bool decide_task_lost(const State& state, const Session& session,
                      const Origin& origin, EventWriter& writer);

// When the session wants a signal before its time limit; 0: never (again).
Time warning_of(const State& state, const Session& session);
// The warning, if its time has come at `origin.now`.
bool decide_warning(const State& state, const Session& session,
                    const Origin& origin, EventWriter& writer);
// The session's deadline, if it has passed at `origin.now`.
bool decide_deadline(const State& state, const Session& session,
                     const Origin& origin, EventWriter& writer);
// A drained node's deadline has passed: the session leaves it.
bool decide_evict(const State& state, const Session& session,
                  const Origin& origin, EventWriter& writer);
// The whole cell is being stopped.
bool decide_cell_stop(const Session& session, const Origin& origin,
                      EventWriter& writer);
// `ended` has ended in a way that this waiting session cannot go on from.
bool decide_dependent(const State& state, const Session& waiting,
                      const Session& ended, const Origin& origin,
                      EventWriter& writer);

// Why sessions that wait for a reservation are looked at: by this event it, or
// the projects it may be for, are not what they were. 0: nobody knows.
struct ReservationChange {
  Sequence cause;
  bool over = false;  // it went because its time was over
};
// The session waits for a reservation that is gone, or not for it any more.
bool decide_unreserved(const State& state, const Session& waiting,
                       const ReservationChange& change, const Origin& origin,
                       EventWriter& writer);

// Whether the dependency holds the session back no more.
bool satisfied(schema::DependencyKind kind, SessionState ended);

// Whether the attempt, counted from 1, is followed by another after this end;
// and how long that one is held back.
bool may_requeue(std::uint32_t attempt, std::uint32_t requeue_max,
                 EndReason reason);
std::uint64_t requeue_delay(std::uint32_t attempt);

}  // namespace reeve::cluster

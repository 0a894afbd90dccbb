// Every decision of the cell, each for one command or one fact:
// decide(state, input, origin) -> events | rejection. The state is only read;
// the caller applies the events before it decides anything else. A decision
// with several events is one commit, so it is never cut.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  std::string room;  // how much, for people; empty: nobody said
  std::uint64_t waiting_max = sessions_waiting_max;
  // Events of one decision, which are one commit.
  std::size_t commit_bytes_max = ~std::size_t{0};
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

// What an agent tells of its program; empty and 0: nothing.
struct AgentProgram {
  std::string_view version;
  std::uint32_t protocol = 0;
};
// One node of a RegisterNodes command. One that is new joins when it is
// reconciled, one that was lost returns then, and one that was drained for its
// agent's program is resumed.
Decision decide_register(const State& state, std::string_view agent,
                         const schema::NodeSpec& spec, bool reconciled,
                         const Origin& origin, EventWriter& writer,
                         const AgentProgram& program = {});
// The program of this agent is none that the cell understands: nothing new
// starts on its nodes until that changes. Those that are drained stay so.
void decide_refused(const State& state, std::string_view agent,
                    std::string_view why, const Origin& origin,
                    EventWriter& writer);
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

// A device that nobody holds is tested by its agent; the answer names the event
// that asked for it. For admins and the node's own agent.
Decision decide_test(const State& state, const schema::TestDevice& command,
                     const Origin& origin, EventWriter& writer);
// The agent's verdict. A passed test releases what was out for it alone, a full
// one also what the agent had found unfit; one that failed keeps it out.
Decision decide_tested(const State& state, const schema::ReportTest& command,
                       const Origin& origin, EventWriter& writer);
// What the node's agent wants tested by itself, see RegisterNodes.
struct OwnTests {
  bool of_new = false;
  bool of_quarantined = false;
};
void decide_own_tests(const Node& node, OwnTests wanted, const Origin& origin,
                      EventWriter& writer);

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

// Names that processes of the manager's own host go by: nobody joins as them.
struct LocalNames {
  std::string manager;
  std::vector<std::string> agents;
};

// Why nothing counts that `principal` asks for. The bus server of a manager
// that is down still takes whomever it knew, so among several managers only
// these count: the owner, members, tokens, and agents by the name of a manager
// or of `local_agents`.
std::optional<Rejection> check_principal(
    const State& state, std::string_view principal,
    const std::vector<std::string>& local_agents);

// Tokens and who joins by them (decide_identity.cpp). The first three are for
// admins, which the caller checks.
Decision decide_create_token(const State& state,
                             const schema::CreateToken& command,
                             const LocalNames& local, const Origin& origin,
                             EventWriter& writer);
Decision decide_revoke_token(const State& state,
                             const schema::RevokeToken& command,
                             const Origin& origin, EventWriter& writer);
// Its nodes are lost when their agent is found silent.
Decision decide_remove_identity(const State& state,
                                const schema::RemoveIdentity& command,
                                const Origin& origin, EventWriter& writer);
// `origin.principal` is that of a token. The same name and key by the same
// token again changes nothing.
Decision decide_join(const State& state, const schema::Join& command,
                     const LocalNames& local, const Origin& origin,
                     EventWriter& writer);
// Of a member. The nodes of an agent that hold nothing go, and may join again;
// with `force` those that hold something are lost.
Decision decide_leave(const State& state, const schema::Leave& command,
                      const Origin& origin, EventWriter& writer);

// Of a manager, which the caller checks (decide_healing.cpp). What is known
// already changes nothing.
Decision decide_healing(const State& state,
                        const schema::ReportHealing& command,
                        const Origin& origin, EventWriter& writer);
// The event alone, of a manager that leads.
Sequence write_healing(const Healing& healing, const Origin& origin,
                       EventWriter& writer);

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
// The whole cell is being stopped. What ends already goes on to end as it would
// have; the manager gives it no longer than grace_at_cell_stop.
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
// The same for a session whose tasks end for that reason, or, where it is being
// stopped, for what it is stopped for: after a failed task, what that ended by.
bool is_tried_again(const Session& session, EndReason reason);
// The rank of the task that failed first, by the clock of its host, of those
// that told how they ended: it speaks for the session.
std::optional<std::uint32_t> first_failed(const Session& session);
// How long the tasks of this attempt run on while their host hears nothing of
// the cell; 0: without end. `wished` is its specification's.
std::uint64_t cut_off_of(const Session& session, std::uint64_t wished);
std::uint64_t cut_off_of(std::uint32_t attempt, std::uint32_t requeue_max,
                         std::uint64_t wished);
// How long after its host last heard of the cell an attempt with a lost node
// is given up. 0: at once. Nothing: not before the node is back or the session
// stops, for its tasks may run on. `cut_off_ns` is as of cut_off_of.
std::optional<std::uint64_t> given_up_after(std::uint64_t cut_off_ns,
                                            bool tried_again, bool simulated);

}  // namespace reeve::cluster

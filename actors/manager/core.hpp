// The leader of the cell, without its framework: it decides commands, owns the
// state and says what follows. Inputs come with the time; effects leave only
// after the events that led to them are on disk.
//
// The times that come in are those of the host's clock, which may be set back;
// here time goes on (cluster/steady_time.hpp).
//
// An event is applied as soon as it is decided, so the next decision sees it;
// everything that leaves (answers, orders) waits for the commit. A commit that
// fails ends the process, so nobody ever saw what was not kept.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "actors/manager/core_rejections.hpp"
#include "cluster/decide.hpp"
#include "cluster/decide_manager.hpp"
#include "cluster/program.hpp"
#include "cluster/scheduling/queue.hpp"
#include "cluster/state.hpp"
#include "cluster/steady_time.hpp"
#include "schema/agent_generated.h"
#include "schema/query_generated.h"

namespace reeve::manager {

using cluster::Origin;
using cluster::Proposal;
using cluster::Session;
using cluster::State;

struct OrderStamp;
class AnswerWriter;

struct Options {
  std::uint64_t waiting_max = cluster::sessions_waiting_max;
  // Silent for longer, a node is lost; up to twice that where heartbeats of
  // late came late.
  std::uint64_t heartbeat_ns_max = cluster::node_lost_after_ns_default;
  std::uint64_t resend_ns = 5 * second_ns;
  // Events of one commit, far below what a record of the log may hold. Where
  // several managers keep it: cluster::shared_commit_bytes_max.
  std::size_t batch_bytes_max = 8 << 20;
  // Tasks in one message to an agent, so that it stays within its bound.
  std::size_t tasks_per_order_max = 256;
  // Agents of this manager's own process: nobody joins under their names.
  std::vector<std::string> local_agents = {"sim"};
  // What decides who is understood.
  cluster::Program program = {};
  // With their addresses: those that the settings name, for a log that has no
  // managers yet.
  std::vector<std::pair<std::string, std::string>> managers = {};
  // The newest epoch that a manager alone began here before; the log lacks it
  // where an older copy was put in place.
  Epoch begun = {};
  // That the managers of the cell have on the bus, all the same.
  std::string managers_principal = "reeved";
  // Where answers to it come, as reply subjects begin.
  std::string managers_inbox = "_INBOX.reeved.";
};

// Where an older copy of the log was put in place, so many sessions may have
// been started since that it does not know: their numbers are not used again.
inline constexpr std::uint64_t lost_sessions_max = 1'000'000;

// A manager that was not heard for so long does not count as living.
inline constexpr std::uint64_t manager_silent_ns_max = 5 * second_ns;

// A manager of the cell, as the one that answers has heard of it.
struct ManagerSeen {
  std::string name;
  std::string address;
  bool heard = false;
  std::uint64_t silent_ns = 0;
  schema::ManagerRole role = schema::ManagerRole::following;
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  cluster::Program program;
};

// What this manager is among those of the cell.
struct Membership {
  schema::ManagerRole role = schema::ManagerRole::leading;
  std::string leader;  // as far as it knows; empty: itself
  // Since it last heard of the cell's log; 0 where it leads. Before it heard
  // any leader since its last event, or schema::unknown_ns.
  std::uint64_t behind_ns = 0;
  std::vector<ManagerSeen> managers;  // all of the cell; of one alone: none
  std::string name;                   // its own, until it leads
  bool leader_unheard = false;        // since its start
};

// An answer to a command or query, to the reply subject that came with it.
struct SendReply {
  std::string reply_to;
  std::vector<std::byte> bytes;
};

// An AgentOrder for one agent.
struct SendOrder {
  std::string agent;
  std::vector<std::byte> bytes;
};

// All who may connect to the bus from now on, beside the manager's own. It
// leaves at the start and after each change, before the answers of its commit.
struct SetBusIdentities {
  std::vector<cluster::BusIdentity> list;
  // The managers of the cell; of one alone: none.
  std::vector<cluster::ManagerIdentity> managers;
};

// The leader is asked to give way; answered by Core::answer_hand_over.
struct HandOver {
  std::string to;  // empty: whoever has the longest log
  std::string reply_to;
};

using Effect = std::variant<SendReply, SendOrder, SetBusIdentities, HandOver>;

// Questions that the scheduler answers: see Core::on_query.
struct WhyWaits {
  SessionId session;
};
struct QueueOf {
  std::string group;
  bool simulated = false;
  std::uint32_t limit = 0;
};
// `event`: its SessionSubmitted, as it would be written; of an array that of
// the last of its `sessions`.
struct WouldStart {
  std::vector<std::byte> event;
  std::uint32_t sessions = 1;
};
using ForScheduler = std::variant<WhyWaits, QueueOf, WouldStart>;
using FromScheduler =
    std::variant<cluster::Why, cluster::Queue, cluster::DryRun>;

// Nothing: the question is for another of the schedulers.
std::optional<FromScheduler> ask_scheduler(cluster::Scheduler& scheduler,
                                           const ForScheduler& question,
                                           Time now);

// Events of one commit, as they go to disk.
struct Batch {
  Sequence first;
  std::uint32_t count = 0;
  Epoch epoch;
  std::vector<std::byte> events;
};

struct Counters {
  std::uint64_t commands = 0;
  std::uint64_t rejections = 0;
  std::uint64_t repeats = 0;
  std::uint64_t facts = 0;
  std::uint64_t facts_foreign = 0;
  std::uint64_t placements = 0;
  std::uint64_t placements_refused = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t orders = 0;
  std::uint64_t queries = 0;
};

// How often an agent with tasks is told that it is heard. It takes twice as
// long while a clock that was set back is waited for, and must be well below
// the shortest time that a task may be cut off for.
inline constexpr std::uint64_t heard_order_ns = second_ns * 3 / 2;
static_assert(3 * 2 * heard_order_ns < cluster::cut_off_ns_min);

// What a heartbeat says of its agent.
struct Beat {
  std::uint32_t tasks = 0;
  std::uint64_t sent = 0;  // names the heartbeat; told in orders
  // Nobody else leads for sure: whoever does may think the agent silent.
  bool by_leader = true;
};

// How far what an agent was told may be ahead of the log: see register_nodes.
inline constexpr std::uint64_t seen_ahead_max = 10'000'000;

class Core {
 public:
  Core(State state, Options options);

  // Before start(): the next event of a log that another manager writes. Takes
  // no decision. Errc::damaged when it does not follow or is of an unknown
  // kind. Meanwhile questions are answered from what it knows, on_tick() tells
  // the time, SetBusIdentities leaves, and commands get no answer: who sent one
  // asks again, and is answered by the leader.
  Status follow(const schema::Event& event);
  // The first commit of an epoch, in the place of start()'s: it counts when the
  // other managers have it, too, and then comes back through follow().
  // `healings`: what this one has to tell of its log.
  Batch beginning(std::string_view cell, std::string_view owner,
                  std::uint32_t owner_uid, std::string_view manager,
                  Epoch epoch, Time now,
                  std::span<const cluster::Healing> healings = {}) const;

  // Begins an epoch (and the cell, where the log is empty), and takes up what
  // the log left unfinished. Call once, before anything that decides. With
  // `begun` the log has the beginning of that epoch.
  enum class Beginning { to_be_written, begun };
  void start(std::string_view cell, std::string_view owner,
             std::uint32_t owner_uid, std::string_view manager, Time now,
             Beginning beginning = Beginning::to_be_written);
  bool started() const { return started_; }
  // That start() will begin.
  Epoch next_epoch() const;
  // Whose beginning is on disk; 0 while that of another one is not yet.
  Epoch begun() const {
    return durable_ < epoch_at_ ? Epoch{} : state_.epoch();
  }

  void on_command(const schema::Command& command, std::string_view principal,
                  std::string_view reply_to, Time now);
  // Nothing: it is answered. Else the question is for the scheduler.
  std::optional<ForScheduler> on_query(const schema::Query& query,
                                       std::string_view principal,
                                       std::string_view reply_to);
  // What the scheduler said to it (ask_scheduler).
  void on_scheduler(const ForScheduler& asked, const FromScheduler& said,
                    std::string_view reply_to);
  void answer_hand_over(const Expected<std::string>& to,
                        std::string_view reply_to);
  void answer_why(SessionId id, const cluster::Why& why,
                  std::string_view reply_to);
  // The proposals that were not taken.
  std::vector<std::pair<SessionId, std::uint32_t>> on_proposals(
      const std::vector<Proposal>& proposals, Time now);
  void on_preemptions(const std::vector<cluster::Preemption>& preemptions,
                      Time now);
  void on_heartbeat(std::string_view agent, Time now, const Beat& beat = {});
  // Deadlines, silent agents, orders that were not heard.
  void on_tick(Time now);

  // The cell ends: nothing new is admitted or placed, real tasks are stopped.
  // It has ended when `real_tasks` is 0.
  void stop_all(Time now);
  std::size_t real_tasks() const;
  bool stopping() const { return stopping_; }

  // The disk has room, or not; and how much, for people.
  void set_admission(bool open, std::string room = {}) {
    admission_.open = open;
    admission_.room = std::move(room);
  }
  // Why nothing can be kept; empty: it can. Meanwhile nobody waits: what is
  // asked for is refused, and whoever asked before is told how it stands.
  void set_no_room(std::string_view why);
  // The same while the other managers do not answer: what is decided may yet
  // count, or be set aside when another leads. Answers say since when nothing
  // was kept, and of a session that is being changed there is none.
  void set_alone(std::string_view why);
  // Whether nobody else can lead yet. While that is not sure, another may have
  // done what is rejected here, and no answer says that nothing was done; nor
  // is anything decided by time, or facts taken.
  void set_leads(bool for_sure) { leads_for_sure_ = for_sure; }
  void set_daemon_pid(int pid) { daemon_pid_ = pid; }
  // Another one when the bus server was started anew.
  void set_bus_pid(int pid) { bus_pid_ = pid; }
  void set_membership(Membership membership);
  void set_counter(std::string_view name, std::uint64_t value);
  // While it has no connection to the bus, that agents are silent says nothing
  // of them.
  void set_deaf(bool deaf) { deaf_ = deaf; }

  // What was decided since the last call; count 0: nothing.
  Batch take_batch();
  // All up to `sequence` is on disk: what waited for it may leave.
  void committed(Sequence sequence);
  std::vector<Effect> take_effects();
  // For the daemon's log.
  std::vector<std::string> take_messages();

  // Adds an answer that holds for the newest decided state.
  void reply(std::string_view reply_to, std::vector<std::byte> bytes);
  // The same for a question. While the disk is full it does not wait: it may
  // tell of what is decided and not yet kept.
  void reply_read(std::string_view reply_to, std::vector<std::byte> bytes);

  const State& state() const { return state_; }
  const Counters& counters() const { return counters_; }
  // The time that the last decision was taken at, never back.
  Time now() const { return now_; }
  Sequence decided() const { return state_.last_sequence(); }

 private:
  struct Agent {
    schema::Id128 boot;
    Time seen;
    bool known = false;       // heard since the start
    bool lost = false;        // and its nodes with it
    bool stranger = false;    // no member any more: it is not heard
    bool doubted = false;     // that is not known yet, and it is asked
    bool listed = false;      // a list that answers `boot` was made
    Sequence lost_at;         // the newest loss of a node, or of what ran there
    std::uint64_t heard = 0;  // the newest heartbeat, as it is named
    Time told;                // that it was
    // The longest that a heartbeat of late was late; it fades.
    std::uint64_t late_ns = 0;
    std::string refused;  // why, as it was last said
    // Those it declared; some may be another's by now, or removed. Each of
    // thousands of agents registers once a minute: none looks at all nodes.
    std::set<std::uint32_t> nodes;
  };
  struct Timer {
    Time due;
    SessionId session;
    Time state_at;
    bool operator>(const Timer& other) const { return due > other.due; }
  };
  struct Gated {
    Sequence after;
    Effect effect;
  };

  Origin origin(Time now, std::string_view principal = {}) const;
  cluster::ManagersNow managers_now() const;
  cluster::Decision remove_identity(const schema::RemoveIdentity& command,
                                    const Origin& asked);
  void write_beginning(std::string_view cell, std::string_view owner,
                       std::uint32_t owner_uid, std::string_view manager,
                       Time now, cluster::EventWriter& writer) const;
  // The next event follows the state.
  void stand_at_head();
  // Applies what the last decision wrote, and reacts to each event.
  void absorb();
  void react(const schema::Event& event);
  void follow_up(Time now);
  Time deadline_here(const Session& session) const;
  void arm(const Session& session);
  void rebuild_timers();
  void on_due(const Session& session, Time now);
  void hear(std::string_view agent);
  void tell_heard(std::string_view name, Agent& agent, std::uint64_t heard);
  bool has_lost_node(std::string_view agent) const;
  std::uint64_t silence_of(const Agent& agent) const;
  void check_agents(Time now);
  void lose_nodes(std::string_view agent, std::uint64_t silent_ns, Time now);
  void return_simulated(std::string_view agent, Time now);
  // Of tasks on lost nodes: core_lost.cpp.
  void lose_tasks(const Session& session, Time heard);
  bool on_lost_node(const Session& session) const;
  static bool ends_for_good(const Session& session);
  Time given_up_at(const Session& session) const;
  void give_up(SessionId id);
  void unlist(const Session& session);
  void give_up_due(Time now);
  void postpone_giving_up(std::uint64_t by_ns);
  void check_tests(Time now);
  void check_drains(Time now);
  void drop_reservations(Time now);
  std::optional<ForScheduler> answer_or_ask(const schema::Query& query,
                                            std::string_view principal,
                                            std::string_view reply_to);
  std::optional<ForScheduler> dry_run(const schema::DryRunQuery& query,
                                      std::string_view principal,
                                      std::string_view reply_to);
  AnswerWriter answer_writer() const;
  std::uint64_t behind_ns() const;
  void hand_over(const schema::HandOverQuery& query, std::string_view principal,
                 std::string_view reply_to);
  void link_dependencies(const Session& session);
  // Sessions that wait for a reservation are looked at before anything leaves.
  void doubt_reserving(const cluster::ReservationChange& change);
  void end_unreserved(Time now);
  std::vector<std::byte> status_answer() const;
  std::string_view leader_told() const;  // empty: nobody
  std::uint32_t sessions_of(const schema::Command& command,
                            SessionId first) const;
  std::vector<std::byte> accepted_answer(
      const schema::Command& command,
      const cluster::CommandAnswer& answer) const;
  void reply_unsure(const schema::Command& command, std::string_view reply_to,
                    std::span<const std::byte> rejected);
  void send_answer(const schema::Command& command, std::string_view reply_to,
                   const cluster::Decision& decision);

  cluster::Decision decide(const schema::Command& command,
                           std::string_view principal, Time now);
  std::optional<cluster::Rejection> check_asker(
      const schema::Command& command, std::string_view principal) const;
  std::optional<cluster::Rejection> check_member(
      std::string_view principal, std::string_view reply_to) const;
  void set_stranger(std::string_view principal, bool stranger);
  bool is_doubtful(const cluster::Node& node) const;
  bool is_reconciled(const schema::RegisterNodes& command) const;
  std::optional<cluster::Rejection> catch_up(
      const schema::RegisterNodes& command, const Origin& origin);
  // What those are told that do not understand this program.
  std::optional<std::string> why_apart(const schema::Protocol* told) const;
  std::optional<cluster::Rejection> refuse_agent(
      const schema::RegisterNodes& command, const schema::Protocol* told,
      const Origin& origin);
  cluster::Decision register_nodes(const schema::RegisterNodes& command,
                                   const schema::Protocol* told,
                                   std::string_view principal, Time now);
  cluster::Decision report_facts(const schema::ReportFacts& command,
                                 std::string_view principal, Time now);

  // Orders, gathered per agent until the next batch.
  OrderStamp stamp(std::string_view agent) const;
  void want_launch(const Session& session);
  void want_stop(const Session& session);
  void want_stop(std::string_view agent, const schema::TaskRef& task,
                 std::uint64_t grace_ns);
  void want_warning(const Session& session);
  void want_reconcile(std::string_view agent);
  std::vector<const cluster::Node*> nodes_of(std::string_view agent) const;
  std::vector<const Session*> sessions_on(std::string_view agent) const;
  void flush_orders();
  void flush_launches();
  void flush_stops();
  void flush_signals();
  void flush_reconciles();
  void flush_probes();
  void gate(Effect effect);
  void tell_identities();
  void refuse_gated();
  bool refuse_without_room(const schema::Command& command,
                           std::string_view reply_to);
  std::string why_alone() const;
  // Another may lead, and what is decided here may be set aside.
  bool may_lead_no_more() const { return alone_ || !leads_for_sure_; }
  // One that ends decides what its end needs.
  bool waits_for_others() const { return may_lead_no_more() && !stopping_; }

  State state_;
  Options options_;
  bool started_ = false;
  Time started_at_;
  std::string manager_;
  Membership membership_;
  cluster::Admission admission_;
  cluster::EventWriter writer_;
  RecentRejections rejections_;
  std::size_t absorbed_ = 0;  // bytes of the writer's that are applied
  cluster::SteadyTime clock_;
  Time now_;
  Time checked_at_;  // when the agents were last looked at
  bool deaf_ = false;
  Counters counters_;
  std::map<std::string, std::uint64_t, std::less<>> outside_counters_;
  std::string no_room_;  // nothing can be kept, and why; empty: it can
  bool alone_ = false;   // for want of other managers
  Time settled_at_;  // when all that is decided was durable, for the last time
  bool leads_for_sure_ = true;
  bool stopping_ = false;
  int daemon_pid_ = 0;
  int bus_pid_ = 0;

  std::map<std::string, Agent, std::less<>> agents_;
  std::vector<Timer> timers_;  // a heap, earliest first
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> dependents_;
  std::vector<std::uint64_t> ended_;  // whose dependents are to be looked at
  // With tasks on lost nodes: those to be given up, and when others are.
  std::vector<std::uint64_t> orphaned_;
  std::map<std::uint64_t, Time> given_up_;
  Time next_given_up_;
  std::set<std::uint64_t> reserving_;  // that wait for a reservation
  // Those that may wait in vain, and why.
  std::vector<std::pair<std::uint64_t, cluster::ReservationChange>> doubted_;

  std::vector<SessionId> launches_;
  // By agent, with the grace or the signal.
  using TasksByOrder = std::map<std::pair<std::string, std::uint64_t>,
                                std::vector<schema::TaskRef>>;
  TasksByOrder stops_;
  TasksByOrder signals_;
  std::vector<NodeId> probes_;       // whose agents are to be told of tests
  std::set<std::uint32_t> testing_;  // nodes with tests, maybe over by now
  Time next_probes_;
  std::vector<std::string> reconciles_;
  std::deque<Gated> gated_;
  // One list waits at most: what changes meanwhile goes with the next.
  bool identities_changed_ = true;
  std::optional<Gated> identities_;
  std::vector<Effect> effects_;
  std::vector<std::string> messages_;
  Sequence durable_;
  Sequence epoch_at_;  // the event that began the newest epoch
};

}  // namespace reeve::manager

// An agent without its framework: what it was ordered to run, what runs, and
// what the manager must still hear of it. Inputs come with the time; effects
// are taken out and performed by the shell.
//
// One class serves two uses. A real node's agent runs tasks through a runtime
// that outlives it (actors/agent/keeper). The agent of simulated nodes runs
// none: its tasks start at once and end when their time is over.
//
// For a GPU that is found unfit the agent asks for quarantine once the node is
// registered, and again until the manager has answered. Tests that it is
// ordered to make are told in the same way. A launch on a GPU that another
// owner had waits until it is clean: that is work for the shell (gpu_job.hpp),
// as tests are, and the core goes on meanwhile.
//
// Facts leave in reports, one in flight, sent again until answered; a task is
// forgotten once its end was accepted. A registration goes in four steps, so
// that nothing wanted is stopped and nothing unwanted is kept:
//   1. all facts queued so far are accepted;
//   2. RegisterNodes{reconciled: false}; the manager answers with a list;
//   3. what was to be launched before the list was made, and is not in it, is
//      stopped;
//   4. when that has ended, RegisterNodes{reconciled: true}.
// `boot` in messages is {run, number of the registration}: a list that answers
// an earlier registration is told by it and ignored, and one that comes once
// more for the newest is followed whenever it comes: a node was lost since, and
// the registration tells the newest that it follows. A launch may overtake the
// list or be overtaken by it. Orders name the event up to which they know the
// log: a launch from after the list is not stopped by it, one from before it
// comes to nothing, and what the manager does not know to have started is not
// missed.
//
// The times that come in are those of the host's clock, which may be set back;
// here time goes on (cluster/steady_time.hpp).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "actors/agent/core_gpus.hpp"
#include "actors/agent/core_handover.hpp"
#include "actors/agent/core_jobs.hpp"
#include "actors/agent/core_retry.hpp"
#include "actors/agent/core_silence.hpp"
#include "actors/agent/keeper/types.hpp"
#include "actors/agent/node.hpp"
#include "cluster/error.hpp"
#include "cluster/program.hpp"
#include "cluster/steady_time.hpp"
#include "cluster/types.hpp"
#include "gpu/health_policy.hpp"
#include "schema/agent_generated.h"
#include "schema/command_generated.h"

namespace reeve::agent {

using keeper::TaskKey;
using keeper::TaskKeyHash;
using keeper::TaskSpec;

// Facts in one report, and the bytes after which one is closed; both well
// within the bound of a command.
inline constexpr std::size_t facts_per_report_max = 1'000;
inline constexpr std::size_t report_bytes_max = 160u << 10;
inline constexpr std::size_t fact_detail_bytes_max = 512;
// Living tasks and those whose end is not accepted. Orders beyond are dropped
// and counted; the manager sends them again.
inline constexpr std::size_t tasks_max = 20'000;
inline constexpr std::size_t simulated_tasks_max = 1'000'000;
// Ended tasks that a late launch is recognised by, oldest dropped first.
inline constexpr std::size_t tombstones_max = 65'536;
// Devices whose tests are remembered; an order for more is not obeyed, and
// comes again.
inline constexpr std::size_t tests_max = 256;

// Steps from a process to the one that a task was started with. What is further
// down is counted to no task.
inline constexpr int ancestors_max = 1'000;

// For what the manager does not want any more.
inline constexpr std::uint32_t surplus_grace_ms = 5'000;

inline constexpr std::uint64_t heartbeat_ns = 1 * second_ns;
// Registering again heals whatever was missed. It is at the latest so long
// after the last time, at the earliest half of it: many agents that registered
// at one moment do not go on doing so.
inline constexpr std::uint64_t registration_ns = 60 * second_ns;
// Of the managers that a list names; the rest is not looked at.
inline constexpr std::size_t managers_told_max = 16;
// How long the manager's list may take after its answer.
inline constexpr std::uint64_t list_ns_max = 5 * second_ns;
// No tick for so long: the manager may have given the node up meanwhile.
inline constexpr std::uint64_t stall_ns_max = 5 * second_ns;
// The runtime has no room for launches: told at most so often.
inline constexpr std::uint64_t refusal_told_ns = 60 * second_ns;

struct Options {
  std::string agent;
  bool simulated = false;
  Node node;                           // of a real agent
  std::uint64_t run = 0;               // random: names this run of the agent
  std::uint64_t seed = 0;              // random: for jitter and command ids
  std::uint64_t output_bytes_max = 0;  // per stream of a task; 0: the keeper's
  // Fewer, for tests.
  std::size_t simulated_tasks_max = agent::simulated_tasks_max;
  // Somebody does Effects::gpu_jobs. Without, GPUs are neither tested nor
  // cleaned.
  bool gpu_jobs = false;
  Handover::Owners owners{};  // of its GPUs, as it was written down
  // What the node can test is tested by itself: see RegisterNodes.
  bool test_new = false;
  bool test_quarantined = false;
  cluster::Program program = {};
};

struct Counters {
  std::uint64_t orders = 0;
  std::uint64_t orders_stale = 0;  // of an older epoch
  std::uint64_t orders_early = 0;  // before the runtime was there
  std::uint64_t lists_stale = 0;   // answers to an earlier registration
  std::uint64_t launches = 0;
  std::uint64_t launches_known = 0;
  std::uint64_t launches_late = 0;      // of a task that has a tombstone
  std::uint64_t launches_void = 0;      // older than a list
  std::uint64_t launches_dropped = 0;   // over tasks_max
  std::uint64_t launches_refused = 0;   // for want of room in the runtime
  std::uint64_t launches_awaiting = 0;  // on GPUs that are not known yet
  std::uint64_t stops = 0;
  std::uint64_t signals = 0;
  std::uint64_t surplus_stopped = 0;
  std::uint64_t overuse_stopped = 0;  // for their use of GPUs
  std::uint64_t failed_stopped = 0;   // for errors of their GPUs
  std::uint64_t quarantines = 0;      // asked for
  std::uint64_t tests = 0;
  std::uint64_t handovers = 0;  // of a GPU to another owner
  std::uint64_t unclean = 0;    // that failed
  std::uint64_t facts = 0;
  std::uint64_t reports = 0;
  std::uint64_t resends = 0;
  std::uint64_t rejections = 0;
  std::uint64_t registrations = 0;  // that were complete
};

// The newest that any order named, ever.
struct Newest {
  Epoch epoch;
  SessionId session;
};

struct StopTask {
  TaskKey key;
  std::uint32_t grace_ms = 0;
};

struct SignalTask {
  TaskKey key;
  int signo = 0;
};

// What is wrong with a device of this host.
struct GpuFinding {
  std::string uuid;
  gpu::Finding finding;
};

// A finished schema::Command, to be sent on the subject of its kind.
struct SendCommand {
  schema::Id128 id;
  const char* kind = "";
  std::vector<std::byte> bytes;
};

// To be performed in the order of the members.
struct Effects {
  std::vector<TaskSpec> launches;
  std::vector<StopTask> stops;
  std::vector<SignalTask> signals;
  std::vector<TaskKey> forgets;
  std::vector<GpuJob> gpu_jobs;  // each is answered by on_gpu_job
  std::vector<SendCommand> commands;
  std::vector<std::byte> heartbeat;  // empty: none is due
  // The newest heartbeat that was heard, as it was named; 0: no news.
  std::uint64_t heard = 0;
  // No word of a manager came for so long: the connection may go to another bus
  // server, if there is one. 0: nothing to be done.
  std::uint64_t unheard_ns = 0;
  // The hosts of all managers, as a list told them; empty: no news.
  std::vector<std::string> managers;
  std::vector<std::string> messages;  // for the log
};

class Core {
 public:
  explicit Core(Options options);

  // The runtime is there (again): all it knows, and what it does not give
  // beside what the node does not. A simulated agent calls it once with
  // nothing, to begin.
  void on_runtime_ready(const std::vector<keeper::TaskStatus>& tasks,
                        Newest newest, std::vector<std::string> limits,
                        Time now);
  // Orders are ignored until it is ready again.
  void on_runtime_lost();

  // `order` is verified.
  void on_order(const schema::AgentOrder& order, Time now);

  void on_started(const TaskKey& key, int pid, std::uint64_t started_at,
                  std::string note);
  void on_start_failed(const TaskKey& key, std::string error);
  void on_exited(const TaskKey& key, const keeper::ExitFacts& facts);
  // The runtime would not do what was asked. A launch that it has no room for
  // waits to be ordered again.
  void on_refused(const TaskKey& key, Errc code, std::string text);

  // What the driver tells, of all devices at once: ends the tasks that go on
  // using more than they were given. Called again and again; `parent` is asked
  // for the parent of a process, 0 where there is none.
  void on_gpu_use(const std::vector<GpuUse>& uses,
                  const std::function<int(int pid)>& parent);

  // The host has other devices than before: `node` is taken up, and registered,
  // as soon as no task holds what changed.
  void on_node(Node node);
  // What is new of the devices' health, each finding once.
  void on_gpu_health(const std::vector<GpuFinding>& findings);

  // A job is done, or could not be.
  void on_gpu_job(const GpuJobDone& done);

  // The answer to a command; answers to others are ignored.
  void on_reply(const schema::Reply& reply, Time now);
  // The bus is there again after an interruption.
  void on_reconnected(Time now);
  void on_tick(Time now);
  // How long after the last input on_tick has something to do; at most a
  // heartbeat away.
  std::uint64_t wait_ns() const;
  void set_load_milli(std::uint32_t load_milli) { load_milli_ = load_milli; }
  // Names the heartbeats from now on: a time of a clock of the host that never
  // jumps. The keeper ends tasks by it that hear nothing for too long.
  void set_host_time(std::uint64_t host_ns) { host_ns_ = host_ns; }

  Effects take_effects(Time now);

  // Whether nothing more will be written by the task: it has ended, or is not
  // known here.
  bool ended(const TaskKey& key) const;
  const Node& node() const { return options_.node; }
  bool registered() const { return registered_; }
  std::size_t tasks() const { return tasks_.size(); }
  std::size_t facts_waiting() const {
    return facts_.size() + in_report_.size();
  }
  const Counters& counters() const { return counters_; }
  // Internal agreement; for tests, after each step.
  void check_invariants() const;

 private:
  struct Fact {
    schema::FactKind kind = schema::FactKind::started;
    schema::EndReason reason = schema::EndReason::none;
    schema::ExitFacts facts;
    std::string detail;
  };
  enum class Phase : std::uint8_t { launching, running, ended };
  struct Task {
    Phase phase = Phase::launching;
    bool start_waiting = false;  // its started fact is queued or in flight
    bool end_waiting = false;
    bool in_runtime = false;  // to be forgotten there
    bool refused = false;     // had no room: `note` says why; holds nothing
    int pid = 0;
    std::uint64_t signalled = 0;  // a bit for each signal that it got
    // Up to where the order to launch it knew the log; 0: nobody remembers.
    Sequence ordered_at;
    std::uint64_t started_at = 0;
    std::string note;  // what differs from the order, or why it is refused
    Fact end;
  };
  // Of the gravest finding until it is sent.
  struct WantedQuarantine {
    gpu::Finding finding;
    PendingCommand command;
  };
  enum class TestPhase : std::uint8_t {
    waiting,  // for the device, or for others to end
    running,
    told,  // not accepted
    over,  // remembered, so that it is not made again
  };
  struct Test {
    std::uint64_t id = 0;  // the event that asked for it
    bool full = false;
    TestPhase phase = TestPhase::waiting;
    std::uint64_t job = 0;
    GpuJobDone result;
    PendingCommand report;
  };
  struct QueuedFact {
    TaskKey key;
    bool is_end = false;
  };
  using Tasks = std::unordered_map<TaskKey, Task, TaskKeyHash>;
  enum class Registration : std::uint8_t {
    idle,
    facts_first,  // step 1
    asked,        // step 2, not answered
    listing,      // step 2, answered, the list is awaited
    clearing,     // step 3
    confirming,   // step 4, not answered
  };

  // core.cpp: orders and what the runtime says
  void on_launch(const schema::LaunchOrder& order, Time now);
  void launch(const schema::TaskOrder& order, const TaskKey& key, Time now);
  void repeat(const TaskKey& key, Task& task, bool start_is_known);
  void on_stop(const schema::StopOrder& order, Time now);
  void on_signal(const schema::SignalOrder& order);
  void stop(const TaskKey& key, std::uint32_t grace_ms, Time now);
  void ask_to_end(const TaskKey& key, std::uint32_t grace_ms);
  void kill_for_gpu(const TaskKey& key);
  bool offers(const std::string& uuid) const;  // the device or parts of it
  void take_node();
  void take_up(const keeper::TaskStatus& status);
  void end(const TaskKey& key, Task& task, Fact fact);
  void end_unbegun(const TaskKey& key, std::string why);
  void put_off(const TaskKey& key, Task& task, std::string why);
  // Reports a task that is not here as unknown, and will never start it.
  void bury(const TaskKey& key, std::string detail);
  void add_tombstone(const TaskKey& key);
  Task* find(const TaskKey& key);

  // core_reports.cpp: facts, registration, time
  void tick(Time now);
  bool awaits_word() const;
  void queue_start(const TaskKey& key, Task& task);
  void queue_end(const TaskKey& key, Task& task);
  void build_report(Time now);
  void on_report_accepted();
  void accept(const QueuedFact& fact);
  void begin_registration();
  void advance_registration(Time now);
  bool must_await_gpus();
  void on_list(const schema::ReconcileOrder& order, Time now);
  void find_surplus(const schema::ReconcileOrder& order);
  void send_registration(bool reconciled, Time now);
  void on_registration_accepted(Time now);
  void registration_complete(Time now);
  void check_launches(const schema::ReconcileOrder& order, Time now);
  void send_heartbeat(Time now);
  template <class Body>
  void make(PendingCommand& command, const char* kind,
            flatbuffers::FlatBufferBuilder& builder,
            flatbuffers::Offset<Body> body);
  void send(PendingCommand& command, Time now);
  void send_again(PendingCommand& command, Time now);
  bool rejected(PendingCommand& command, const schema::Reply& reply, Time now);
  void register_as_stranger(const schema::Reply& reply, Time now);
  schema::Id128 next_command_id();
  schema::Id128 boot() const { return {options_.run, registration_number_}; }

  // core_devices.cpp: quarantines, tests, and from one owner to the next
  const NodeDevice* device(const std::string& uuid) const;
  void want_quarantine(const std::string& uuid, const gpu::Finding& finding);
  void send_quarantines(Time now);
  void make_quarantine(const std::string& uuid, WantedQuarantine& wanted);
  bool on_quarantine_reply(const schema::Reply& reply, Time now);
  void on_probe_order(const schema::ProbeOrder& order);
  void begin_tests(Time now);
  std::uint64_t begin_job(GpuJob job, Time now);
  void tell(Test& test, GpuJobDone result);
  void send_tests(Time now);
  void make_report(const std::string& uuid, Test& test);
  void on_test_reply(const schema::Reply& reply, Time now);
  void hand_over(keeper::TaskSpec spec, const schema::TaskOrder& order,
                 Time now);
  void advance_devices(Time now);
  void finish_job(const GpuJob& job, GpuJobDone done);
  void fail_unclean(const TaskKey& key, std::string why);

  // core_simulated.cpp
  void simulate(const schema::TaskOrder& order, const TaskKey& key, Time now);
  void end_simulated(const TaskKey& key, Time ended_at, bool stopped);
  void end_due(Time now);

  struct SimulatedEnd {
    Time due;
    TaskKey key;
    bool operator>(const SimulatedEnd& other) const { return due > other.due; }
  };

  Options options_;
  Newest newest_;
  Sequence order_seq_;  // of the order at hand
  Sequence seen_seq_;   // the newest that an order of the newest epoch named
  Sequence list_seq_;   // of the newest list
  bool ready_ = false;
  bool registered_ = false;
  Tasks tasks_;
  std::unordered_set<TaskKey, TaskKeyHash> tombstones_;
  std::deque<TaskKey> tombstones_by_age_;
  GpuGrants gpus_;
  std::optional<Node> next_node_;  // waits until it may be taken up
  bool told_of_gpus_ = false;      // that its registration waits for them
  std::vector<std::string> runtime_limits_;

  std::deque<QueuedFact> facts_;       // not in a report
  std::vector<QueuedFact> in_report_;  // in the one in flight
  std::uint64_t facts_queued_ = 0;     // ever
  std::uint64_t facts_accepted_ = 0;   // ever, in the same order
  PendingCommand report_;

  Registration registration_ = Registration::idle;
  std::uint64_t registration_number_ = 0;
  std::uint64_t facts_before_ = 0;  // step 1: facts_accepted_ to reach
  std::unordered_set<TaskKey, TaskKeyHash> surplus_;
  PendingCommand registering_;
  Time list_due_;
  Time next_registration_;

  std::map<std::string, WantedQuarantine> quarantines_;  // not answered
  std::map<std::string, Test> tests_;                    // by uuid
  Handover handover_;
  GpuJobs jobs_;

  std::vector<SimulatedEnd> simulated_;  // a heap, earliest first
  cluster::SteadyTime clock_;
  Time next_heartbeat_;
  Time last_tick_;
  Time next_refusal_told_;
  std::uint32_t load_milli_ = 0;
  std::uint64_t host_ns_ = 0;
  std::uint64_t commands_ = 0;
  Jitter jitter_;
  Silence silence_;
  bool one_manager_ = false;  // as the last list says
  Effects effects_;
  Counters counters_;
};

}  // namespace reeve::agent

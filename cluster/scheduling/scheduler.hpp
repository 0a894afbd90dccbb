// Who starts next, and where. A pure projection of the log: it is told every
// event, proposes placements in batches, and is told what became of them.
//
// Order. Sessions wait in one queue per (resource group, simulated or not), by
// priority (higher first), then by the order of the group's policy (policy.hpp,
// order.cpp). What may start while an earlier session does not fit is for its
// backfill to say: nothing; what leaves the first that wait the places that are
// kept for them from a moment on (plan.cpp); or, as it is where nothing is set,
// whatever fits. Then, and where no such moment is known, the head of a queue
// that has been refused for `head_patience_ns` since it first was the head is
// the queue's guard: as many nodes as it needs, those with the most room, are
// earmarked, closed to sessions behind it until it has started or left.
//
// Quotas. A session whose user, project (with those above it) or group holds
// what it may is out of the queue, in the account's own line, until the account
// has room for it again; within an account the order is that of the queue, but
// who waits for a new period or another quota is passed over.
//
// Placement (best fit). Tasks without GPUs go to nodes without GPUs, else to
// those with the fewest free GPUs; whole GPUs to the node with the fewest free
// ones that suffice; a share to the device with the least free share that
// suffices, of those whose shares are of the same project or user where the
// group has it so. Devices that their last test found slow come after all
// others. Ties go to the node with the least CPU left over. A gang starts
// whole or not at all; with `nodes` given, its tasks are spread over exactly
// that many nodes, as evenly as they go, neighbouring ranks together.
// A group's policy may ask for another packing than best fit (policy.hpp):
// then the best of a bounded number of places is taken (weigh.cpp). For
// packing=fragmentation (outlook.hpp) up to 128 nodes are weighed, a
// microsecond each; it learns from submissions, and anew after a restart.
//
// Cost. Sessions with equal requests are one class. A class that was refused
// is not looked at again until a node on which it fits has got room; nodes are
// found through an index of free capacity, never by walking all of them.
//
// Several may share the work, each with the queues of some resource groups. All
// are told every event, for quotas and dependencies cross groups; what two of
// them propose at once may be too much together, which the manager finds.
//
// One thread at a time; deterministic: equal calls give equal answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/accounts/quota.hpp"
#include "cluster/scheduling/policy.hpp"
#include "cluster/types.hpp"

namespace reeve::schema {
struct Event;
struct SessionSpec;
}  // namespace reeve::schema

namespace reeve::cluster {

inline constexpr std::uint64_t head_patience_ns = 600 * second_ns;

struct DeviceGrant {
  std::uint32_t device = 0;
  std::uint32_t milli = 0;
  std::uint64_t memory_bytes = 0;
  bool operator==(const DeviceGrant&) const = default;
};

// The place of one task; its rank is its index in the proposal.
struct TaskProposal {
  NodeId node{};
  std::vector<DeviceGrant> devices{};
  bool operator==(const TaskProposal&) const = default;
};

struct Proposal {
  SessionId session;
  std::uint32_t attempt = 0;
  std::vector<TaskProposal> tasks;
};

// A session that runs and should make room for one that waits.
struct Preemption {
  SessionId session;
  std::uint32_t attempt = 0;
  SessionId for_session;
};

enum class WaitReason {
  unknown,     // no such session, or it has ended
  placed,      // it is not waiting
  not_before,  // held until `held_until`
  dependency,  // held until `waits_for` have ended as asked
  quota,       // its owners hold what they may: `quota`
  array_full,  // as many of its array hold a place as may
  no_room,     // no node (or not enough of them) has room now
  queued,      // there is room: the next pass looks at it
  quota_line,  // there would be, but `blocked_by` of its account comes first
};

// The nodes of the session's queue without those that were removed, each
// counted once, by the first that applies. `devices_busy` counts nodes that
// have suitable devices, but too few with enough free share or memory that are
// offered; `not_shared` those with enough of both on GPUs that others share,
// and not with this session.
struct NodeCounts {
  std::uint32_t total = 0;
  std::uint32_t away = 0;         // lost or drained
  std::uint32_t other_node = 0;   // the session names another one
  std::uint32_t too_small = 0;    // would not fit on it even if it were empty
  std::uint32_t quarantined = 0;  // would not fit without its quarantined GPUs
  std::uint32_t not_shared = 0;
  std::uint32_t devices_busy = 0;
  std::uint32_t cpu_short = 0;
  std::uint32_t memory_short = 0;
  std::uint32_t earmarked = 0;  // fits, but is kept for one ahead of it
  std::uint32_t unwished = 0;   // not as its constraint or company asks
  std::uint32_t reserved = 0;   // kept by a reservation, or not by its own
  std::uint32_t fitting = 0;    // fits at least one task
};

// The node that lacks least, with what is free there for this request.
struct NearestNode {
  NodeId node{};
  std::string name;
  std::uint64_t cpu_free_milli = 0;
  std::uint64_t memory_free_bytes = 0;
  std::uint32_t gpus_free = 0;         // devices that would serve the request
  std::uint32_t gpus_quarantined = 0;  // that would, were they offered
  std::uint64_t cpu_lacking_milli = 0;
  std::uint64_t memory_lacking_bytes = 0;
  std::uint32_t gpus_lacking = 0;
};

// A part of what decides a session's place in its queue, with its value.
struct RankPart {
  const char* name = "";
  double value = 0;
};

// What an expected start rests on.
enum class StartBasis {
  unknown,  // no end is known that would make room
  limits,   // the expected ends of what runs, were nobody ahead
  plan,     // a place is kept from then on, see Backfill
  room,     // it has room now; its time has not come
};

// A session whose end, by then, gives back what is waited for.
struct AwaitedEnd {
  SessionId session;
  NodeId node{};
  std::string node_name;
  Time at;
  std::uint32_t gpu_milli = 0;
};

inline constexpr std::size_t awaited_ends_max = 8;

struct Why {
  WaitReason reason = WaitReason::unknown;
  Time held_until;
  std::vector<SessionId> waits_for;
  std::optional<QuotaExcess> quota;
  NodeCounts nodes;
  std::optional<NearestNode> nearest;
  std::uint32_t tasks = 0;  // how many have to fit at once
  // How many would fit now, spread over nodes and in one place as they have to
  // be, and beside what is reserved for others; at most `tasks`.
  std::uint32_t tasks_fitting = 0;
  std::size_t place_in_queue = 0;  // 1 is the head; 0: not in a queue
  std::size_t queue_length = 0;
  // The guard, when its earmarks are what is in the way; the first in the line
  // of its account, when that is; else the head of the queue when that is
  // another session; 0: nobody is ahead.
  SessionId blocked_by;
  // 0 when nothing tells; `basis` says what it rests on, `awaited` whose ends
  // come before it where it would start, the last ones.
  Time expected_start;
  StartBasis basis = StartBasis::unknown;
  std::vector<AwaitedEnd> awaited;
  std::vector<RankPart> rank;
};

struct SchedulerSizes {
  std::size_t nodes = 0;       // that are offered
  std::size_t sessions = 0;    // that have not ended
  std::size_t waiting = 0;     // in a queue
  std::size_t held = 0;        // by a time or a dependency, or another's
  std::size_t over_quota = 0;  // whose owners hold what they may
  std::size_t array_full = 0;  // as many of their arrays run as may
  std::size_t proposed = 0;    // and neither placed nor refused yet
  std::size_t classes = 0;     // distinct requests of these sessions
};

struct Queue;
struct QueueEntry;
struct DryRun;

// Which groups are for one of several schedulers: of the groups in the order in
// which the log names them, each `of`-th, beginning with this number.
struct SchedulerShare {
  std::uint32_t number = 0;
  std::uint32_t of = 1;
};
inline constexpr std::uint32_t schedulers_max = 64;

class Scheduler {
 public:
  explicit Scheduler(SchedulerShare share = {});
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  // Events in the order of the log, each once; or those that tell a state
  // (cluster/project.hpp), which leave out sessions that have ended. Ignores
  // what does not concern placement and sessions it does not know. A node that
  // registers again has another inventory, and stays lost, drained or removed
  // if it was.
  void apply(const schema::Event& event);

  // From now on the queues of this resource group (its nodes, and its simulated
  // ones) follow this policy; a group has the default one until then.
  void set_policy(const std::string& group, const Policy& policy);

  // At most `max` placements, best first. What it proposes it holds as taken,
  // until the session's SessionPlaced arrives or `refused` is called. Fewer
  // than `max`: nothing more can start before the next event or wake-up.
  std::vector<Proposal> propose(Time now, std::size_t max);

  // Who should make room, for what `propose` could not place. Asked after it;
  // each is said once.
  std::vector<Preemption> preempt(Time now);

  // The manager did not take the proposal: its holdings are undone and the
  // session waits again, preferring other nodes. A proposal that is no longer
  // open (another attempt, placed, ended) is ignored.
  void refused(SessionId session, std::uint32_t attempt);

  // The earliest `not_before` of a held session, or the renewal of a quota that
  // is in the way; 0 is none.
  Time next_wakeup() const;

  // Whether questions about the session, or the group, are for this one of the
  // schedulers: for unknown ones they are for the first.
  bool serves(SessionId session) const;
  bool serves(const std::string& group) const;

  // The moment that `why` and `queue` answer for, unless a later one is known.
  void time_is(Time now);

  // Costs a walk over the nodes and sessions of one queue: for people.
  Why why(SessionId session) const;

  // The waiting sessions of a group's queue in their order, and those that are
  // held, at most `limit` together (queue.hpp).
  Queue queue(const std::string& group, bool simulated,
              std::size_t limit) const;

  // Where so many of these sessions would start, one after the other, were they
  // submitted now; nothing changes.
  DryRun dry_run(const schema::SessionSpec& spec, Time now,
                 std::uint32_t count = 1);

  SchedulerSizes sizes() const;

  struct Core;

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace reeve::cluster

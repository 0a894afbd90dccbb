// A queue as people look at it, and what would become of a session that is
// only thought of. See Scheduler::queue and Scheduler::dry_run.
#pragma once

#include "cluster/scheduling/scheduler.hpp"

namespace reeve::cluster {

struct QueueEntry {
  SessionId session;
  WaitReason reason = WaitReason::unknown;
  std::optional<QuotaExcess> quota;  // what holds it back
  // 0: not known, or too far back to be looked at.
  Time expected_start;
  std::vector<RankPart> parts;  // what its place comes from
};

// Sessions that wait for room or for a quota; those that wait for a time or
// for another session are in no queue.
struct Queue {
  Policy policy;
  std::size_t length = 0;
  std::vector<QueueEntry> entries;  // the head first
};

struct DryRun {
  std::vector<TaskProposal> tasks;  // by rank; none: it would wait
  Why why;                          // and what for
};

}  // namespace reeve::cluster

// A queue as people look at it, and what would become of a session that is
// only thought of. See Scheduler::queue and Scheduler::dry_run.
#pragma once

#include "cluster/scheduling/scheduler.hpp"

namespace reeve::cluster {

struct QueueEntry {
  SessionId session;
  WaitReason reason = WaitReason::unknown;
  std::optional<QuotaExcess> quota{};  // what holds it back
  // 0: not known, or too far back to be looked at.
  Time expected_start{};
  std::vector<RankPart> parts{};  // what its place comes from
  // Of one that is held.
  Time held_until{};
  std::vector<SessionId> waits_for{};
};

// Sessions that wait for room or for a quota; those that wait for a time or
// for another session are held and in no queue.
struct Queue {
  Policy policy;
  std::size_t length = 0;
  std::vector<QueueEntry> entries;  // the head first
  std::size_t held_length = 0;
  std::vector<QueueEntry> held;  // by their time, those without one last
};

struct DryRun {
  // Of those that would start, by rank, one session after the other.
  std::vector<TaskProposal> tasks;
  std::uint32_t starting = 0;
  Why why;  // what the next one would wait for
  // Who would make room for that one, and when they would be told.
  std::vector<SessionId> makes_room;
  Time makes_room_at;
};

}  // namespace reeve::cluster

// Named places that a run came by: faults that were injected, and branches
// that are rare. One that no seed reaches is a gap.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace reeve::sim {

// Faults first. The names are printed.
#define SIM_PROBES(X)                                                \
  X(message_lost, "message lost")                                    \
  X(message_doubled, "message doubled")                              \
  X(message_late, "message late, overtaken")                         \
  X(message_held, "message held until a cut was over")               \
  X(partition_both, "partition, both directions")                    \
  X(partition_one, "partition, one direction")                       \
  X(daemon_crashed, "daemon crashed")                                \
  X(daemon_lost_power, "daemon's host lost power")                   \
  X(leader_deposed, "older leader lived on")                         \
  X(agent_crashed, "agent crashed")                                  \
  X(keeper_crashed, "keeper crashed")                                \
  X(node_lost_power, "node lost power")                              \
  X(link_broken, "agent's link to the keeper broke")                 \
  X(process_stalled, "process stood still")                          \
  X(client_crashed, "client gave up unanswered")                     \
  X(clock_jumped_forward, "clock jumped forward")                    \
  X(clock_jumped_back, "clock jumped back")                          \
  X(sync_failed, "sync failed")                                      \
  X(write_torn, "last write torn")                                   \
  X(unsynced_lost, "unsynced bytes lost")                            \
  X(disk_low, "disk below its floor")                                \
  X(disk_filled, "disk full")                                        \
  X(snapshot_damaged, "snapshot damaged")                            \
  X(start_failed, "task failed to start")                            \
  X(task_deaf, "task had to be killed")                              \
  X(task_stuck, "task could not be killed")                          \
  X(last_fault, "")                                                  \
  X(order_stale, "agent refused an older epoch")                     \
  X(order_early, "order before the keeper was there")                \
  X(list_stale, "list of an earlier registration ignored")           \
  X(launch_known, "launch of a known task")                          \
  X(launch_late, "launch of a task that had ended")                  \
  X(launch_void, "launch from before a list ignored")                \
  X(surplus_stopped, "surplus task stopped")                         \
  X(task_adopted, "running task adopted by a new agent")             \
  X(cut_off_ended, "task ended by its host, cut off")                \
  X(cut_off_unstarted, "launch refused by a host, cut off")          \
  X(keeper_buried, "task lost with its keeper")                      \
  X(keeper_refused, "keeper refused an order")                       \
  X(fact_foreign, "fact of an unknown task")                         \
  X(command_repeated, "command answered again")                      \
  X(placement_refused, "placement refused")                          \
  X(held_without_room, "commit held without room")                   \
  X(refused_without_room, "command refused without room")            \
  X(recovered_unacknowledged, "unacknowledged commit found on disk") \
  X(start_from_snapshot, "start from a snapshot")                    \
  X(start_from_older_snapshot, "start from an older snapshot")       \
  X(start_without_snapshot, "start from the log alone")              \
  X(snapshot_kept, "snapshot kept")                                  \
  X(snapshot_thinned, "old snapshot removed")                        \
  X(node_lost, "node given up")                                      \
  X(node_returned, "node returned")                                  \
  X(node_drained, "node drained")                                    \
  X(node_removed, "node removed")                                    \
  X(device_quarantined, "device quarantined")                        \
  X(device_released, "device released")                              \
  X(session_requeued, "session requeued")                            \
  X(session_warned, "warning before a time limit")                   \
  X(session_lost, "session whose end is unknown")                    \
  X(deadline_pending, "deadline of a waiting session")               \
  X(deadline_start, "deadline of a start")                           \
  X(deadline_running, "time limit")                                  \
  X(deadline_stopping, "deadline of a stop")                         \
  X(dependency_failed, "dependency failed")                          \
  X(drain_evicted, "session left a drained node")                    \
  X(started_again, "task started again after power loss")            \
  X(gap_filled, "gap in the events filled from the log")             \
  X(quota_set, "quota set")                                          \
  X(quota_refused, "submission refused by a quota")                  \
  X(queue_full, "submission refused: queue full")                    \
  X(array_submitted, "array submitted")                              \
  X(array_full, "as many of an array hold a place as may")           \
  X(reservation_set, "reservation set")                              \
  X(reservation_over, "reservation over")                            \
  X(placed_in_reservation, "session started in its reservation")     \
  X(reservation_gone, "session ended, its reservation gone")         \
  X(policy_set, "policy of a group set")                             \
  X(told_to_make_room, "session told to make room")                  \
  X(requeued_for_another, "session requeued to make room")           \
  X(ended_for_another, "session ended to make room")                 \
  X(room_made, "room made for one that fits then")                   \
  X(placed_by_constraint, "session placed by its constraint")        \
  X(placed_within, "gang placed within one place")                   \
  X(placed_spread, "gang spread over as many nodes as asked")        \
  X(placed_apart, "session placed apart from others")                \
  X(placed_together, "session placed together with others")          \
  X(placed_before_window, "session placed before a reservation")     \
  X(head_passed, "first that waits passed, by its leave")            \
  X(patience_over, "patience of the first that waits over")          \
  X(retries_over, "session failed with no retry left")               \
  X(digests_compared, "live digest equal to the replayed one")

enum class Probe : std::uint8_t {
#define X(name, text) name,
  SIM_PROBES(X)
#undef X
};

inline constexpr std::array<std::string_view, 0
#define X(name, text) +1
                            SIM_PROBES(X)
#undef X
                            >
    probe_texts = {
#define X(name, text) std::string_view(text),
        SIM_PROBES(X)
#undef X
};

class Probes {
 public:
  void hit(Probe probe, std::uint64_t times = 1) { at(probe) += times; }
  std::uint64_t count(Probe probe) const {
    return counts_[static_cast<std::size_t>(probe)];
  }
  void add(const Probes& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
  }
  const std::array<std::uint64_t, probe_texts.size()>& counts() const {
    return counts_;
  }

 private:
  std::uint64_t& at(Probe probe) {
    return counts_[static_cast<std::size_t>(probe)];
  }
  std::array<std::uint64_t, probe_texts.size()> counts_{};
};

}  // namespace reeve::sim

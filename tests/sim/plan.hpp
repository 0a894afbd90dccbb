// What one seed puts a cell through: its size, its load, and the rate of each
// fault. Each kind of fault is left out by some seeds, so that none hides
// behind another.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/types.hpp"
#include "tests/sim/random.hpp"

namespace reeve::sim {

// Intervals are means between two such events, in ns; 0 is never.
struct Plan {
  std::uint32_t nodes = 1;
  std::uint32_t devices_per_node = 0;
  std::uint32_t simulated_nodes = 0;
  std::uint32_t clients = 1;
  std::uint64_t faulty_ns = 0;  // then the healthy phase begins
  std::uint64_t dead_ns = 0;    // between them: no agent lives
  std::uint64_t command_every_ns = 0;
  std::uint64_t task_ns_max = 0;
  std::uint64_t tick_ns = 0;  // of the manager
  std::uint64_t snapshot_every_events = 0;
  std::uint64_t waiting_max = 0;
  // What else clients ask for: set, changed and removed.
  bool quotas = false;
  bool arrays = false;
  bool reservations = false;  // and maintenance
  bool policies = false;      // of the group, some with preemption
  bool wishes = false;        // constraints, company, gangs over many nodes
  bool limits = false;        // each session has a time limit
  bool crowded = false;       // sessions as large as nodes, and long
  bool quarantines = false;   // of devices
  // Promises to those that wait: policies, limits and crowded nodes, and
  // nothing else that holds sessions back.
  bool promises = false;
  bool patience = false;  // the same for hours, without policies

  std::uint64_t latency_ns_max = 0;  // of a message, when nothing is wrong
  std::uint64_t delay_ns_max = 0;    // of one that is late
  std::uint32_t late_ppm = 0;
  std::uint32_t lost_ppm = 0;
  std::uint32_t doubled_ppm = 0;
  std::uint64_t partition_every_ns = 0;

  std::uint64_t daemon_crash_every_ns = 0;
  std::uint64_t daemon_power_every_ns = 0;
  std::uint64_t deposed_every_ns = 0;  // an older leader that lives on
  std::uint64_t agent_crash_every_ns = 0;
  std::uint64_t keeper_crash_every_ns = 0;
  std::uint64_t node_power_every_ns = 0;
  std::uint64_t link_break_every_ns = 0;
  std::uint64_t stall_every_ns = 0;  // a process that stands still
  std::uint64_t clock_jump_every_ns = 0;

  std::uint64_t sync_ns_max = 0;
  std::uint32_t commit_cut_ppm = 0;  // between write and sync
  std::uint32_t sync_fails_ppm = 0;
  std::uint64_t disk_full_every_ns = 0;
  std::uint32_t snapshot_damaged_ppm = 0;

  std::uint32_t start_fails_ppm = 0;
  std::uint32_t deaf_task_ppm = 0;   // ends only when it is killed
  std::uint32_t stuck_task_ppm = 0;  // cannot even be killed for a while
};

Plan draw_plan(Random& random);

}  // namespace reeve::sim

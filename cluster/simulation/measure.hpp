// What people feel of a schedule: waits, lengths, and how they differ between
// users. docs/what-if.md defines each figure.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/simulation/workload.hpp"

namespace reeve::cluster::simulation {

// Percentiles are values that occur: the least that so many are not above.
struct Distribution {
  std::uint64_t count = 0;
  double mean_ns = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p95_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t max_ns = 0;
};
Distribution distribution_of(std::vector<std::uint64_t> values);

struct UserFigures {
  std::uint32_t user = 0;  // in Workload::users
  std::uint64_t sessions = 0;
  Distribution waiting;
  Distribution completion;
  double slowdown = 0;  // mean
};

struct Figures {
  std::uint64_t sessions = 0;  // that are counted
  std::uint64_t started = 0;
  std::uint64_t ended = 0;
  std::uint64_t refused = 0;
  std::uint64_t waiting_still = 0;  // their waits count as far as they go
  std::uint64_t requeues = 0;
  Distribution waiting;
  Distribution completion;
  double slowdown = 0;
  double fairness = 1;             // Jain's index of the users' slowdowns
  Distribution gang_waiting;       // of the largest tenth of gangs, by GPUs
  std::vector<UserFigures> users;  // that have sessions, as Workload::users
  Time last_end;
};

// Since when nothing but room kept each session waiting; 0 where that never
// came.
std::vector<Time> eligible_times(const Workload& work,
                                 const std::vector<Outcome>& outcomes);

// How long each session waited for room; those that did not start by `until`
// as long as they had waited then. not_counted: refused, never eligible, or
// none of those that are counted.
inline constexpr std::uint64_t not_counted = UINT64_MAX;
std::vector<std::uint64_t> waits(const Workload& work,
                                 const std::vector<Outcome>& outcomes,
                                 Time until);

// How many sessions waited, in the mean over each piece of time from the
// window's beginning until then.
std::vector<double> waiting_series(const Workload& work,
                                   const std::vector<Outcome>& outcomes,
                                   Time until, std::uint64_t piece_ns);

Figures measure(const Workload& work, const std::vector<Outcome>& outcomes,
                Time until);

}  // namespace reeve::cluster::simulation

// For tests: a cell that random people, tasks and misfortunes have been at.
#pragma once

#include <cstdint>

#include "cluster/testing.hpp"

namespace reeve::cluster::accounting::testing {

// Four nodes in two groups, four users, three projects; gangs, shares of
// GPUs, requeues; nodes that are lost, drained, changed and removed. Several
// events share a time now and then.
void live_at_random(cluster::testing::Cell& cell, std::uint64_t seed,
                    int steps);

}  // namespace reeve::cluster::accounting::testing

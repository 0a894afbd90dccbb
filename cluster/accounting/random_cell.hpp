// For tests: a cell that random people, tasks and misfortunes have been at.
#pragma once

#include <cstdint>
#include <functional>

#include "cluster/testing.hpp"

namespace reeve::cluster::accounting::testing {

// Four nodes in two groups, four users, three projects; gangs, shares of
// GPUs, requeues; nodes that are lost, drained, changed and removed. Several
// events share a time now and then. `random` gives any 64 bits.
using Random = std::function<std::uint64_t()>;
void live_at_random(cluster::testing::Cell& cell, const Random& random,
                    int steps);

}  // namespace reeve::cluster::accounting::testing

// For tests: workloads with everything that one can have, at random.
#pragma once

#include <cstdint>
#include <functional>

#include "cluster/simulation/workload.hpp"

namespace reeve::cluster::simulation::testing {

// `random` gives any 64 bits.
Workload random_work(const std::function<std::uint64_t()>& random);

}  // namespace reeve::cluster::simulation::testing

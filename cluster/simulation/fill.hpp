// How full a cluster gets when sessions come that never end: the protocol of
// the table published for the openb trace.
#pragma once

#include <vector>

#include "cluster/simulation/workload.hpp"
#include "cluster/trace/trace.hpp"

namespace reeve::cluster::simulation {

inline constexpr std::uint32_t fill_load_max = 1000;

// The requests and copies of them, drawn and shuffled with the seed, until they
// ask for `load` times the GPUs there are; one a second, each for ever.
Workload filled(const Trace& trace, const std::vector<TraceNode>& nodes,
                double load, std::uint64_t seed);

// The share of all GPUs that is held when the requests offered so far, refused
// ones included, ask for `arrived` times the GPUs there are; negative where
// they never do.
double held_share(const Workload& work, const std::vector<Outcome>& outcomes,
                  double arrived);

// Thousandths of GPUs.
std::uint64_t gpu_milli_of(const Request& request);
std::uint64_t gpu_milli_of_nodes(const Workload& work);

}  // namespace reeve::cluster::simulation

// A month of a busy cluster as work for a virtual cell, and the log of it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "cluster/simulation/workload.hpp"

namespace reeve::bench {

struct MonthOptions {
  std::uint32_t nodes = 1'000;  // of 8 GPUs, 96 CPUs and 1 TiB
  std::uint32_t sessions = 100'000;
  double load = 0.9;  // of the GPU time there is
  std::uint64_t seed = 1;
};

// Thirty users, some far busier than others, more of them by day; shares of a
// GPU to gangs of eight nodes; seconds to days; a few dependencies, priorities,
// failures, and drained nodes. The same options give the same month.
cluster::simulation::Workload busy_month(const MonthOptions& options);

// What a cell makes of it, as a log.
void write_log(const cluster::simulation::Workload& work,
               const std::filesystem::path& directory);

}  // namespace reeve::bench

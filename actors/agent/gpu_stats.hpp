// What the watch of the GPUs found, as the message for `stat.`. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "actors/agent/gpu_watch.hpp"
#include "actors/agent/node.hpp"
#include "cluster/types.hpp"

namespace reeve::agent {

// Processes that one message tells of, the same number of each device at most.
inline constexpr std::size_t programs_told_max = 256;

// A finished schema::NodeStats of at most `devices_per_node_max` devices.
std::vector<std::byte> node_stats(const std::string& agent, const Node& node,
                                  const std::vector<WatchedGpu>& gpus,
                                  Time now);

}  // namespace reeve::agent

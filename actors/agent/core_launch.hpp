// From an order to what the runtime starts: limits, devices, and the
// environment that distributed programs expect.
#pragma once

#include <cstdint>

#include "actors/agent/keeper/types.hpp"
#include "actors/agent/node.hpp"
#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/agent_generated.h"

namespace reeve::agent {

// Ports for the tasks of a session to find each other at.
inline constexpr std::uint32_t master_port_first = 20'000;
inline constexpr std::uint32_t master_port_count = 10'000;
// Where a command is looked up if its environment does not say.
inline constexpr const char* search_path_default =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The same for all tasks of a session, on every node.
std::uint32_t master_port(std::uint64_t session);

// `unsupported` if a granted device is not on this node, or is a share and the
// node has no library for it. When a share has its time is not decided yet.
Expected<keeper::TaskSpec> task_spec(const schema::TaskOrder& order,
                                     Epoch epoch, const Node& node,
                                     std::uint64_t output_bytes_max);

}  // namespace reeve::agent

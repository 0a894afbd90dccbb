// Declares nodes whose tasks only last.
#pragma once

#include <vector>

#include "cluster/error.hpp"
#include "cluster/trace/trace.hpp"

namespace reeve::tools {

class Cell;

// The agent that runs all simulated nodes of a cell.
inline constexpr const char* sim_agent = "sim";

// Those that exist already with the same inventory stay as they are.
Status register_sim_nodes(Cell& cell, const std::vector<TraceNode>& nodes);

}  // namespace reeve::tools

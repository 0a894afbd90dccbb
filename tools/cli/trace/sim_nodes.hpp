// Declares nodes whose tasks only last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/trace.hpp"

namespace reeve::tools {

class Cell;

// The agent that runs all simulated nodes of a cell.
inline constexpr const char* sim_agent = "sim";
inline constexpr std::uint32_t sim_nodes_max = 100'000;
inline constexpr std::uint64_t text_file_bytes_max = 1ull << 30;

// sim-0000 to sim-(count-1): 64 CPUs, 512 GiB, 8 A100 of 80 GiB each.
std::vector<TraceNode> made_up_nodes(std::uint32_t count);

// "16" or the path of a CSV in the openb format.
Expected<std::vector<TraceNode>> read_sim_nodes(const std::string& text);

// Those that exist already with the same inventory stay as they are.
Status register_sim_nodes(Cell& cell, const std::vector<TraceNode>& nodes);

// The whole file as text, within a bound. Errc::not_found when unreadable.
Expected<std::string> read_text_file(const std::string& path);

}  // namespace reeve::tools

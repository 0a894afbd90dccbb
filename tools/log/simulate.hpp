// What `trace simulate` and `whatif` share: options, and a virtual cell run to
// its end.
#pragma once

#include <string>
#include <vector>

#include "cluster/simulation/virtual_cell.hpp"
#include "cluster/trace/trace.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

inline constexpr std::uint64_t round_ns_max = 24 * 3600 * second_ns;

// --policy, --round-s and --durations.
Expected<cluster::simulation::CellOptions> cell_options(
    const Arguments& arguments);

// Until the last session that is counted has ended, showing how far it is.
void run_cell(const cluster::simulation::Workload& work, bool quiet,
              cluster::simulation::VirtualCell& cell);

// Nodes as --nodes names them, or those of the trace; Errc::usage without
// either.
Expected<std::vector<TraceNode>> nodes_of(const Trace& trace,
                                          const Arguments& arguments);

}  // namespace reeve::tools

// Recorded workloads as work for a virtual cell.
#pragma once

#include <vector>

#include "cluster/simulation/workload.hpp"
#include "cluster/trace/trace.hpp"

namespace reeve::cluster::simulation {

// The moment that a trace's start stands for.
inline constexpr Time trace_start{24 * 3600 * second_ns};

// All nodes are there from the start; the window ends when the last session
// would have ended if none had waited. Groups count where both nodes and
// requests name some; else every node serves everybody. A request whose length
// the trace does not tell never ends.
Workload workload_of(const Trace& trace, const std::vector<TraceNode>& nodes);

// In place of all nodes of the workload: these, from its beginning to its end.
void replace_nodes(Workload& work, const std::vector<TraceNode>& nodes);

// Out with the requests of which the trace does not tell when they started;
// what waited for one of them waits no more. Returns how many went.
std::size_t leave_out_unstarted(Trace& trace);

// What the trace says of its own waits and ends, where it says so: by the
// indices of workload_of's sessions. Those it does not tell of have not
// started.
std::vector<Outcome> recorded_outcomes(const Trace& trace,
                                       const Workload& work);

}  // namespace reeve::cluster::simulation

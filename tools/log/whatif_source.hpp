// What really happened, as far as a log or a trace tells it.
#pragma once

#include <string>
#include <vector>

#include "cluster/simulation/virtual_cell.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"
#include "tools/whatif/comparison.hpp"

namespace reeve::tools {

struct Past {
  std::string of;      // "cell main", or the trace's name
  std::string really;  // what this side is called
  bool dated = true;
  cluster::simulation::Workload work;
  std::vector<cluster::simulation::Outcome> outcomes;
  Time until;
  std::uint64_t withdrawn = 0;
  std::uint64_t unknown_length = 0;
  Side side;
};

// Of --log, --from and --to.
Expected<Past> past_of_log(const Context& context, const Arguments& arguments);

// Of --trace and --format, on `nodes`. Where the trace does not tell of waits,
// the default policy stands in for what happened.
Expected<Past> past_of_trace(const Context& context,
                             const Arguments& arguments);

// Figures of `side` that follow from outcomes alone.
void judge(const cluster::simulation::Workload& work,
           const std::vector<cluster::simulation::Outcome>& outcomes,
           Time until, Side& side);

// Runs the workload to its end, and measures it into `side`.
struct Run {
  std::vector<cluster::simulation::Outcome> outcomes;
  Time until;
};
Expected<Run> run_and_measure(const cluster::simulation::Workload& work,
                              const cluster::simulation::CellOptions& options,
                              bool quiet, Side& side);

// "+2" or "-1" of --nodes; 0: it names nodes, or is not there.
Expected<std::int64_t> more_nodes(const Arguments& arguments);

}  // namespace reeve::tools

#include "tools/log/simulate.hpp"

#include <fmt/format.h>

#include "tools/log/meter.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;

Expected<CellOptions> cell_options(const Arguments& arguments) {
  CellOptions out;
  if (const auto text = arguments.find("--policy")) {
    auto policy = cluster::parse_policy(*text);
    if (!policy)
      return fail(policy.error().code,
                  fmt::format("--{}", policy.error().text));
    out.policy = *policy;
  }
  if (const auto text = arguments.find("--round-s")) {
    const auto seconds =
        parse_count(*text, "number of seconds", 0, round_ns_max / second_ns);
    if (!seconds)
      return fail(Errc::usage,
                  fmt::format("--round-s: {}", seconds.error().text));
    out.round_ns = *seconds * second_ns;
  }
  if (arguments.find("--durations").value_or("limit") == "true")
    out.estimates = Estimates::exact;
  return out;
}

void run_cell(const Workload& work, bool quiet, VirtualCell& cell) {
  Meter meter(quiet, "simulating", 1, work.sessions.size(), "session");
  while (cell.open() > 0 && cell.step()) meter.at(cell.settled());
  meter.done();
}

Expected<std::vector<TraceNode>> nodes_of(const Trace& trace,
                                          const Arguments& arguments) {
  auto nodes = read_node_lists(arguments.all("--nodes"));
  if (!nodes || !nodes->empty()) return nodes;
  if (!trace.nodes.empty()) return trace.nodes;
  return fail(Errc::usage,
              "which nodes? The trace does not tell: name them with --nodes "
              "FILE, or a number as in --nodes 16");
}

}  // namespace reeve::tools

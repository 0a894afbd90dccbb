// Submits a recorded workload and watches it to its end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/trace/trace.hpp"
#include "tools/cli/session/submission.hpp"

namespace reeve::tools {

class Cell;

struct TraceOptions {
  // Gaps and durations are divided by it; 0: no gaps, no durations.
  double compress = 0;
  std::size_t window = 2'048;
  bool groups = false;  // those that the trace names exist in the cell
  // Whose the sessions are, by the trace's names; of others, and where it has
  // none, the caller's.
  std::map<std::string, Person> users{};
};

struct TraceSummary {
  std::uint64_t accepted = 0;
  std::uint64_t placed = 0;
  std::uint64_t finished = 0;
  std::uint64_t tried_again = 0;
  std::map<std::string, std::uint64_t> refused;
  double wall_s = 0;
  // Over the time from the first submission to the last end.
  double sessions_per_s = 0;
  // Over the time from the first submission to the last placement.
  double placements_per_s = 0;
  // From the times in the log.
  double submit_to_placed_p50_ms = 0;
  double submit_to_placed_p99_ms = 0;
};

// Every request becomes a session, in the order given, without its
// dependencies; those of an array, which stand together, one array. "Try again"
// is obeyed; other rejections are counted by their rule.
Expected<TraceSummary> run_trace(Cell& cell,
                                 const std::vector<TraceRequest>& requests,
                                 const TraceOptions& options, bool quiet);

}  // namespace reeve::tools

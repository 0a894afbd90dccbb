// What each command on logs, and on workloads without a cell, does. A handler
// returns the exit code, or why not.
#pragma once

#include "cluster/error.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

using Result = Expected<int>;

Result log_cat(const Context&, const Arguments&);
Result log_stats(const Context&, const Arguments&);
Result log_verify(const Context&, const Arguments&);
Result log_export(const Context&, const Arguments&);
Result log_import(const Context&, const Arguments&);
Result log_archive(const Context&, const Arguments&);
Result log_repair(const Context&, const Arguments&);
Result log_diff(const Context&, const Arguments&);
Result log_history(const Context&, const Arguments&);
Result log_show(const Context&, const Arguments&);
Result log_nodes(const Context&, const Arguments&);
Result log_node_show(const Context&, const Arguments&);
Result log_gpus(const Context&, const Arguments&);
Result log_replay(const Context&, const Arguments&);
Result log_state(const Context&, const Arguments&);
Result log_timeline(const Context&, const Arguments&);
Result log_usage(const Context&, const Arguments&);
Result log_whatif(const Context&, const Arguments&);
Result trace_simulate(const Context&, const Arguments&);

}  // namespace reeve::tools

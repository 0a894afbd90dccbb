// Recorded workloads and descriptions of nodes, as the command line names
// them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/trace/trace.hpp"

namespace reeve::tools {

// As OptionSpec::choices has them.
inline constexpr std::string_view trace_formats = "openb|helios|swf|reeve";

// JSON lines, each a submission with the time of it; docs/traces.md.
Expected<Trace> parse_reeve(std::string_view text, std::string_view file);

// `format` is one of `trace_formats`. A file that is of another of them is
// refused with a word about it. Errc::usage also when it holds no request.
Expected<Trace> read_trace(const std::string& path, std::string_view format);

// "16", or the path of a CSV in the openb format.
Expected<std::vector<TraceNode>> read_nodes(const std::string& text);

// Several of these, and "GROUP=16" for nodes of a group; commas divide, too.
Expected<std::vector<TraceNode>> read_node_lists(
    std::span<const std::string> texts);

}  // namespace reeve::tools

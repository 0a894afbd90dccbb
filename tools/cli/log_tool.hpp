// The second program, which reads logs: kept apart so that this one starts
// fast.
#pragma once

#include "cluster/error.hpp"

namespace reeve::tools {

struct Context;

inline constexpr const char* log_program = "reeve-log";

// The words of this process; set by main before any command runs.
void set_process_arguments(char** argv);

// Becomes the log tool with this process's own words. Returns on failure only.
Error run_log_tool(const Context& context);

}  // namespace reeve::tools

// Every command of `reeve` with its options, help and examples: the contract
// with scripts. Both programs, the shell completion and the tests read it.
#pragma once

#include <span>

#include "tools/args/arguments.hpp"

namespace reeve::tools {

std::span<const CommandSpec> all_commands();
std::span<const OptionSpec> common_options();

// Options of `run` and `submit`; without the dashes they are the keys of a
// submission file.
std::span<const OptionSpec> session_options();

}  // namespace reeve::tools

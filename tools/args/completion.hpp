// Shell completion, generated from the table of commands. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cluster/error.hpp"
#include "tools/args/arguments.hpp"

namespace reeve::tools {

// A script for `shell`: "bash", "zsh" or "fish".
Expected<std::string> completion_script(std::string_view shell,
                                        std::span<const CommandSpec> commands,
                                        std::span<const OptionSpec> common);

}  // namespace reeve::tools

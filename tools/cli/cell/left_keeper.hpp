// The keeper of a data directory, which outlives a daemon that was killed.
#pragma once

#include "actors/agent/keeper/client.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

// As the daemon has it, whichever settings it had. Without its record those of
// the cell count; if they do not load they have no say here. To be asked while
// both are there: an end of the daemon, and leaving a cell, removes them.
keeper::ClientConfig keeper_of(const Context& context);

}  // namespace reeve::tools

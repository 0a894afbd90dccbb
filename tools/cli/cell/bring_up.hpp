// Starting a daemon for people: to the point where it serves, or why not.
#pragma once

#include <sys/types.h>

#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/context.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

// Waits until `daemon` serves: a cell answers, a node has reached its cell, of
// several managers one leads. An
// interrupt ends a daemon that does not serve yet.
Status wait_ready(const Context& context, const Config& config, pid_t daemon,
                  Interrupts& interrupts);

// The daemon that `start` describes, once it serves.
Expected<pid_t> bring_up(const Context& context, const DaemonStart& start,
                         const Config& config, Interrupts& interrupts);

}  // namespace reeve::tools

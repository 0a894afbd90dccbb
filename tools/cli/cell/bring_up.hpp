// Starting a daemon for people: to the point where it serves, or why not.
#pragma once

#include <sys/types.h>

#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/context.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

// Waits until `daemon` serves: a cell answers, a node has reached its cell, of
// several managers one leads. The daemon is left as it is, after an interrupt,
// too: it may be one that was found and has tasks. Of one that ends it tells
// the words from there on.
Status wait_ready(const Context& context, const Config& config, pid_t daemon,
                  WordsFrom words, Interrupts& interrupts);

// The daemon that `start` describes, once it serves. One that does not, or is
// not waited for after an interrupt, is ended.
Expected<pid_t> bring_up(const Context& context, const DaemonStart& start,
                         const Config& config, Interrupts& interrupts);

// Ends a daemon that this process started, and waits for that a while: whoever
// types `up` again is to find nothing of it. A further interrupt leaves it.
// `why` it is ended comes back with what became of it.
Error end_started(const Context& context, pid_t daemon, Error why,
                  Interrupts& interrupts);

}  // namespace reeve::tools

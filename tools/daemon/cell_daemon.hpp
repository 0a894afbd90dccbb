// A cell on this host: Daemon::start says what it takes.
#pragma once

#include "tools/daemon/daemon.hpp"

namespace reeve::tools {

Expected<std::unique_ptr<Daemon>> start_cell(DaemonOptions options);

}  // namespace reeve::tools

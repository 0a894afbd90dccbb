// This host as a node of a cell that others lead: an agent, and its connections
// to the cell's bus with the credentials that it joined by.
#pragma once

#include "tools/daemon/daemon.hpp"

namespace reeve::tools {

// Waits for the bus while nobody answers there. Errc::not_found where this
// host has joined no cell, Errc::rejected when the cell does not know it.
Expected<std::unique_ptr<Daemon>> start_node(DaemonOptions options);

}  // namespace reeve::tools

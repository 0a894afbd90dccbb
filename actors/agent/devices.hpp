// What the driver tells of this host's GPUs, as devices of the node. Pure.
#pragma once

#include "actors/agent/node.hpp"
#include "gpu/inventory.hpp"

namespace reeve::agent {

// Whole devices first, then the MIG instances of those that are cut. Links are
// known among whole devices only: instances reach each other through the host.
// Problems become limits of the node.
void add_devices(const gpu::Inventory& found, Node& node);

}  // namespace reeve::agent

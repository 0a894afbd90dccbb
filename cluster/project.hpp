// A state told as events: what a projection (the scheduler) must hear to
// stand where it would, had it heard the whole log.
#pragma once

#include <functional>

#include "cluster/state.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

// Accounts, nodes, and sessions that live, in the order of their sequences. The
// events are made up for this: their sequences and causes mean nothing. Each
// lives until `tell` returns.
void tell_as_events(const State& state,
                    const std::function<void(const schema::Event&)>& tell);

}  // namespace reeve::cluster

// A state told as events: what a projection (the scheduler) must hear to
// stand where it would, had it heard the whole log.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "cluster/state.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

// The cell, accounts, nodes, and sessions that live, in the order of their
// sequences. The events are made up for this: their sequences and causes mean
// nothing. Each lives until `tell` returns.
void tell_as_events(const State& state,
                    const std::function<void(const schema::Event&)>& tell);
// The same with the bytes of each, as a log has them.
using TellBytes =
    std::function<void(const schema::Event&, std::span<const std::byte>)>;
void tell_as_events(const State& state, const TellBytes& tell);

}  // namespace reeve::cluster

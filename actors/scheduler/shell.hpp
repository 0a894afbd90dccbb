// A scheduler actor: hears every decided event, proposes placements to the
// manager. Its core is cluster::Scheduler. Several of them share the resource
// groups of a cell.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <memory>

#include "cluster/scheduling/scheduler.hpp"

namespace reeve::actors {

// Placements in one message: the manager takes other input in between.
inline constexpr std::size_t proposals_per_message_max = 512;

// `scheduler` knows the state that the manager starts from; `now` is its time.
caf::actor spawn_scheduler(caf::actor_system& system,
                           std::shared_ptr<cluster::Scheduler> scheduler,
                           Time now, caf::actor manager);

}  // namespace reeve::actors

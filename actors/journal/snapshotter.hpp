// What is done behind the commits, on a thread of its own: removes from the
// database what is archived, writes the index on, makes a snapshot of the
// newest one before and the log since. A state that contradicts itself ends the
// process.
#pragma once

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <memory>

#include "cluster/state.hpp"
#include "store/log.hpp"

namespace reeve::actors {

enum class Upkeep { with_snapshot, without_snapshot };

// To the committer; 0 when no snapshot could be made.
struct UpkeepDone {
  Upkeep work = Upkeep::with_snapshot;
  std::uint64_t snapshot = 0;
};

caf::actor spawn_snapshotter(caf::actor_system& system,
                             std::unique_ptr<store::LogReader> reader,
                             std::shared_ptr<store::Log> log,
                             std::uint64_t index_every, Upkeep work,
                             caf::actor committer);

// The state at the log's head: its newest whole snapshot and the events since.
// `from_snapshot` tells the snapshot's sequence, 0 when there was none.
Expected<cluster::State> fold_log(store::LogReader& reader,
                                  std::uint64_t* from_snapshot = nullptr);

}  // namespace reeve::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::UpkeepDone)

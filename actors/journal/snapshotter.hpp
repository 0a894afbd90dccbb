// Makes one snapshot: the newest one before, and the log since, folded on a
// thread of its own, beside the commits.
#pragma once

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <memory>

#include "cluster/state.hpp"
#include "store/log.hpp"

namespace reeve::actors {

// To the committer; 0 when none could be made.
struct SnapshotKept {
  std::uint64_t sequence = 0;
};

caf::actor spawn_snapshotter(caf::actor_system& system,
                             std::unique_ptr<store::LogReader> reader,
                             std::shared_ptr<store::Log> log,
                             caf::actor committer);

// The state at the log's head: its newest whole snapshot and the events since.
// `from_snapshot` tells the snapshot's sequence, 0 when there was none.
Expected<cluster::State> fold_log(store::LogReader& reader,
                                  std::uint64_t* from_snapshot = nullptr);

}  // namespace reeve::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::SnapshotKept)

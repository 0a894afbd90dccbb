// The journal actors: the committer keeps decided events and publishes them
// once they are on disk; the reader answers requests for ranges of the log;
// the snapshotter folds the log in the background.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <functional>
#include <memory>

#include "actors/journal/core.hpp"
#include "actors/system/gate.hpp"
#include "bus/connection.hpp"
#include "bus/subject.hpp"
#include "store/log.hpp"

namespace reeve::actors {

struct JournalOptions {
  std::shared_ptr<store::Log> log;
  // Outlive the actors.
  bus::Connection* events = nullptr;   // for evt.
  bus::Connection* answers = nullptr;  // for log.read
  const bus::Subjects* subjects = nullptr;
  Gate* log_reads = nullptr;  // what waits for the reader
  journal::SnapshotPolicy snapshots;
  std::uint64_t newest_snapshot = 0;
};

struct Journal {
  caf::actor committer;
  caf::actor reader;
};

// The committer and the others run on threads of their own: they block.
// `manager` hears Committed and CommitFailed.
Journal spawn_journal(caf::actor_system& system, JournalOptions options,
                      caf::actor manager);

}  // namespace reeve::actors

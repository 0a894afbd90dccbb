// The journal actors: the committer keeps decided events and publishes them
// once they are on disk; the reader answers requests for ranges of the log;
// the snapshotter folds the log in the background.
#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>

#include "actors/journal/core.hpp"
#include "actors/system/gate.hpp"
#include "bus/connection.hpp"
#include "bus/stream.hpp"
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
  // Of several managers: where each commit has to be, too, before it counts.
  // The committer's alone from now on.
  std::shared_ptr<bus::Stream> stream;
  // The newest event that both have. What is behind it in the log alone is
  // told to nobody.
  std::shared_ptr<std::atomic<std::uint64_t>> shared;
  // Told when another manager's record is where the next had to be, or the
  // stream was shortened. Nothing is committed after that. Called once, from
  // the committer.
  std::function<void(const bus::StreamOutcome& outcome)> on_fenced;
  // Of several managers: told when a commit waits for room on the disk here,
  // and when commits are kept again.
  std::function<void(bool room)> on_room;
  // The same when one waits for the servers of the stream for so long that
  // whoever asks is told.
  std::function<void(bool alone)> on_alone;
  std::string majority;  // "a majority of m1, m2 and m3": for messages
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

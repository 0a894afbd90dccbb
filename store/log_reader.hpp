// Reads a log: the open one of this process, or a live, stopped or copied
// directory, without any lock and without changing a byte. Not for two
// threads at once; each reader is cheap when it comes from Log::reader().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "store/archive_set.hpp"
#include "store/index.hpp"
#include "store/record.hpp"
#include "store/scan.hpp"
#include "store/snapshots.hpp"

namespace reeve::store {

class LogReader {
 public:
  // `path` is the log's directory or the data directory of its cell. The log
  // is checked against its head mark first: Errc::damaged as Log::open.
  static Expected<std::unique_ptr<LogReader>> open(
      const std::filesystem::path& path);
  ~LogReader();

  // The last acknowledged event; of a directory, at open or last refresh().
  Head head() const;

  const LogId& log_id() const;

  // Looks at the directory again. Nothing to do for Log::reader().
  Status refresh();

  // Every record whose events intersect [from, to], in order, on this thread,
  // with the chain proved from the stored hash of the record before (from the
  // first event: from nothing). `to` beyond the head means the head. Ends when
  // `visit` returns false. Errc::damaged names the event; see scan.hpp.
  // A record and its events live until `visit` returns.
  Status scan(std::uint64_t from, std::uint64_t to,
              const RecordVisitor& visit) const;

  // The end of the record that holds this event: what the head was when it
  // was committed. Of event 0: the empty log. Errc::not_found beyond the head.
  Expected<Head> record_end(std::uint64_t sequence) const;

  // The newest whole snapshot at or before event `at`; damaged ones are
  // skipped with a warning.
  Expected<std::optional<Snapshot>> snapshot_at(std::uint64_t at);
  // All snapshots, newest first.
  Expected<std::vector<KeptSnapshot>> snapshots() const;

  // The events that speak of this entity, in order, as far as the index goes:
  // up to `to`. The rest is to be read from the log.
  struct Indexed {
    std::vector<std::uint64_t> events;
    std::uint64_t to = 0;
  };
  Expected<Indexed> indexed(const Entity& entity) const;

  // The archives that hold what is no longer in the database.
  std::shared_ptr<const ArchiveSet> archives() const;

  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class Log;
  struct Source;
  explicit LogReader(std::unique_ptr<Source> source);

  std::unique_ptr<Source> source_;
  std::vector<std::string> warnings_;
};

}  // namespace reeve::store

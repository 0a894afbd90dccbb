// The event log: durable, group-committed, chained by hashes. FORMAT.md says
// what is on disk and how damage is told from a torn tail.
//
// Threads: append() or commit() from one thread; prepare() from one thread,
// which may be another; put_snapshot() from one thread of its own; everything
// else from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cluster/error.hpp"
#include "store/head_mark.hpp"
#include "store/index.hpp"
#include "store/log_reader.hpp"
#include "store/record.hpp"

namespace rocksdb {
class Env;
}

namespace reeve::store {

struct LogOptions {
  std::filesystem::path directory;  // the log's own: <data>/log
  bool create_if_missing = false;
  // Ballast and floor of free space, see reserve.hpp; 0 watches nothing.
  std::uint64_t floor_bytes = 64u << 20;
  // Smaller where the floor is: see log.cpp.
  std::uint64_t write_buffer_bytes = 16u << 20;
  // How far the head mark may lag behind the head.
  std::uint32_t mark_interval_ms = 50;
  std::uint32_t mark_lag_commits_max = 4096;
  // What all snapshots together may take; the newest three are kept whatever
  // they take.
  std::uint64_t snapshots_bytes_max = store::snapshots_bytes_max;
  rocksdb::Env* env = nullptr;      // faults for tests; must outlive the log
  std::optional<LogId> new_log_id;  // of one that is made; drawn without
  bool importing = false;           // go on with an import that was cut short
};

class Log {
 public:
  // Errc::busy: another process holds it, named by pid. Errc::damaged: the
  // log is not whole, or not ours, or newer; nothing was changed.
  // Errc::not_found: no log there and create_if_missing is off.
  static Expected<std::unique_ptr<Log>> open(const LogOptions& options);
  // Closes like close(), without its answer.
  ~Log();

  // The last acknowledged event.
  Head head() const;

  // One commit, on disk and synced on return. `events` are `count` whole
  // events (record.hpp). Refused without effect: Errc::internal when they are
  // not, Errc::rejected for an epoch older than the head's, Errc::no_space
  // when the disk has no room. After any other error the outcome is unknown
  // and the log is failed().
  Expected<Head> append(std::uint64_t epoch, std::uint32_t count,
                        std::span<const std::byte> events);

  // append() in two steps, so that one thread hashes and lays out the next
  // commit while another syncs this one. Commit in the order of preparation,
  // each once. A commit that is refused refuses all that were prepared after
  // it: prepare those again.
  class Prepared;
  Expected<Prepared> prepare(std::uint64_t epoch, std::uint32_t count,
                             std::span<const std::byte> events);
  // A record of another copy of this log. Refused as above, and
  // Errc::damaged when it does not follow the newest one prepared: another
  // sequence, or not the hash that it must have there.
  Expected<Prepared> prepare_record(const Record& record);
  Expected<Head> commit(const Prepared& prepared);
  // Several, one at least, in their order, by one write that is synced once:
  // after a refusal or a crash there are all of them, or none.
  Expected<Head> commit(std::span<const Prepared> prepared);

  // True for ever after a write of unknown outcome: stop the process, open
  // the log again and read what is there. Never retried here.
  bool failed() const;

  // False below the floor of free space: stop admitting commands. What
  // already runs may still be recorded from the reserve.
  bool admission_open() const;
  // How much room there is, and how much new commands need, for people.
  std::string room() const;

  // Durable on return. `sequence` is at most the head's. Then older ones are
  // thinned: see snapshots.hpp. Slow: call it beside the commits, not between
  // them.
  Status put_snapshot(std::uint64_t sequence, const Hash& digest,
                      std::span<const std::byte> bytes);

  // Removes from the database what finished archives hold, once each of them
  // was read whole and proved to be the same records. Returns the last event
  // removed, 0 for none. Slow, as put_snapshot(), and from the same thread.
  Expected<std::uint64_t> drop_archived();

  // True when there are archives that drop_archived() was not tried on. Reads
  // the names in the archive directory.
  bool archives_pending() const;

  // Writes the index on, in runs of at least `run_events`, up to the head or
  // to less than a run before it. Starts it anew when it is not of this log.
  // From the same thread as put_snapshot().
  Status extend_index(std::uint64_t run_events, const FindEntities& entities);

  // A reader of this open log; it keeps the database (and its lock) alive.
  std::unique_ptr<LogReader> reader() const;

  // Makes the head mark exact and flushes, for a quick next start. No append
  // may follow.
  Status close();

 private:
  struct Core;
  explicit Log(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

// One commit, hashed and laid out. It may outlive its log.
class Log::Prepared {
 public:
  Prepared(Prepared&&) noexcept;
  Prepared& operator=(Prepared&&) noexcept;
  ~Prepared();
  // What head() will be once it is committed.
  const Head& head() const;
  std::uint64_t first_sequence() const;
  // The record's value (record.hpp), at any address: there as long as this is,
  // also after the commit.
  std::span<const std::byte> value() const;

 private:
  friend class Log;
  struct Body;
  explicit Prepared(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

}  // namespace reeve::store

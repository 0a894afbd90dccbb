// What a keeper was told to run and what it saw, so that the next keeper knows
// after a crash. Append-only; a record is u32 length, u32 checksum (FNV-1a),
// u8 kind, payload. It lives through the death of the process; after that of
// the machine nothing runs any more, and tasks without an end are lost.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_set>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// Keys that were acknowledged and must not start again; the oldest give way.
inline constexpr std::size_t forgotten_max = 16384;
// The file is written anew when it grows past this and past four times what
// is alive in it.
inline constexpr std::uint64_t journal_bytes_compact = 4u << 20;

class Forgotten {
 public:
  void add(const TaskKey& key);
  bool has(const TaskKey& key) const { return keys_.contains(key); }
  const std::deque<TaskKey>& order() const { return order_; }

 private:
  std::deque<TaskKey> order_;
  std::unordered_set<TaskKey, TaskKeyHash> keys_;
};

// A task as the journal knows it.
struct JournalTask {
  TaskStatus status;
  std::uint64_t boot_ns = 0;  // time since boot at its start, for its pid
};

struct JournalState {
  std::string boot_id;  // of the machine when the records were written
  std::uint64_t newest_epoch = 0;
  std::map<TaskKey, JournalTask> tasks;
  Forgotten forgotten;
};

class Journal {
 public:
  // Reads what there is. A torn or damaged end is cut off and told in
  // `warning()`; a file that is not a journal is `damaged`.
  static Expected<Journal> open(std::string path, JournalState& state);

  const std::string& warning() const { return warning_; }

  // These gather; nothing is on disk before `flush`.
  void epoch(std::uint64_t newest);
  void launched(const TaskKey& key, std::uint64_t started_at);
  void running(const TaskKey& key, int pid, std::uint64_t boot_ns);
  void start_failed(const TaskKey& key, const std::string& error);
  void exited(const TaskKey& key, const ExitFacts& facts);
  void forgotten(const TaskKey& key);

  Status flush();
  // Drops what was gathered and is not on disk.
  void discard() { pending_.clear(); }
  bool wants_compaction() const;
  // Writes `state` alone into a new file and puts it in the place of the old.
  Status rewrite(const JournalState& state);

 private:
  explicit Journal(std::string path) : path_(std::move(path)) {}

  std::string path_;
  Fd file_;
  std::string pending_;
  std::string warning_;
  std::uint64_t size_ = 0;
  std::uint64_t size_when_written_ = 0;
};

}  // namespace reeve::keeper

// RocksDB behind the log: options, column families, iteration with every
// status looked at. For the .cpp files of this folder only: it pulls in
// RocksDB's headers.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "cluster/error.hpp"
#include "store/archive_set.hpp"
#include "store/head_mark.hpp"
#include "store/owner.hpp"
#include "store/record.hpp"

namespace reeve::store {

enum class Access { read_only, read_write, create };

// Memory tables of one column family, filling and being written out.
inline constexpr int write_buffers_max = 2;
// RocksDB makes no smaller ones.
inline constexpr std::uint64_t write_buffer_bytes_min = 64u << 10;

struct DatabaseOptions {
  rocksdb::Env* env = nullptr;
  std::uint64_t write_buffer_bytes = 16u << 20;
  // Skip damage in the write-ahead log: for a repair, which proves all it gets.
  bool skip_damage = false;
};

// An open database and its column families, with the archives beside it.
// Iterators must be gone before it: whoever iterates shares its ownership.
class Database {
 public:
  // Changes nothing on disk when read_only. Errc::damaged when RocksDB finds
  // damage or something that is no log of ours.
  static Expected<std::shared_ptr<Database>> open(
      const std::filesystem::path& directory, Access access,
      const DatabaseOptions& options);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* log() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* snapshot() const { return families_[2]; }
  rocksdb::ColumnFamilyHandle* meta() const { return families_[3]; }
  // Null when read_only and the database never had one.
  rocksdb::ColumnFamilyHandle* index() const {
    return families_.size() > 4 ? families_[4] : nullptr;
  }

  // The records before the first in the database. From any thread.
  std::shared_ptr<const ArchiveSet> archives() const {
    const std::lock_guard guard(mutex_);
    return archives_;
  }
  void set_archives(std::shared_ptr<const ArchiveSet> archives) {
    const std::lock_guard guard(mutex_);
    archives_ = std::move(archives);
  }

  // What a new database is given and what every later open compares.
  Status write_identity(const LogId& log_id);
  // Nothing when the database was made but not yet named.
  Expected<std::optional<LogId>> read_identity() const;

  // Held as long as anything of this process reads or writes the database.
  std::unique_ptr<Owner> owner;

 private:
  Database() = default;

  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::unique_ptr<rocksdb::DB> db_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ArchiveSet> archives_ = std::make_shared<ArchiveSet>();
};

inline constexpr std::uint32_t database_format = 1;

// Errc and sentence for a RocksDB status that is not ok.
tl::unexpected<Error> fail_status(const rocksdb::Status& status,
                                  const std::string& what);

inline std::span<const std::byte> bytes_of(const rocksdb::Slice& slice) {
  return std::as_bytes(std::span(slice.data(), slice.size()));
}

inline rocksdb::Slice slice_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Walks the records in order, through the archives into the database. After a
// move, `valid()` is false at the end and at an error, which `status()` tells
// apart.
class RecordIterator {
 public:
  explicit RecordIterator(const Database& database);

  // Of the database alone; the newest record is always there.
  void seek_first() { in_archive_ = false, iterator_->SeekToFirst(); }
  void seek_last() { in_archive_ = false, iterator_->SeekToLast(); }
  // The record that holds this event, or the nearest before it; at the first
  // record when all are later.
  void seek_holding(std::uint64_t sequence);
  void next();
  void previous();

  bool valid() const {
    return in_archive_ ? archived_.valid() : iterator_->Valid();
  }
  Status status() const;
  // A view until the next move.
  Expected<Record> record() const;
  std::span<const std::byte> value() const {
    return in_archive_ ? archived_.value() : bytes_of(iterator_->value());
  }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
  std::shared_ptr<const ArchiveSet> archives_;
  ArchiveCursor archived_;
  bool in_archive_ = false;
  std::uint64_t database_first_ = 0;  // known while in_archive_
};

// The newest record's head; its hash is not yet proved.
Expected<Head> last_head(const Database& database);

// Proves the log against its mark: the head is not below the mark, the record
// that the mark names is there with its hash, and the chain holds from there
// to the head. Returns the head.
Expected<Head> verify_head(const Database& database, const Mark& mark,
                           const std::filesystem::path& directory);

}  // namespace reeve::store

// The archived part of a log: segment files in <log>/archive that hold the
// records below the first one in the database. A file is opened when a record
// of it is wanted, so a log opens as fast with archives as without, and one
// that is damaged or gone is noticed where it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/error.hpp"
#include "store/segment.hpp"

namespace reeve::store {

class ArchiveSet {
 public:
  struct Entry {
    std::uint64_t first_sequence = 0;
    std::uint64_t last_sequence = 0;
    std::filesystem::path path;
  };

  // Reads names only; nothing when there is no such directory. Names that are
  // not of finished archives are passed over.
  static std::shared_ptr<const ArchiveSet> list(
      const std::filesystem::path& directory, const LogId& log_id);
  // That one file, whatever its name.
  static std::shared_ptr<const ArchiveSet> of_file(
      std::shared_ptr<const SegmentFile> file);
  static std::string file_name(std::uint64_t first_sequence,
                               std::uint64_t last_sequence);

  bool empty() const { return entries_.empty(); }
  // In order of their events.
  const std::vector<Entry>& entries() const { return entries_; }
  // The last event of the unbroken row of archives from event 1; 0: none.
  std::uint64_t unbroken_to() const;

  // The open segment with this event. Errc::damaged when there is none, or it
  // is not what its name says.
  Expected<std::shared_ptr<const SegmentFile>> holding(
      std::uint64_t sequence) const;

 private:
  std::filesystem::path directory_;
  LogId log_id_{};
  std::vector<Entry> entries_;
  // The one that was opened last: readers go through them in order.
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const SegmentFile> open_;
};

// Stands on a record of the archives, like an iterator of the database.
class ArchiveCursor {
 public:
  explicit ArchiveCursor(std::shared_ptr<const ArchiveSet> set)
      : set_(std::move(set)) {}

  // The record that holds this event.
  void seek(std::uint64_t sequence);
  // One past the last event ends at the event after it, with valid() false.
  void next();
  void previous();

  bool valid() const { return index_ < block_.records.size() && status_; }
  const Status& status() const { return status_; }
  const Record& record() const { return block_.records[index_]; }
  std::span<const std::byte> value() const { return block_.values[index_]; }

 private:
  std::shared_ptr<const ArchiveSet> set_;
  std::shared_ptr<const SegmentFile> file_;
  std::size_t block_index_ = 0;
  SegmentRecords block_;
  std::size_t index_ = 0;
  Status status_;
};

}  // namespace reeve::store

#include "store/archive.hpp"

#include <fcntl.h>
#include <rocksdb/convenience.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "store/database.hpp"
#include "store/owner.hpp"

namespace reeve::store {

namespace {

// The last event at or before this one that ends a record.
Expected<std::uint64_t> record_end_before(const LogReader& log,
                                          std::uint64_t sequence) {
  std::uint64_t end = 0;
  if (sequence == 0) return end;
  Status found = log.scan(sequence, sequence, [&](const Record& record) {
    end = record.last_sequence() == sequence ? sequence
                                             : record.first_sequence - 1;
    return false;
  });
  if (!found) return tl::unexpected(found.error());
  return end;
}

}  // namespace

Expected<std::vector<SegmentInfo>> plan_archives(const LogReader& log,
                                                 std::uint64_t to,
                                                 std::uint64_t events_each,
                                                 Rest rest) {
  std::vector<SegmentInfo> plan;
  const std::uint64_t head = log.head().sequence;
  if (head == 0) return plan;
  const auto limit = record_end_before(log, std::min(to, head - 1));
  if (!limit) return tl::unexpected(limit.error());
  std::uint64_t from = log.archives()->unbroken_to() + 1;
  while (from <= *limit) {
    const bool whole = *limit - from + 1 >= events_each;
    if (!whole && rest == Rest::leave) break;
    const std::uint64_t last = whole ? from + events_each - 1 : *limit;
    const auto info = segment_of(log, from, last, Compression::zstd);
    if (!info) return tl::unexpected(info.error());
    plan.push_back(*info);
    from = info->last.sequence + 1;
  }
  return plan;
}

Status seal_archive(const LogReader& log, const Layout& layout,
                    const SegmentInfo& info, const SegmentFileSteps& steps) {
  if (Status made = make_directory(layout.archive()); !made) return made;
  const auto lock = Owner::take(layout.archive() / "owner");
  if (!lock) return tl::unexpected(lock.error());
  return write_segment_file(
      log, info,
      layout.archive() /
          ArchiveSet::file_name(info.first_sequence, info.last.sequence),
      steps);
}

namespace {

// The hash that the log has at the end of this event, which must end a record.
Expected<Hash> hash_at(const Database& database, std::uint64_t sequence) {
  if (sequence == 0) return Hash{};
  RecordIterator iterator(database);
  iterator.seek_holding(sequence);
  if (!iterator.valid()) {
    if (Status status = iterator.status(); !status)
      return tl::unexpected(status.error());
    return fail(Errc::damaged,
                "event " + std::to_string(sequence) + " is missing");
  }
  const auto record = iterator.record();
  if (!record) return tl::unexpected(record.error());
  if (record->last_sequence() != sequence)
    return fail(Errc::damaged, "no record of the log ends at event " +
                                   std::to_string(sequence));
  return record->hash;
}

// Equal chain hashes at both ends, and a chain that holds between them: these
// are the same records, byte for byte.
Status prove_same(const Database& database, const ArchiveSet::Entry& entry,
                  const LogId& log_id) {
  const auto file = SegmentFile::open(entry.path);
  if (!file) return tl::unexpected(file.error());
  const SegmentInfo& info = (*file)->info();
  const auto before = hash_at(database, entry.first_sequence - 1);
  if (!before) return tl::unexpected(before.error());
  const auto last = hash_at(database, entry.last_sequence);
  if (!last) return tl::unexpected(last.error());
  if (info.log_id != log_id || info.first_sequence != entry.first_sequence ||
      info.last.sequence != entry.last_sequence || info.previous != *before ||
      info.last.hash != *last)
    return fail(Errc::damaged,
                entry.path.string() + " does not hold this log's events " +
                    std::to_string(entry.first_sequence) + " to " +
                    std::to_string(entry.last_sequence));
  if (Status whole = (*file)->scan([](const Record&) { return true; }); !whole)
    return whole;
  const FileHandle handle(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!handle.valid() || ::fsync(handle.get()) != 0)
    return fail_errno("cannot sync", entry.path);
  return {};
}

Status remove_up_to(Database& database, std::uint64_t sequence) {
  const RecordKey begin_key = make_record_key(0);
  const RecordKey end_key = make_record_key(sequence + 1);
  const rocksdb::Slice begin(begin_key.data(), begin_key.size());
  const rocksdb::Slice end(end_key.data(), end_key.size());
  rocksdb::WriteOptions write;
  write.sync = true;
  rocksdb::DB& db = database.db();
  // From here on they are gone, whatever happens; the rest gives room back.
  rocksdb::Status status = db.DeleteRange(write, database.log(), begin, end);
  if (status.ok())
    status =
        rocksdb::DeleteFilesInRange(&db, database.log(), &begin, &end, false);
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  if (status.ok())
    status = db.CompactRange(compact, database.log(), &begin, &end);
  if (!status.ok())
    return fail_status(status, "cannot remove archived records");
  return {};
}

}  // namespace

Expected<std::uint64_t> drop_archived(Database& database, const Layout& layout,
                                      const LogId& log_id) {
  auto archives = ArchiveSet::list(layout.archive(), log_id);
  RecordIterator iterator(database);
  iterator.seek_first();
  if (!iterator.valid() || archives->empty()) return 0;
  const auto first = iterator.record();
  if (!first) return tl::unexpected(first.error());
  const auto head = last_head(database);
  if (!head) return tl::unexpected(head.error());
  database.set_archives(archives);
  const std::uint64_t unbroken = archives->unbroken_to();
  std::uint64_t removed = 0;
  Status proved;
  for (const auto& entry : archives->entries()) {
    if (entry.last_sequence < first->first_sequence) continue;
    if (entry.last_sequence > unbroken || entry.last_sequence >= head->sequence)
      break;
    proved = prove_same(database, entry, log_id);
    if (!proved) break;
    removed = entry.last_sequence;
  }
  if (removed != 0) {
    if (Status synced = sync_directory(layout.archive()); !synced)
      return tl::unexpected(synced.error());
    if (Status done = remove_up_to(database, removed); !done)
      return tl::unexpected(done.error());
  }
  if (!proved) return tl::unexpected(proved.error());
  return removed;
}

}  // namespace reeve::store

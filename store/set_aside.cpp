#include "store/set_aside.hpp"

#include <fcntl.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string>
#include <system_error>

#include "store/database.hpp"
#include "store/export.hpp"
#include "store/layout.hpp"
#include "store/snapshots.hpp"

namespace reeve::store {

namespace {

namespace fs = std::filesystem;

// Their keys are one write.
constexpr int records_per_removal = 10'000;

std::string event_text(std::uint64_t sequence) {
  return "event " + std::to_string(sequence);
}

// What goes, and what the log ends with then.
struct Cut {
  SegmentInfo suffix;
  Head before;
};

Status check_archives(const LogReader& log, std::uint64_t from) {
  const auto archives = log.archives();
  const auto holds = [&](const ArchiveSet::Entry& entry) {
    return entry.last_sequence >= from;
  };
  const auto found = std::ranges::find_if(archives->entries(), holds);
  if (found == archives->entries().end()) return {};
  return fail(Errc::rejected,
              event_text(from) + " is not set aside: the archive " +
                  found->path.string() + " holds events up to " +
                  std::to_string(found->last_sequence) +
                  ", and archives are final; where it is of another history, "
                  "put a whole copy in the place of this log");
}

Expected<Cut> plan(const LogReader& log, std::uint64_t from) {
  const Head head = log.head();
  if (from == 0 || from > head.sequence)
    return fail(Errc::not_found, "there is no " + event_text(from) +
                                     " to set aside: the log ends at " +
                                     event_text(head.sequence));
  if (Status allowed = check_archives(log, from); !allowed)
    return tl::unexpected(allowed.error());
  const auto before = log.record_end(from - 1);
  if (!before) return tl::unexpected(before.error());
  if (before->sequence != from - 1)
    return fail(Errc::usage, event_text(from) +
                                 " is inside of a commit, which ends at " +
                                 event_text(before->sequence) +
                                 ": commits are set aside whole");
  const auto suffix = segment_of(log, from, head.sequence, Compression::zstd);
  if (!suffix) return tl::unexpected(suffix.error());
  return Cut{*suffix, *before};
}

// The hash tells two histories apart that begin at the same event.
std::string name_of(const SegmentInfo& suffix) {
  std::ostringstream name;
  name << std::setw(20) << std::setfill('0') << suffix.first_sequence << '-'
       << suffix.last.epoch << '-' << short_hex(suffix.last.hash);
  return name.str();
}

Status write_reason(const fs::path& file, const SegmentInfo& suffix,
                    std::string_view why) {
  const FileHandle handle(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!handle.valid()) return fail_errno("cannot write", file);
  const std::string text = range_text(suffix) + ", up to epoch " +
                           std::to_string(suffix.last.epoch) + ": " +
                           std::string(why) + '\n';
  Status put = write_all(handle, std::as_bytes(std::span(text)), file);
  if (put && ::fsync(handle.get()) != 0) return fail_errno("cannot sync", file);
  return put;
}

bool same_records(const SegmentInfo& one, const SegmentInfo& other) {
  return one.log_id == other.log_id &&
         one.first_sequence == other.first_sequence &&
         one.previous == other.previous && one.last == other.last;
}

// There already when an earlier call was cut short behind it.
Status keep(const LogReader& log, const SegmentInfo& suffix,
            const fs::path& file, rocksdb::Env* env) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    SegmentFileSteps steps;
    steps.env = env;
    return write_segment_file(log, suffix, file, steps);
  }
  const auto kept = SegmentFile::open(file);
  if (!kept) return tl::unexpected(kept.error());
  if (!same_records((*kept)->info(), suffix))
    return fail(Errc::damaged, file.string() + " does not hold this log's " +
                                   range_text(suffix) + ": move it away");
  return (*kept)->scan([](const Record&) { return true; });
}

// The newest record is always in the database, and the one that is now the
// newest may have left it for an archive.
Status put_back(const Database& database, std::uint64_t sequence) {
  RecordIterator iterator(database);
  iterator.seek_holding(sequence);
  if (!iterator.valid()) return iterator.status();
  const auto record = iterator.record();
  if (!record) return tl::unexpected(record.error());
  const RecordKey key = make_record_key(record->first_sequence);
  rocksdb::WriteOptions write;
  write.sync = true;
  const rocksdb::Status status =
      database.db().Put(write, database.log(), {key.data(), key.size()},
                        slice_of(iterator.value()));
  if (!status.ok())
    return fail_status(status, "cannot write what the log ends with");
  return {};
}

// From the end backwards, so that what is left is whole at every moment, and
// record by record: see remove_snapshots_after().
Status remove_from_log(const Database& database, std::uint64_t from) {
  while (true) {
    RecordIterator iterator(database);
    rocksdb::WriteBatch batch;
    iterator.seek_last();
    for (int i = 0; i < records_per_removal && iterator.valid(); ++i) {
      const auto record = iterator.record();
      if (!record) return tl::unexpected(record.error());
      if (record->first_sequence < from) break;
      const RecordKey key = make_record_key(record->first_sequence);
      batch.Delete(database.log(), {key.data(), key.size()});
      iterator.previous();
    }
    if (Status read = iterator.status(); !read) return read;
    if (batch.Count() == 0) return {};
    rocksdb::WriteOptions write;
    write.sync = true;
    if (const auto status = database.db().Write(write, &batch); !status.ok())
      return fail_status(status, "cannot remove what was set aside");
  }
}

// Snapshots go first, so that none outlives its records (the index tells by
// itself that it is of another history). The mark is lowered before they go: a
// log below its mark would be refused, one above it is whole.
Status cut(Database& database, const Layout& layout, const Cut& cut) {
  if (Status removed = remove_snapshots_after(database, cut.before.sequence);
      !removed)
    return removed;
  if (cut.before.sequence != 0)
    if (Status put = put_back(database, cut.before.sequence); !put) return put;
  auto mark = HeadMark::open(layout.head_mark());
  if (!mark) return tl::unexpected(mark.error());
  if (mark->mark().head.sequence > cut.before.sequence)
    if (Status lowered = mark->write_both(cut.before); !lowered) return lowered;
  if (Status removed = remove_from_log(database, cut.suffix.first_sequence);
      !removed)
    return removed;
  const rocksdb::Status status =
      database.db().Flush(rocksdb::FlushOptions(), database.log());
  if (!status.ok()) return fail_status(status, "cannot flush the log");
  return {};
}

}  // namespace

Expected<SetAside> set_aside(const fs::path& directory, std::uint64_t from,
                             std::string_view why, rocksdb::Env* env) {
  const auto layout = find_log(directory);
  if (!layout) return tl::unexpected(layout.error());
  const auto owner = Owner::take(layout->owner());
  if (!owner) return tl::unexpected(owner.error());
  std::error_code ignored;
  if (fs::exists(layout->importing(), ignored))
    return fail(Errc::damaged, unfinished_import_text(*layout));
  Cut planned;
  SetAside done;
  {
    const auto log = LogReader::open(layout->directory);
    if (!log) return tl::unexpected(log.error());
    const auto found = plan(**log, from);
    if (!found) return tl::unexpected(found.error());
    planned = *found;
    const fs::path folder = layout->set_aside();
    const std::string name = name_of(planned.suffix);
    done = {folder / (name + ".segment"), from, planned.suffix.last.sequence,
            planned.suffix.last.epoch, planned.before};
    if (Status made = make_directory(folder); !made)
      return tl::unexpected(made.error());
    if (Status synced = sync_directory(layout->directory); !synced)
      return tl::unexpected(synced.error());
    if (Status written =
            write_reason(folder / (name + ".txt"), planned.suffix, why);
        !written)
      return tl::unexpected(written.error());
    if (Status kept = keep(**log, planned.suffix, done.file, env); !kept)
      return tl::unexpected(kept.error());
    // A file that was there may be one whose name was not yet durable.
    if (Status synced = sync_directory(folder); !synced)
      return tl::unexpected(synced.error());
  }
  DatabaseOptions options;
  options.env = env;
  const auto database =
      Database::open(layout->database(), Access::read_write, options);
  if (!database) return tl::unexpected(database.error());
  (*database)->set_archives(
      ArchiveSet::list(layout->archive(), planned.suffix.log_id));
  if (Status gone = cut(**database, *layout, planned); !gone)
    return tl::unexpected(gone.error());
  return done;
}

Expected<std::optional<SetAside>> newest_set_aside(const fs::path& directory) {
  const auto layout = find_log(directory);
  if (!layout && layout.error().code == Errc::not_found) return std::nullopt;
  if (!layout) return tl::unexpected(layout.error());
  std::optional<std::pair<fs::file_time_type, fs::path>> newest;
  std::error_code error;
  for (fs::directory_iterator at(layout->set_aside(), error), end;
       !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".segment") continue;
    std::pair found{at->last_write_time(error), at->path()};
    if (!newest || found > *newest) newest = std::move(found);
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Errc::io, "cannot list " + layout->set_aside().string() + ": " +
                              error.message());
  if (!newest) return std::nullopt;
  const auto file = SegmentFile::open(newest->second);
  if (!file) return tl::unexpected(file.error());
  const SegmentInfo& info = (*file)->info();
  return SetAside{newest->second,
                  info.first_sequence,
                  info.last.sequence,
                  info.last.epoch,
                  {}};
}

}  // namespace reeve::store

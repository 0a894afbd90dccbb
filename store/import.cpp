#include "store/import.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

#include "store/bulk_writer.hpp"
#include "store/log_open.hpp"

namespace reeve::store {

namespace {

// The hash that the segment has at the end of this event; nothing when no
// record ends there.
Expected<std::optional<Hash>> hash_in(const SegmentFile& segment,
                                      std::uint64_t sequence) {
  if (sequence + 1 == segment.info().first_sequence)
    return std::optional(segment.info().previous);
  SegmentRecords block;
  if (Status read = segment.read_block(segment.block_holding(sequence), block);
      !read)
    return tl::unexpected(read.error());
  for (const Record& record : block.records)
    if (record.last_sequence() == sequence) return std::optional(record.hash);
  return std::optional<Hash>();
}

tl::unexpected<Error> other_history(const SegmentFile& segment,
                                    std::uint64_t sequence) {
  return fail(Errc::damaged, segment.path().string() +
                                 " is of another history: at event " +
                                 std::to_string(sequence) +
                                 " its hash is not the one in the log");
}

Status check_joint(const SegmentFile& segment, const LogReader& log) {
  const SegmentInfo& info = segment.info();
  if (info.log_id != log.log_id())
    return fail(Errc::damaged, segment.path().string() +
                                   " comes from another log than the one it "
                                   "should go into");
  const Head head = log.head();
  if (info.first_sequence > head.sequence + 1)
    return fail(Errc::rejected, segment.path().string() + " starts at event " +
                                    std::to_string(info.first_sequence) +
                                    ", but the log ends at event " +
                                    std::to_string(head.sequence) +
                                    ": import what lies between first");
  // Where both have a record's end, their hashes must be the same.
  const std::uint64_t joint = std::min(head.sequence, info.last.sequence);
  Hash there = head.hash;
  if (joint < head.sequence) {
    Status found = log.scan(joint, joint, [&](const Record& record) {
      there = record.last_sequence() == joint ? record.hash : Hash{};
      return false;
    });
    if (!found) return found;
  }
  const auto here = hash_in(segment, joint);
  if (!here) return tl::unexpected(here.error());
  if (!*here || **here != there) return other_history(segment, joint);
  return {};
}

Status write_note(const Layout& layout, const SegmentInfo& info) {
  const std::string text = range_text(info) + '\n';
  const auto file = layout.importing();
  const FileHandle handle(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!handle.valid() ||
      ::write(handle.get(), text.data(), text.size()) !=
          static_cast<ssize_t>(text.size()) ||
      ::fsync(handle.get()) != 0)
    return fail_errno("cannot write", file);
  return sync_directory(layout.directory);
}

Status remove_note(const Layout& layout) {
  std::error_code error;
  std::filesystem::remove(layout.importing(), error);
  if (error)
    return fail(Errc::io, "cannot remove " + layout.importing().string() +
                              ": " + error.message());
  return sync_directory(layout.directory);
}

Status write_records(const SegmentFile& segment, OpenedLog& log,
                     const Advance& written) {
  BulkWriter writer(*log.database, log.head, &log.mark);
  Status added;
  const Status scanned = segment.scan([&](const Record& record) {
    if (record.last_sequence() <= log.head.sequence) return true;
    added = writer.add(record);
    if (written) written(record.last_sequence());
    return added.has_value();
  });
  if (!added) return added;
  if (!scanned) return scanned;
  if (Status synced = writer.sync(); !synced) return synced;
  return log.mark.write_both(writer.head());
}

}  // namespace

Expected<ImportPlan> plan_import(const SegmentFile& segment,
                                 const std::filesystem::path& directory,
                                 const Advance& proved) {
  const Status whole = segment.scan([&](const Record& record) {
    if (proved) proved(record.last_sequence());
    return true;
  });
  if (!whole) return tl::unexpected(whole.error());
  const SegmentInfo& info = segment.info();
  ImportPlan plan;
  plan.to = info.last.sequence;
  const auto log = LogReader::open(directory);
  if (!log && log.error().code != Errc::not_found)
    return tl::unexpected(log.error());
  plan.makes_log = !log;
  if (log) {
    if (Status joined = check_joint(segment, **log); !joined)
      return tl::unexpected(joined.error());
    plan.from = (*log)->head().sequence + 1;
  } else if (info.first_sequence != 1) {
    return fail(Errc::rejected, segment.path().string() + " starts at event " +
                                    std::to_string(info.first_sequence) +
                                    " and there is no log to continue in " +
                                    directory.string() +
                                    ": import what goes before first");
  }
  return plan;
}

Status import_segment(const SegmentFile& segment, const ImportPlan& plan,
                      const LogOptions& given, const Advance& written) {
  LogOptions options = given;
  options.new_log_id = segment.info().log_id;
  options.importing = true;
  options.create_if_missing = plan.makes_log;
  auto layout = find_log(options.directory);
  if (!layout && (!plan.makes_log || layout.error().code != Errc::not_found))
    return tl::unexpected(layout.error());
  if (!layout) layout = Layout{options.directory};
  std::error_code ignored;
  const bool noted = std::filesystem::exists(layout->importing(), ignored);
  if (plan.to < plan.from && !noted) return {};
  if (Status made = make_directory(layout->directory); !made) return made;
  auto owner = Owner::take(layout->owner());
  if (!owner) return tl::unexpected(owner.error());
  if (plan.to < plan.from) {
    // All is there but the word that it is.
    return remove_note(*layout);
  }
  if (Status put = write_note(*layout, segment.info()); !put) return put;
  owner->reset();
  auto log = open_log(options);
  if (!log) return tl::unexpected(log.error());
  if (log->head.sequence + 1 != plan.from)
    return fail(Errc::busy, "the log changed meanwhile: try again");
  if (Status done = write_records(segment, *log, written); !done) return done;
  const rocksdb::Status flushed =
      log->database->db().Flush(rocksdb::FlushOptions(), log->database->log());
  if (!flushed.ok()) return fail_status(flushed, "cannot flush the log");
  return remove_note(*layout);
}

}  // namespace reeve::store

#include "store/export.hpp"

#include <rocksdb/env.h>

#include <system_error>
#include <utility>

#include "store/database.hpp"

namespace reeve::store {

Expected<SegmentInfo> segment_of(const LogReader& log, std::uint64_t from,
                                 std::uint64_t to, Compression compression) {
  SegmentInfo info;
  info.log_id = log.log_id();
  info.compression = compression;
  const auto take = [&](std::uint64_t sequence, Head& head) {
    return log.scan(sequence, sequence, [&](const Record& record) {
      head = head_of(record);
      info.first_sequence = record.first_sequence;
      return false;
    });
  };
  Head before;
  if (Status found = take(from, before); !found)
    return tl::unexpected(found.error());
  const std::uint64_t first = info.first_sequence;
  before = Head{};
  if (first > 1)
    if (Status found = take(first - 1, before); !found)
      return tl::unexpected(found.error());
  if (Status found = take(to, info.last); !found)
    return tl::unexpected(found.error());
  info.first_sequence = first;
  info.previous = before.hash;
  return info;
}

Status write_segment(const LogReader& log, const SegmentInfo& info,
                     const ByteSink& sink, const Advance& advance) {
  SegmentWriter writer(info, sink);
  Status added;
  const Status scanned = log.scan(info.first_sequence, info.last.sequence,
                                  [&](const Record& record) {
                                    added = writer.add(record);
                                    if (advance)
                                      advance(record.last_sequence());
                                    return added.has_value();
                                  });
  if (!added) return added;
  if (!scanned) return scanned;
  return writer.finish();
}

namespace {

Status checked(const rocksdb::Status& status,
               const std::filesystem::path& file) {
  if (status.ok()) return {};
  return fail_status(status, "cannot write " + file.string());
}

Status write_synced(const LogReader& log, const SegmentInfo& info,
                    const std::filesystem::path& file, rocksdb::Env& env,
                    const Advance& advance) {
  std::unique_ptr<rocksdb::WritableFile> out;
  Status done = checked(
      env.NewWritableFile(file.string(), &out, rocksdb::EnvOptions()), file);
  if (!done) return done;
  const auto sink = [&](std::span<const std::byte> bytes) {
    return checked(out->Append(slice_of(bytes)), file);
  };
  done = write_segment(log, info, sink, advance);
  if (done) done = checked(out->Sync(), file);
  if (done) done = checked(out->Close(), file);
  return done;
}

Status read_back(const std::filesystem::path& file, const SegmentInfo& info,
                 const Advance& advance) {
  const auto written = SegmentFile::open(file);
  if (!written) return tl::unexpected(written.error());
  if ((*written)->info().last != info.last ||
      (*written)->info().previous != info.previous)
    return fail(Errc::damaged, file.string() + " is not what was written");
  return (*written)->scan([&](const Record& record) {
    if (advance) advance(record.last_sequence());
    return true;
  });
}

}  // namespace

Status write_segment_file(const LogReader& log, const SegmentInfo& info,
                          const std::filesystem::path& file,
                          const SegmentFileSteps& steps) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored))
    return fail(Errc::rejected,
                file.string() + " is there already and is not overwritten");
  rocksdb::Env& env =
      steps.env != nullptr ? *steps.env : *rocksdb::Env::Default();
  const std::filesystem::path part = file.string() + ".part";
  Status done = write_synced(log, info, part, env, steps.written);
  if (done) done = read_back(part, info, steps.proved);
  if (done) done = checked(env.RenameFile(part.string(), file.string()), file);
  if (!done) {
    std::filesystem::remove(part, ignored);
    return done;
  }
  return sync_directory(file.has_parent_path() ? file.parent_path() : ".");
}

}  // namespace reeve::store

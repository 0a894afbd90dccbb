#include "store/log_reader.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

#include "store/head_mark.hpp"
#include "store/layout.hpp"
#include "store/log_source.hpp"

namespace reeve::store {

namespace {

// A live log moves under the reader: when it writes a table and drops a
// write-ahead log between our look at the one and at the other, a piece is
// missing in the middle of what was opened. So a try counts only when neither
// the manifest nor the set of write-ahead logs changed around it, and a
// failure counts only when nothing at all changed.
constexpr int open_tries_max = 200;
constexpr std::chrono::milliseconds open_retry_delay{10};

// Names and sizes of the database's files.
using Files = std::map<std::string, std::uintmax_t>;

Files look_at(const Layout& layout) {
  Files files;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(layout.database(), ignored)) {
    std::error_code gone;
    files[entry.path().filename().string()] = entry.file_size(gone);
  }
  return files;
}

bool stood_still(const Files& before, const Files& after) {
  for (const auto& [name, size] : before) {
    const auto found = after.find(name);
    if (name.ends_with(".log") && found == after.end()) return false;
    if (!name.starts_with("MANIFEST-")) continue;
    if (found == after.end() || found->second != size) return false;
  }
  return true;
}

struct Opened {
  Layout layout;
  std::shared_ptr<Database> database;
  LogId log_id;
  Head head;
};

Expected<Opened> open_once(const Layout& layout) {
  // The mark first: what it names was acknowledged before we look.
  const auto mark = read_head_mark(layout.head_mark());
  if (!mark) return tl::unexpected(mark.error());
  auto database =
      Database::open(layout.database(), Access::read_only, DatabaseOptions{});
  if (!database)
    return tl::unexpected(
        with_acknowledged(std::move(database.error()), *mark));
  const auto log_id = (*database)->read_identity();
  if (!log_id) return tl::unexpected(log_id.error());
  if (*log_id != mark->log_id)
    return fail(Errc::damaged, "the database in " + layout.directory.string() +
                                   " is not the one its head mark belongs to");
  // After the database: what is no longer in it was archived before.
  (*database)->set_archives(ArchiveSet::list(layout.archive(), mark->log_id));
  const auto head = verify_head(**database, *mark, layout.directory);
  if (!head) return tl::unexpected(head.error());
  return Opened{layout, std::move(*database), mark->log_id, *head};
}

Expected<Opened> open_directory(const std::filesystem::path& path) {
  const auto layout = find_log(path);
  if (!layout) return tl::unexpected(layout.error());
  for (int tries = 0; tries < open_tries_max; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(open_retry_delay);
    const Files before = look_at(*layout);
    auto opened = open_once(*layout);
    const Files after = look_at(*layout);
    if (opened ? stood_still(before, after) : before == after) return opened;
  }
  return fail(Errc::busy, "the log in " + layout->directory.string() +
                              " changed during each of " +
                              std::to_string(open_tries_max) +
                              " tries to open it: try again");
}

}  // namespace

LogReader::LogReader(std::unique_ptr<Source> source)
    : source_(std::move(source)) {}

LogReader::~LogReader() = default;

Expected<std::unique_ptr<LogReader>> LogReader::open(
    const std::filesystem::path& path) {
  auto opened = open_directory(path);
  if (!opened) return tl::unexpected(opened.error());
  auto source = std::make_unique<Source>();
  source->database = std::move(opened->database);
  source->head = std::make_shared<HeadCell>();
  source->head->set(opened->head);
  source->log_id = opened->log_id;
  source->directory = path;
  std::unique_ptr<LogReader> reader(new LogReader(std::move(source)));
  std::error_code ignored;
  if (std::filesystem::exists(opened->layout.importing(), ignored))
    reader->warnings_.push_back(unfinished_import_text(opened->layout));
  return reader;
}

Head LogReader::head() const {
  return source_->head->get();
}

const LogId& LogReader::log_id() const {
  return source_->log_id;
}

Expected<LogReader::Indexed> LogReader::indexed(const Entity& entity) const {
  const auto end = index_end(*source_->database);
  if (!end) return tl::unexpected(end.error());
  Indexed out;
  out.to = end->sequence;
  if (out.to == 0) return out;
  auto events = indexed_events(*source_->database, entity);
  if (!events) return tl::unexpected(events.error());
  // A run that was cut short may have left more than its end says.
  std::sort(events->begin(), events->end());
  events->erase(std::unique(events->begin(), events->end()), events->end());
  while (!events->empty() && events->back() > out.to) events->pop_back();
  out.events = std::move(*events);
  return out;
}

std::shared_ptr<const ArchiveSet> LogReader::archives() const {
  return source_->database->archives();
}

Status LogReader::refresh() {
  if (source_->directory.empty()) return {};
  auto opened = open_directory(source_->directory);
  if (!opened) return tl::unexpected(opened.error());
  source_->database = std::move(opened->database);
  source_->head->set(opened->head);
  return {};
}

Status LogReader::scan(std::uint64_t from, std::uint64_t to,
                       const RecordVisitor& visit) const {
  const ScanRange range{std::max<std::uint64_t>(from, 1),
                        std::min(to, head().sequence)};
  return scan_records(*source_->database, range, visit);
}

Expected<Head> LogReader::record_end(std::uint64_t sequence) const {
  Head end;
  if (sequence == 0) return end;
  if (sequence > head().sequence)
    return fail(Errc::not_found, "there is no event " +
                                     std::to_string(sequence) +
                                     ": the log ends at event " +
                                     std::to_string(head().sequence));
  if (Status found = scan(sequence, sequence,
                          [&](const Record& record) {
                            end = head_of(record);
                            return false;
                          });
      !found)
    return tl::unexpected(found.error());
  return end;
}

Expected<std::optional<Snapshot>> LogReader::snapshot_at(std::uint64_t at) {
  return read_snapshot(*source_->database, at, warnings_);
}

Expected<std::vector<KeptSnapshot>> LogReader::snapshots() const {
  return list_snapshots(*source_->database);
}

}  // namespace reeve::store

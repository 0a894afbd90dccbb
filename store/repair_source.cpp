#include "store/repair_source.hpp"

#include <system_error>
#include <utility>

namespace reeve::store {

namespace {

namespace fs = std::filesystem;

class DatabaseSource final : public RepairSource {
 public:
  DatabaseSource(std::string name, std::shared_ptr<Database> database)
      : RepairSource(std::move(name)), database_(std::move(database)) {}

  std::optional<Record> at(std::uint64_t sequence) override {
    if (iterator_ && iterator_->valid() && here_ + 1 == sequence)
      iterator_->next();
    else
      seek(sequence);
    auto found = current();
    // A damaged block ends an iteration; another may start behind it.
    if (!found || found->first_sequence != sequence) {
      seek(sequence);
      found = current();
    }
    if (!found || found->first_sequence != sequence) return std::nullopt;
    here_ = found->last_sequence();
    return found;
  }

  std::uint64_t last_sequence() override {
    RecordIterator iterator(*database_);
    iterator.seek_last();
    if (!iterator.valid()) return 0;
    const auto record = iterator.record();
    return record ? record->last_sequence() : 0;
  }

 private:
  void seek(std::uint64_t sequence) {
    here_ = 0;
    iterator_ = std::make_unique<RecordIterator>(*database_);
    iterator_->seek_holding(sequence);
  }
  std::optional<Record> current() {
    if (!iterator_->valid()) return std::nullopt;
    const auto record = iterator_->record();
    return record ? std::optional(*record) : std::nullopt;
  }

  std::shared_ptr<Database> database_;
  std::unique_ptr<RecordIterator> iterator_;
  std::uint64_t here_ = 0;  // the last event of the record it stands on
};

class SegmentSource final : public RepairSource {
 public:
  SegmentSource(std::string name, std::shared_ptr<const ArchiveSet> set)
      : RepairSource(std::move(name)), set_(std::move(set)), cursor_(set_) {}

  std::optional<Record> at(std::uint64_t sequence) override {
    if (cursor_.valid() && cursor_.record().last_sequence() + 1 == sequence)
      cursor_.next();
    else
      cursor_.seek(sequence);
    if (!cursor_.valid() || cursor_.record().first_sequence != sequence)
      return std::nullopt;
    return cursor_.record();
  }
  std::uint64_t last_sequence() override {
    return set_->empty() ? 0 : set_->entries().back().last_sequence;
  }

 private:
  std::shared_ptr<const ArchiveSet> set_;
  ArchiveCursor cursor_;
};

Expected<std::unique_ptr<RepairSource>> open_file(const fs::path& path,
                                                  const LogId& log_id) {
  const auto file = SegmentFile::open(path);
  if (!file) return tl::unexpected(file.error());
  if ((*file)->info().log_id != log_id)
    return fail(Errc::damaged, path.string() + " comes from another log");
  return std::make_unique<SegmentSource>(path.string(),
                                         ArchiveSet::of_file(*file));
}

}  // namespace

Expected<std::unique_ptr<RepairSource>> open_database_source(
    const Layout& layout, const LogId& log_id, std::string name) {
  DatabaseOptions options;
  options.skip_damage = true;
  auto database = Database::open(layout.database(), Access::read_only, options);
  if (!database) return tl::unexpected(database.error());
  (*database)->set_archives(ArchiveSet::list(layout.archive(), log_id));
  return std::make_unique<DatabaseSource>(std::move(name),
                                          std::move(*database));
}

Expected<std::unique_ptr<RepairSource>> open_repair_source(
    const fs::path& path, const LogId& log_id) {
  std::error_code error;
  if (!fs::exists(path, error))
    return fail(Errc::not_found, path.string() + " does not exist");
  if (!fs::is_directory(path, error)) return open_file(path, log_id);
  if (auto set = ArchiveSet::list(path, log_id); !set->empty()) {
    if (const auto first = set->holding(set->entries()[0].first_sequence);
        !first)
      return tl::unexpected(first.error());
    return std::make_unique<SegmentSource>(path.string(), std::move(set));
  }
  const auto layout = find_log(path);
  if (!layout) return tl::unexpected(layout.error());
  const auto mark = read_head_mark(layout->head_mark());
  if (!mark) return tl::unexpected(mark.error());
  if (mark->log_id != log_id)
    return fail(Errc::damaged, path.string() + " is a copy of another log");
  return open_database_source(*layout, log_id, path.string());
}

}  // namespace reeve::store

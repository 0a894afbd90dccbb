#include "store/database.hpp"

#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "store/scan.hpp"

namespace reeve::store {

namespace {

// RocksDB's own info log goes to the same disk as the data, and when that is
// full the library aborts in the writer of it. What matters comes back in a
// status, so its log is dropped.
class SilentLogger final : public rocksdb::Logger {
 public:
  SilentLogger() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::ColumnFamilyOptions family_options(const DatabaseOptions& options) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = options.write_buffer_bytes;
  family.max_write_buffer_number = write_buffers_max;
  family.target_file_size_base = 64u << 20;
  family.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 64u << 10;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

rocksdb::DBOptions database_options(const DatabaseOptions& options,
                                    Access access) {
  rocksdb::DBOptions database;
  if (options.env != nullptr) database.env = options.env;
  database.create_if_missing = access == Access::create;
  // The index came after the first release.
  database.create_missing_column_families = access != Access::read_only;
  database.info_log = std::make_shared<SilentLogger>();
  // The default opens silently short after a flipped bit; this one refuses,
  // and cuts only a tail that was never completely written.
  database.wal_recovery_mode =
      options.skip_damage
          ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
          : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  database.avoid_flush_during_recovery = true;
  database.max_total_wal_size = 8 * options.write_buffer_bytes;
  database.max_background_jobs = 2;
  database.max_open_files = -1;
  database.max_file_opening_threads = 2;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  database.allow_concurrent_memtable_write = false;
  return database;
}

// All of them, or those there are when nothing may be changed.
std::vector<std::string> family_names(const rocksdb::DBOptions& options,
                                      const std::string& directory,
                                      Access access) {
  std::vector<std::string> names{"default", "log", "snapshot", "meta", "index"};
  std::vector<std::string> there;
  if (access == Access::read_only &&
      rocksdb::DB::ListColumnFamilies(options, directory, &there).ok() &&
      std::find(there.begin(), there.end(), names.back()) == there.end())
    names.pop_back();
  return names;
}

constexpr char format_key[] = "format";
constexpr char log_id_key[] = "log_id";

}  // namespace

tl::unexpected<Error> fail_status(const rocksdb::Status& status,
                                  const std::string& what) {
  Errc code = Errc::io;
  if (status.IsCorruption() || status.IsInvalidArgument())
    code = Errc::damaged;
  else if (status.IsNoSpace())
    code = Errc::no_space;
  else if (status.IsBusy())
    code = Errc::busy;
  return fail(code, what + ": " + status.ToString());
}

Expected<std::shared_ptr<Database>> Database::open(
    const std::filesystem::path& directory, Access access,
    const DatabaseOptions& options) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  const rocksdb::DBOptions db_options = database_options(options, access);
  for (const auto& name : family_names(db_options, directory.string(), access))
    descriptors.emplace_back(name, family_options(options));
  std::shared_ptr<Database> opened(new Database);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      access == Access::read_only
          ? rocksdb::DB::OpenForReadOnly(db_options, directory.string(),
                                         descriptors, &opened->families_, &db)
          : rocksdb::DB::Open(db_options, directory.string(), descriptors,
                              &opened->families_, &db);
  if (!status.ok())
    return fail_status(
        status, "cannot open the log's database in " + directory.string());
  opened->db_.reset(db);
  return opened;
}

Database::~Database() {
  for (auto* family : families_) db_->DestroyColumnFamilyHandle(family);
}

Status Database::write_identity(const LogId& log_id) {
  rocksdb::WriteBatch batch;
  const std::uint32_t format = database_format;
  batch.Put(meta(), format_key, slice_of(std::as_bytes(std::span(&format, 1))));
  batch.Put(meta(), log_id_key, slice_of(log_id));
  rocksdb::WriteOptions write;
  write.sync = true;
  rocksdb::Status status = db_->Write(write, &batch);
  // Flushed, so that this family never pins an old write-ahead log.
  if (status.ok()) status = db_->Flush(rocksdb::FlushOptions(), meta());
  if (!status.ok()) return fail_status(status, "cannot name the new log");
  return {};
}

Expected<std::optional<LogId>> Database::read_identity() const {
  std::string format;
  const rocksdb::ReadOptions read;
  rocksdb::Status status = db_->Get(read, meta(), format_key, &format);
  if (status.IsNotFound()) return std::optional<LogId>();
  if (!status.ok()) return fail_status(status, "cannot read the log's format");
  std::uint32_t number = 0;
  if (format.size() == sizeof(number))
    std::memcpy(&number, format.data(), sizeof(number));
  if (number != database_format)
    return fail(Errc::damaged, "the log's database has format " +
                                   std::to_string(number) +
                                   " and this program knows " +
                                   std::to_string(database_format) +
                                   ": use the version that wrote it");
  std::string text;
  status = db_->Get(read, meta(), log_id_key, &text);
  LogId log_id;
  if (!status.ok() || text.size() != log_id.size())
    return fail(Errc::damaged,
                "the log's database has lost its id: " + status.ToString());
  std::memcpy(log_id.data(), text.data(), log_id.size());
  return std::optional<LogId>(log_id);
}

RecordIterator::RecordIterator(const Database& database)
    : archives_(database.archives()), archived_(archives_) {
  rocksdb::ReadOptions read;
  read.readahead_size = 2u << 20;
  read.fill_cache = false;
  read.total_order_seek = true;
  iterator_.reset(database.db().NewIterator(read, database.log()));
}

void RecordIterator::seek_holding(std::uint64_t sequence) {
  in_archive_ = false;
  const RecordKey key = make_record_key(sequence);
  const rocksdb::Slice slice(key.data(), key.size());
  iterator_->SeekForPrev(slice);
  if (iterator_->Valid() || !iterator_->status().ok()) return;
  iterator_->SeekToFirst();
  if (!iterator_->Valid() || archives_->empty()) return;
  const rocksdb::Slice first = iterator_->key();
  database_first_ = parse_record_key({first.data(), first.size()}).value_or(0);
  if (database_first_ <= 1) return;
  archived_.seek(sequence);
  in_archive_ = true;
}

void RecordIterator::next() {
  if (!in_archive_) return iterator_->Next();
  // Archived records stay in the database until they are removed from it.
  if (archived_.record().last_sequence() + 1 >= database_first_) {
    in_archive_ = false;
    iterator_->SeekToFirst();
  } else {
    archived_.next();
  }
}

void RecordIterator::previous() {
  if (in_archive_) return archived_.previous();
  const auto here = record();
  iterator_->Prev();
  if (iterator_->Valid() || !iterator_->status().ok() || !here ||
      here->first_sequence <= 1 || archives_->empty())
    return;
  database_first_ = here->first_sequence;
  archived_.seek(database_first_ - 1);
  in_archive_ = true;
}

Status RecordIterator::status() const {
  if (in_archive_) return archived_.status();
  const rocksdb::Status status = iterator_->status();
  if (status.ok()) return {};
  return fail_status(status, "cannot read the log");
}

Expected<Record> RecordIterator::record() const {
  if (in_archive_) return archived_.record();
  const rocksdb::Slice key = iterator_->key();
  const auto sequence = parse_record_key({key.data(), key.size()});
  if (!sequence) return tl::unexpected(sequence.error());
  return parse_record(*sequence, value());
}

Expected<Head> last_head(const Database& database) {
  RecordIterator iterator(database);
  iterator.seek_last();
  if (!iterator.valid()) {
    if (Status status = iterator.status(); !status)
      return tl::unexpected(status.error());
    return Head{};
  }
  const auto record = iterator.record();
  if (!record) return tl::unexpected(record.error());
  return head_of(*record);
}

namespace {

Status check_mark(const Head& found, const Head& mark) {
  if (found == mark) return {};
  return fail(Errc::damaged,
              "the head mark says that event " + std::to_string(mark.sequence) +
                  " ends a commit of epoch " + std::to_string(mark.epoch) +
                  " with hash " + short_hex(mark.hash) +
                  "..., but the log has there event " +
                  std::to_string(found.sequence) + " of epoch " +
                  std::to_string(found.epoch) + " with hash " +
                  short_hex(found.hash) + "...: this is another history");
}

}  // namespace

Expected<Head> verify_head(const Database& database, const Mark& mark,
                           const std::filesystem::path& directory) {
  const std::string advice =
      "; the log in " + directory.string() +
      " was not changed: \"reeve log repair\" shows what it can "
      "be mended from, or restore its newest whole "
      "copy";
  const auto head = last_head(database);
  if (!head) return tl::unexpected(with_acknowledged(head.error(), mark));
  if (head->sequence < mark.head.sequence)
    return fail(Errc::damaged,
                "the log ends at event " + std::to_string(head->sequence) +
                    ", but event " + std::to_string(mark.head.sequence) +
                    " was acknowledged: " +
                    std::to_string(mark.head.sequence - head->sequence) +
                    " events are missing" + advice);
  Head seen;
  bool first = true;
  Status matched;
  const auto visit = [&](const Record& record) {
    seen = head_of(record);
    if (first && mark.head.sequence != 0) matched = check_mark(seen, mark.head);
    first = false;
    return matched.has_value();
  };
  const std::uint64_t from = mark.head.sequence == 0 ? 1 : mark.head.sequence;
  Status proved =
      scan_records(database, ScanRange{from, head->sequence}, visit);
  proved = proved ? matched
                  : tl::unexpected(with_acknowledged(proved.error(), mark));
  if (!proved) {
    proved.error().text += advice;
    return tl::unexpected(proved.error());
  }
  return *head;
}

}  // namespace reeve::store

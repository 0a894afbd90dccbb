#include "store/log.hpp"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/check.hpp"
#include "store/archive.hpp"
#include "store/log_open.hpp"
#include "store/log_source.hpp"
#include "store/mark_keeper.hpp"
#include "store/reserve.hpp"
#include "store/scan_source.hpp"

namespace reeve::store {

namespace {

// A pipeline has one commit in each of its two steps.
constexpr std::size_t batches_kept = 3;
// A batch that grew beyond this gives its memory back.
constexpr std::size_t batch_kept_bytes_max = 4u << 20;

// Batches to use again, with the memory that they have.
class BatchPool {
 public:
  std::unique_ptr<rocksdb::WriteBatch> take() {
    const std::lock_guard guard(mutex_);
    if (batches_.empty()) return std::make_unique<rocksdb::WriteBatch>();
    auto batch = std::move(batches_.back());
    batches_.pop_back();
    return batch;
  }
  void give_back(std::unique_ptr<rocksdb::WriteBatch> batch) {
    if (batch->GetDataSize() > batch_kept_bytes_max) return;
    batch->Clear();
    const std::lock_guard guard(mutex_);
    if (batches_.size() < batches_kept) batches_.push_back(std::move(batch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<rocksdb::WriteBatch>> batches_;
};

}  // namespace

struct Log::Prepared::Body {
  explicit Body(std::shared_ptr<BatchPool> from)
      : pool(std::move(from)), batch(pool->take()) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() { pool->give_back(std::move(batch)); }

  Head previous;
  Head head;
  std::uint64_t bytes = 0;
  std::shared_ptr<BatchPool> pool;
  std::unique_ptr<rocksdb::WriteBatch> batch;
};

Log::Prepared::Prepared(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Log::Prepared::Prepared(Prepared&&) noexcept = default;
Log::Prepared& Log::Prepared::operator=(Prepared&&) noexcept = default;
Log::Prepared::~Prepared() = default;
const Head& Log::Prepared::head() const {
  return body_->head;
}
std::uint64_t Log::Prepared::first_sequence() const {
  return body_->previous.sequence + 1;
}
std::span<const std::byte> Log::Prepared::value() const {
  // The batch holds one record, and ends with its value.
  const std::string& laid_out = body_->batch->Data();
  return std::as_bytes(std::span(laid_out)).last(body_->bytes);
}

namespace {

// What a flush of all memory tables may write.
std::uint64_t kept_bytes(const LogOptions& options) {
  return options.floor_bytes == 0
             ? 0
             : write_buffers_max * options.write_buffer_bytes;
}

}  // namespace

struct Log::Core {
  Core(OpenedLog opened, const LogOptions& options)
      : layout(std::move(opened.layout)),
        database(std::move(opened.database)),
        log_id(opened.mark.mark().log_id),
        head(std::make_shared<HeadCell>()),
        reserve(layout.ballast(), layout.reserve(), options.floor_bytes,
                kept_bytes(options)),
        marks(std::move(opened.mark), options.mark_interval_ms,
              options.mark_lag_commits_max),
        snapshots_bytes_max(options.snapshots_bytes_max),
        prepared_head(opened.head) {
    head->set(opened.head);
    // What is below the first record was removed before.
    RecordIterator iterator(*database);
    iterator.seek_first();
    if (!iterator.valid()) return;
    if (const auto first = iterator.record())
      archives_tried = first->first_sequence - 1;
  }

  Head newest_prepared();
  Expected<Prepared> lay_out(const Head& before, const Head& after,
                             const RecordHeader& header,
                             std::span<const std::byte> events);
  Status allow(const Head& before, std::span<const Prepared> commits);
  Status join(std::span<const Prepared> commits, rocksdb::WriteBatch& into);
  tl::unexpected<Error> fail_for_ever(Error error);

  Layout layout;
  std::shared_ptr<Database> database;
  LogId log_id;
  std::shared_ptr<HeadCell> head;
  Reserve reserve;
  MarkKeeper marks;
  const std::uint64_t snapshots_bytes_max;
  std::mutex mutex;    // of the next
  Head prepared_head;  // of the newest commit laid out
  std::shared_ptr<BatchPool> batches = std::make_shared<BatchPool>();
  std::atomic<std::uint64_t> archives_tried = 0;
  std::atomic<bool> failed = false;
  std::atomic<bool> closed = false;
};

namespace {

Status check_append(const Head& before, std::uint64_t epoch,
                    std::uint32_t count, std::span<const std::byte> events) {
  if (epoch < before.epoch)
    return fail(Errc::rejected,
                "epoch " + std::to_string(epoch) + " is older than epoch " +
                    std::to_string(before.epoch) + " at the head of the log");
  if (events.size() > record_events_bytes_max)
    return fail(Errc::internal, "a commit of " + std::to_string(events.size()) +
                                    " bytes is above the bound of " +
                                    std::to_string(record_events_bytes_max));
  const auto counted = count_events(events);
  if (!counted || *counted != count || count == 0)
    return fail(Errc::internal,
                "a commit of " + std::to_string(count) + " events in " +
                    std::to_string(events.size()) +
                    " bytes does not hold that many whole events");
  return {};
}

}  // namespace

Head Log::Core::newest_prepared() {
  const std::lock_guard guard(mutex);
  return prepared_head;
}

Expected<Log::Prepared> Log::Core::lay_out(const Head& before,
                                           const Head& after,
                                           const RecordHeader& header,
                                           std::span<const std::byte> events) {
  auto body = std::make_unique<Prepared::Body>(batches);
  body->previous = before;
  body->head = after;
  body->bytes = record_header_bytes + events.size();
  const RecordKey key = make_record_key(before.sequence + 1);
  const rocksdb::Slice key_part(key.data(), key.size());
  const rocksdb::Slice value_parts[] = {slice_of(header), slice_of(events)};
  const rocksdb::Status put =
      body->batch->Put(database->log(), rocksdb::SliceParts(&key_part, 1),
                       rocksdb::SliceParts(value_parts, 2));
  if (!put.ok()) return fail_status(put, "cannot lay out a commit");
  const std::lock_guard guard(mutex);
  prepared_head = after;
  return Prepared(std::move(body));
}

tl::unexpected<Error> Log::Core::fail_for_ever(Error error) {
  failed = true;
  error.text +=
      "; whether the commit is on disk is unknown: restart this process, it "
      "reads the log again";
  return tl::unexpected(std::move(error));
}

Log::Log(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Log::~Log() {
  [[maybe_unused]] const Status done = close();
}

namespace {

// Half the floor holds what a flush of all memory tables may write, so that
// the other half of a given-up ballast is room for facts.
LogOptions within_floor(LogOptions options) {
  if (options.floor_bytes != 0)
    options.write_buffer_bytes =
        std::min(options.write_buffer_bytes,
                 std::max(write_buffer_bytes_min,
                          options.floor_bytes / (2 * write_buffers_max)));
  return options;
}

}  // namespace

Expected<std::unique_ptr<Log>> Log::open(const LogOptions& given) {
  const LogOptions options = within_floor(given);
  auto opened = open_log(options);
  if (!opened) return tl::unexpected(opened.error());
  auto core = std::make_unique<Core>(std::move(*opened), options);
  // The reserve goes now rather than with the first commit: whoever opens a
  // log has files of its own to write before that.
  [[maybe_unused]] const Status room = core->reserve.allow(0);
  return std::unique_ptr<Log>(new Log(std::move(core)));
}

Head Log::head() const {
  return core_->head->get();
}

bool Log::failed() const {
  return core_->failed;
}

bool Log::admission_open() const {
  return core_->reserve.admission_open();
}

std::string Log::room() const {
  return core_->reserve.room();
}

Expected<Log::Prepared> Log::prepare(std::uint64_t epoch, std::uint32_t count,
                                     std::span<const std::byte> events) {
  const Head before = core_->newest_prepared();
  if (Status sound = check_append(before, epoch, count, events); !sound)
    return tl::unexpected(sound.error());
  const RecordHeader header = make_record_header(
      before.hash, before.sequence + 1, epoch, count, events);
  Head after{before.sequence + count, epoch, {}};
  const auto hash = std::span(header).last(sizeof(Hash));
  std::copy(hash.begin(), hash.end(), after.hash.begin());
  return core_->lay_out(before, after, header, events);
}

Expected<Log::Prepared> Log::prepare_record(const Record& record) {
  const Head before = core_->newest_prepared();
  if (record.first_sequence != before.sequence + 1)
    return fail(Errc::damaged, "the record of event " +
                                   std::to_string(record.first_sequence) +
                                   " does not follow: the log ends at event " +
                                   std::to_string(before.sequence));
  if (Status sound =
          check_append(before, record.epoch, record.count, record.events);
      !sound)
    return tl::unexpected(sound.error());
  if (const Hash must = chain_hash(before.hash, record); must != record.hash)
    return fail_hash(record.first_sequence, record.hash, must);
  return core_->lay_out(before, head_of(record), record_header(record),
                        record.events);
}

// They were prepared in this order, behind `before`, and there is room.
Status Log::Core::allow(const Head& before, std::span<const Prepared> commits) {
  Head last = before;
  std::uint64_t bytes = 0;
  for (const Prepared& commit : commits) {
    const Prepared::Body& body = *commit.body_;
    if (body.previous != last)
      return fail(Errc::internal, "a commit prepared after event " +
                                      std::to_string(body.previous.sequence) +
                                      " came when the log stood at event " +
                                      std::to_string(last.sequence));
    last = body.head;
    bytes += body.bytes;
  }
  return reserve.allow(bytes);
}

Status Log::Core::join(std::span<const Prepared> commits,
                       rocksdb::WriteBatch& into) {
  for (const Prepared& commit : commits) {
    const RecordKey key = make_record_key(commit.first_sequence());
    const rocksdb::Status put =
        into.Put(database->log(), rocksdb::Slice(key.data(), key.size()),
                 slice_of(commit.value()));
    if (!put.ok()) return fail_status(put, "cannot lay out commits as one");
  }
  return {};
}

Expected<Head> Log::commit(const Prepared& prepared) {
  return commit(std::span(&prepared, 1));
}

Expected<Head> Log::commit(std::span<const Prepared> prepared) {
  REEVE_CHECK(!prepared.empty(), "there is nothing to commit");
  for (const Prepared& one : prepared)
    REEVE_CHECK(one.body_ != nullptr, "a commit was moved away");
  const Head before = core_->head->get();
  if (core_->failed || core_->closed)
    return fail(Errc::io, core_->closed
                              ? "the log is closed"
                              : "the log failed earlier and takes no commits: "
                                "restart this process");
  Status allowed = core_->allow(before, prepared);
  rocksdb::WriteBatch joined;
  rocksdb::WriteBatch* batch = prepared.front().body_->batch.get();
  if (allowed && prepared.size() > 1) {
    allowed = core_->join(prepared, joined);
    batch = &joined;
  }
  if (!allowed) {
    const std::lock_guard guard(core_->mutex);
    core_->prepared_head = before;
    return tl::unexpected(allowed.error());
  }
  rocksdb::WriteOptions write;
  write.sync = true;
  const rocksdb::Status status = core_->database->db().Write(write, batch);
  if (!status.ok())
    return core_->fail_for_ever(
        fail_status(status, "event " + std::to_string(before.sequence + 1) +
                                " could not be committed")
            .value());
  for (const Prepared& one : prepared)
    if (Status marked = core_->marks.committed(one.head()); !marked)
      return core_->fail_for_ever(marked.error());
  const Head& head = prepared.back().head();
  core_->head->set(head);
  return head;
}

Expected<Head> Log::append(std::uint64_t epoch, std::uint32_t count,
                           std::span<const std::byte> events) {
  auto prepared = prepare(epoch, count, events);
  if (!prepared) return tl::unexpected(prepared.error());
  return commit(*prepared);
}

Status Log::put_snapshot(std::uint64_t sequence, const Hash& digest,
                         std::span<const std::byte> bytes) {
  if (core_->failed || core_->closed)
    return fail(Errc::io, "the log is failed or closed: no snapshot is taken");
  if (sequence > head().sequence)
    return fail(Errc::internal, "a snapshot at event " +
                                    std::to_string(sequence) +
                                    " is ahead of the log, which ends at " +
                                    std::to_string(head().sequence));
  // A cache is not worth the reserve: it needs room for all of it twice.
  if (!admission_open())
    return fail(Errc::no_space, "no snapshot below the floor of free space");
  if (Status room = core_->reserve.allow(2 * bytes.size()); !room) return room;
  return write_snapshot(*core_->database, sequence, digest, bytes,
                        core_->snapshots_bytes_max);
}

bool Log::archives_pending() const {
  return ArchiveSet::list(core_->layout.archive(), core_->log_id)
             ->unbroken_to() > core_->archives_tried;
}

Expected<std::uint64_t> Log::drop_archived() {
  if (core_->failed || core_->closed)
    return fail(Errc::io, "the log is failed or closed: nothing is removed");
  core_->archives_tried =
      ArchiveSet::list(core_->layout.archive(), core_->log_id)->unbroken_to();
  return store::drop_archived(*core_->database, core_->layout, core_->log_id);
}

Status Log::extend_index(std::uint64_t run_events,
                         const FindEntities& entities) {
  const Database& database = *core_->database;
  auto end = index_end(database);
  if (!end) return tl::unexpected(end.error());
  if (head().sequence < end->sequence + run_events) return {};
  if (end->sequence == 0)
    if (Status cleared = clear_index(database); !cleared) return cleared;
  while (head().sequence >= end->sequence + run_events) {
    if (core_->failed || core_->closed)
      return fail(Errc::io, "the log is failed or closed: it is not indexed");
    // The index can wait, and a write that finds no room fails the log.
    if (!admission_open())
      return fail(Errc::no_space, "no index below the floor of free space");
    const auto last = reader()->record_end(end->sequence + run_events);
    if (!last) return tl::unexpected(last.error());
    if (Status run = write_index_run(database, *end, last->sequence, entities);
        !run)
      return run;
    *end = IndexEnd{last->sequence, last->hash};
  }
  return {};
}

std::unique_ptr<LogReader> Log::reader() const {
  auto source = std::make_unique<LogReader::Source>();
  source->database = core_->database;
  source->head = core_->head;
  source->log_id = core_->log_id;
  return std::unique_ptr<LogReader>(new LogReader(std::move(source)));
}

Status Log::close() {
  if (core_->closed.exchange(true)) return {};
  // The mark names only what was acknowledged, also after a failure.
  Status marked = core_->marks.finish();
  if (core_->failed || !marked) return marked;
  const rocksdb::Status flushed = core_->database->db().Flush(
      rocksdb::FlushOptions(), core_->database->log());
  if (!flushed.ok()) return fail_status(flushed, "cannot flush the log");
  return {};
}

}  // namespace reeve::store

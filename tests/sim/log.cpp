#include "tests/sim/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cluster/plant.hpp"
#include "store/snapshot_thinning.hpp"

namespace reeve::sim {
namespace {

const std::string log_file = "log";
const std::string mark_file = "mark";
constexpr std::uint64_t snapshots_bytes_max = 1 << 20;

// Before each record: its first sequence and the bytes of its value. Both are
// multiples of 8, so that events stay aligned.
struct Frame {
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;
};

std::string snapshot_file(std::uint64_t sequence) {
  return fmt::format("snapshot-{:020}", sequence);
}

template <class Value>
std::span<const std::byte> bytes_of(const Value& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <class Value>
std::optional<Value> value_at(std::span<const std::byte> bytes,
                              std::size_t offset) {
  if (offset + sizeof(Value) > bytes.size()) return std::nullopt;
  Value value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

Expected<Log> Log::open(Disk& disk, Probes& probes) {
  Log log(disk, probes);
  if (Status read = log.read_records(); !read)
    return tl::unexpected(read.error());
  if (Status whole = log.check_mark(); !whole)
    return tl::unexpected(whole.error());
  if (Status marked = log.mark(); !marked)
    return tl::unexpected(marked.error());
  return log;
}

// What does not continue the chain at the end is a torn write.
Status Log::read_records() {
  std::size_t end = 0;
  while (true) {
    std::uint64_t bytes = 0;
    const auto record = record_at(end, &bytes);
    if (!record || record->first_sequence != head_.sequence + 1 ||
        store::chain_hash(head_.hash, *record) != record->hash)
      break;
    records_[record->first_sequence] = end;
    head_ = {record->last_sequence(), record->epoch, record->hash};
    end += sizeof(Frame) + bytes;
  }
  written_ = head_;
  Disk::Bytes whole = disk_->read(log_file);
  whole.resize(end);
  disk_->rewrite(log_file, std::move(whole));
  if (disk_->sync(log_file) == Disk::Sync::failed)
    return fail(Errc::io, "the log cannot be synced");
  return {};
}

Status Log::check_mark() const {
  const auto marked = value_at<store::Head>(disk_->read(mark_file), 0);
  if (!marked) return {};
  const auto there = marked->sequence == 0
                         ? std::optional<store::Hash>(store::Hash{})
                         : hash_at(marked->sequence);
  if (there && *there == marked->hash) return {};
  return fail(Errc::damaged,
              fmt::format("the log ends at event {}, its mark says {}",
                          head_.sequence, marked->sequence));
}

Status Log::write(std::uint64_t epoch, std::uint32_t count,
                  std::span<const std::byte> events) {
  if (epoch < head_.epoch)
    return fail(Errc::rejected, "the epoch is older than the log's");
  if (disk_->room() == Disk::Room::none)
    return fail(Errc::no_space, "the virtual disk is full");
  const std::uint64_t first = head_.sequence + 1;
  const store::RecordHeader header =
      store::make_record_header(head_.hash, first, epoch, count, events);
  records_[first] = disk_->read(log_file).size();
  const Frame frame{first, header.size() + events.size()};
  disk_->append(log_file, bytes_of(frame));
  disk_->append(log_file, header);
  disk_->append(log_file, events);
  written_.sequence = first + count - 1;
  written_.epoch = epoch;
  std::copy_n(header.end() - sizeof(store::Hash), sizeof(store::Hash),
              written_.hash.begin());
  return {};
}

Status Log::sync() {
  if (!planted(Plant::sync_skipped) &&
      disk_->sync(log_file) == Disk::Sync::failed)
    return fail(Errc::io, "the sync of the log failed");
  head_ = written_;
  return {};
}

Status Log::mark() {
  const auto bytes = bytes_of(head_);
  disk_->rewrite(mark_file, Disk::Bytes(bytes.begin(), bytes.end()));
  if (disk_->sync(mark_file) == Disk::Sync::failed)
    return fail(Errc::io, "the sync of the head mark failed");
  return {};
}

Expected<store::Record> Log::record_at(std::size_t offset,
                                       std::uint64_t* bytes) const {
  const Disk::Bytes& all = disk_->read(log_file);
  const auto frame = value_at<Frame>(all, offset);
  const std::size_t begin = offset + sizeof(Frame);
  if (!frame || frame->bytes > all.size() - begin)
    return fail(Errc::damaged, "there is no whole record");
  if (bytes) *bytes = frame->bytes;
  return store::parse_record(frame->first,
                             std::span(all).subspan(begin, frame->bytes));
}

Status Log::scan(std::uint64_t from, std::uint64_t to,
                 const std::function<bool(const store::Record&)>& visit) const {
  auto at = records_.upper_bound(from);
  if (at != records_.begin()) --at;
  for (; at != records_.end() && at->first <= std::min(to, head_.sequence);
       ++at) {
    const auto record = record_at(at->second, nullptr);
    if (!record) return tl::unexpected(record.error());
    if (record->last_sequence() >= from && !visit(*record)) break;
  }
  return {};
}

std::optional<store::Hash> Log::hash_at(std::uint64_t sequence) const {
  if (sequence > head_.sequence) return std::nullopt;
  auto at = records_.upper_bound(sequence);
  if (at == records_.begin()) return std::nullopt;
  const auto record = record_at((--at)->second, nullptr);
  if (!record || record->last_sequence() != sequence) return std::nullopt;
  return record->hash;
}

// Sequence, digest and bytes, behind a hash of them.
Status Log::put_snapshot(std::uint64_t sequence, const store::Hash& digest,
                         std::span<const std::byte> bytes) {
  if (!admission_open())
    return fail(Errc::no_space, "no snapshot below the floor of free space");
  const std::span<const std::byte> parts[] = {bytes_of(sequence), digest,
                                              bytes};
  const store::Hash hash = store::hash_parts(parts);
  Disk::Bytes all(hash.begin(), hash.end());
  for (const auto& part : parts)
    all.insert(all.end(), part.begin(), part.end());
  disk_->rewrite(snapshot_file(sequence), std::move(all));
  if (disk_->sync(snapshot_file(sequence)) == Disk::Sync::failed)
    return fail(Errc::io, "the sync of a snapshot failed");
  probes_->hit(Probe::snapshot_kept);
  for (const std::uint64_t surplus :
       store::surplus_snapshots(snapshots(), snapshots_bytes_max)) {
    probes_->hit(Probe::snapshot_thinned);
    disk_->remove(snapshot_file(surplus));
  }
  return {};
}

void Log::damage_snapshot(std::uint64_t sequence) {
  probes_->hit(Probe::snapshot_damaged);
  disk_->damage(snapshot_file(sequence));
}

std::vector<store::KeptSnapshot> Log::snapshots() const {
  std::vector<store::KeptSnapshot> kept;
  for (const auto& [name, bytes] : disk_->list("snapshot-"))
    kept.push_back({std::stoull(name.substr(sizeof("snapshot-") - 1)), bytes});
  return kept;
}

Expected<std::optional<store::Snapshot>> Log::snapshot_at(std::uint64_t at) {
  auto kept = snapshots();
  std::reverse(kept.begin(), kept.end());
  for (const auto& [sequence, size] : kept) {
    if (sequence > at) continue;
    const std::span<const std::byte> all(disk_->read(snapshot_file(sequence)));
    constexpr std::size_t head_bytes =
        2 * sizeof(store::Hash) + sizeof(std::uint64_t);
    if (all.size() >= head_bytes) {
      const auto body = all.subspan(sizeof(store::Hash));
      const store::Hash hash = store::hash_parts(std::span(&body, 1));
      if (std::equal(hash.begin(), hash.end(), all.begin())) {
        const auto bytes = all.subspan(head_bytes);
        store::Snapshot snapshot;
        snapshot.sequence = sequence;
        snapshot.bytes = store::SnapshotBytes(bytes.size());
        std::copy(bytes.begin(), bytes.end(),
                  snapshot.bytes.writable().begin());
        return std::optional(std::move(snapshot));
      }
    }
    probes_->hit(Probe::start_from_older_snapshot);
  }
  return std::optional<store::Snapshot>();
}

}  // namespace reeve::sim

#include "store/snapshots.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "store/database.hpp"

namespace reeve::store {

namespace {

// Headers have keys of their own kind, after all chunks, so that listing the
// snapshots reads no chunk, damaged as it may be.
constexpr char chunk_kind = 'c';
constexpr char header_kind = 'h';
using SnapshotKey = std::array<char, 13>;

SnapshotKey make_key(char kind, std::uint64_t sequence, std::uint32_t index) {
  const std::uint64_t sequence_be = __builtin_bswap64(sequence);
  const std::uint32_t index_be = __builtin_bswap32(index);
  SnapshotKey key;
  key[0] = kind;
  std::memcpy(key.data() + 1, &sequence_be, 8);
  std::memcpy(key.data() + 9, &index_be, 4);
  return key;
}

// Chunks are counted from 0.
SnapshotKey chunk_key(std::uint64_t sequence, std::uint32_t index) {
  return make_key(chunk_kind, sequence, index);
}

SnapshotKey header_key(std::uint64_t sequence) {
  return make_key(header_kind, sequence, 0);
}

rocksdb::Slice slice_of_key(const SnapshotKey& key) {
  return {key.data(), key.size()};
}

// The value of a header.
struct Header {
  std::uint8_t format = snapshot_format;
  std::array<std::uint8_t, 3> zero{};
  std::uint32_t chunk_count = 0;
  std::uint64_t size_bytes = 0;
  Hash digest{};
  Hash hash{};  // over sequence, the fields above and the bytes
};
static_assert(sizeof(Header) == 80);

Hash header_hash(std::uint64_t sequence, const Header& header,
                 std::span<const std::byte> bytes) {
  const std::array<std::span<const std::byte>, 3> parts{
      std::as_bytes(std::span(&sequence, 1)),
      std::as_bytes(std::span(&header, 1)).first(offsetof(Header, hash)),
      bytes};
  return hash_parts(parts);
}

std::uint32_t chunks_for(std::size_t size_bytes) {
  return static_cast<std::uint32_t>((size_bytes + snapshot_chunk_bytes - 1) /
                                    snapshot_chunk_bytes);
}

Status put_unlogged(const Database& database, const SnapshotKey& key,
                    std::span<const std::byte> value) {
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  const rocksdb::Status status = database.db().Put(
      write, database.snapshot(), slice_of_key(key), slice_of(value));
  if (!status.ok()) return fail_status(status, "cannot write a snapshot");
  return {};
}

Status flush(const Database& database) {
  const rocksdb::Status status =
      database.db().Flush(rocksdb::FlushOptions(), database.snapshot());
  if (!status.ok()) return fail_status(status, "cannot flush a snapshot");
  return {};
}

rocksdb::Status remove_range(const Database& database, const SnapshotKey& begin,
                             const SnapshotKey& end) {
  const rocksdb::Slice from = slice_of_key(begin);
  const rocksdb::Slice to = slice_of_key(end);
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  rocksdb::DB& db = database.db();
  rocksdb::Status status = db.DeleteRange(write, database.snapshot(), from, to);
  if (status.ok())
    status = db.Flush(rocksdb::FlushOptions(), database.snapshot());
  if (status.ok())
    status = db.CompactRange(rocksdb::CompactRangeOptions(),
                             database.snapshot(), &from, &to);
  return status;
}

// Everything before the oldest that is kept goes, half-written ones too;
// headers first, so that none is left without its bytes.
Status remove_older(const Database& database) {
  const auto kept = list_snapshots(database);
  if (!kept) return tl::unexpected(kept.error());
  if (kept->size() <= snapshots_kept) return {};
  const std::uint64_t oldest = (*kept)[snapshots_kept - 1];
  rocksdb::Status status =
      remove_range(database, header_key(0), header_key(oldest));
  if (status.ok())
    status = remove_range(database, chunk_key(0, 0), chunk_key(oldest, 0));
  if (!status.ok()) return fail_status(status, "cannot remove old snapshots");
  return {};
}

Expected<Snapshot> read_one(const Database& database, std::uint64_t sequence) {
  const std::string name = "the snapshot at event " + std::to_string(sequence);
  const rocksdb::ReadOptions read;
  std::string text;
  rocksdb::Status status = database.db().Get(
      read, database.snapshot(), slice_of_key(header_key(sequence)), &text);
  if (!status.ok()) return fail_status(status, name + " cannot be read");
  Header header;
  if (text.size() != sizeof(header))
    return fail(Errc::damaged, name + " has a damaged header");
  std::memcpy(&header, text.data(), sizeof(header));
  if (header.format != snapshot_format)
    return fail(Errc::damaged, name + " has format " +
                                   std::to_string(header.format) +
                                   ", which this program does not know");
  if (header.chunk_count != chunks_for(header.size_bytes))
    return fail(Errc::damaged, name + " has a damaged header");
  Snapshot snapshot{sequence, header.digest, {}};
  for (std::uint32_t index = 0; index < header.chunk_count; ++index) {
    rocksdb::PinnableSlice chunk;
    status =
        database.db().Get(read, database.snapshot(),
                          slice_of_key(chunk_key(sequence, index)), &chunk);
    if (!status.ok()) return fail_status(status, name + " cannot be read");
    if (index == 0) snapshot.bytes.reserve(header.size_bytes);
    const auto bytes = bytes_of(chunk);
    snapshot.bytes.insert(snapshot.bytes.end(), bytes.begin(), bytes.end());
  }
  if (snapshot.bytes.size() != header.size_bytes ||
      header_hash(sequence, header, snapshot.bytes) != header.hash)
    return fail(Errc::damaged, name + " does not match its hash");
  return snapshot;
}

}  // namespace

Status write_snapshot(const Database& database, std::uint64_t sequence,
                      const Hash& digest, std::span<const std::byte> bytes) {
  Header header;
  header.chunk_count = chunks_for(bytes.size());
  header.size_bytes = bytes.size();
  header.digest = digest;
  header.hash = header_hash(sequence, header, bytes);
  for (std::uint32_t index = 0; index < header.chunk_count; ++index) {
    const std::size_t offset = index * snapshot_chunk_bytes;
    const auto chunk = bytes.subspan(
        offset, std::min(snapshot_chunk_bytes, bytes.size() - offset));
    Status put = put_unlogged(database, chunk_key(sequence, index), chunk);
    if (!put) return put;
  }
  if (Status done = flush(database); !done) return done;
  Status put = put_unlogged(database, header_key(sequence),
                            std::as_bytes(std::span(&header, 1)));
  if (!put) return put;
  if (Status done = flush(database); !done) return done;
  return remove_older(database);
}

Expected<std::vector<std::uint64_t>> list_snapshots(const Database& database) {
  std::vector<std::uint64_t> sequences;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      database.db().NewIterator(rocksdb::ReadOptions(), database.snapshot()));
  const SnapshotKey first = header_key(0);
  iterator->Seek(slice_of_key(first));
  for (; iterator->Valid(); iterator->Next()) {
    const rocksdb::Slice key = iterator->key();
    if (key.size() != sizeof(SnapshotKey) || key[0] != header_kind)
      return fail(Errc::damaged, "a snapshot has a key of " +
                                     std::to_string(key.size()) + " bytes");
    std::uint64_t sequence_be;
    std::memcpy(&sequence_be, key.data() + 1, sizeof(sequence_be));
    sequences.insert(sequences.begin(), __builtin_bswap64(sequence_be));
  }
  if (!iterator->status().ok())
    return fail_status(iterator->status(), "cannot list the snapshots");
  return sequences;
}

Expected<std::optional<Snapshot>> read_snapshot(
    const Database& database, std::uint64_t at,
    std::vector<std::string>& warnings) {
  const auto sequences = list_snapshots(database);
  if (!sequences) {
    // Snapshots are a cache: without any the log itself is read.
    warnings.push_back(sequences.error().text);
    return std::optional<Snapshot>();
  }
  for (const std::uint64_t sequence : *sequences) {
    if (sequence > at) continue;
    auto snapshot = read_one(database, sequence);
    if (snapshot) return std::optional<Snapshot>(std::move(*snapshot));
    warnings.push_back(snapshot.error().text + "; an older one is used");
  }
  return std::optional<Snapshot>();
}

}  // namespace reeve::store

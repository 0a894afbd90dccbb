#include "store/snapshots.hpp"

#include <rocksdb/write_batch.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>

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
  std::uint64_t stored_bytes = 0;
  Hash digest{};
  Hash hash{};  // over sequence, the fields above and the hash of each chunk
};
static_assert(sizeof(Header) == 88);

Hash header_hash(std::uint64_t sequence, const Header& header,
                 std::span<const Hash> chunks) {
  const std::array<std::span<const std::byte>, 3> parts{
      std::as_bytes(std::span(&sequence, 1)),
      std::as_bytes(std::span(&header, 1)).first(offsetof(Header, hash)),
      std::as_bytes(chunks)};
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

// Headers first, so that none is left without its bytes.
Status remove_one(const Database& database, std::uint64_t sequence) {
  rocksdb::Status status =
      remove_range(database, header_key(sequence), header_key(sequence + 1));
  if (status.ok())
    status = remove_range(database, chunk_key(sequence, 0),
                          chunk_key(sequence + 1, 0));
  if (!status.ok()) return fail_status(status, "cannot remove old snapshots");
  return {};
}

// Key by key: a compaction of RocksDB 7.8 that meets the tombstones of several
// calls that were cut short may end the process.
Status remove_after(const Database& database, char kind,
                    std::uint64_t sequence) {
  const SnapshotKey begin = make_key(kind, sequence + 1, 0);
  const std::unique_ptr<rocksdb::Iterator> iterator(
      database.db().NewIterator(rocksdb::ReadOptions(), database.snapshot()));
  rocksdb::WriteBatch batch;
  for (iterator->Seek(slice_of_key(begin));
       iterator->Valid() && iterator->key().starts_with({&kind, 1});
       iterator->Next())
    batch.Delete(database.snapshot(), iterator->key());
  rocksdb::Status status = iterator->status();
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  if (status.ok()) status = database.db().Write(write, &batch);
  if (!status.ok()) return fail_status(status, "cannot remove snapshots");
  return flush(database);
}

Status thin(const Database& database, std::uint64_t kept_bytes_max) {
  auto kept = list_snapshots(database);
  if (!kept) return tl::unexpected(kept.error());
  std::reverse(kept->begin(), kept->end());
  for (const std::uint64_t sequence :
       surplus_snapshots(std::move(*kept), kept_bytes_max))
    if (Status removed = remove_one(database, sequence); !removed)
      return removed;
  return {};
}

Expected<Header> read_header(const Database& database, std::uint64_t sequence,
                             const std::string& name) {
  std::string text;
  const rocksdb::Status status =
      database.db().Get(rocksdb::ReadOptions(), database.snapshot(),
                        slice_of_key(header_key(sequence)), &text);
  if (!status.ok()) return fail_status(status, name + " cannot be read");
  Header header;
  if (text.size() != sizeof(header))
    return fail(Errc::damaged, name + " has a damaged header");
  std::memcpy(&header, text.data(), sizeof(header));
  if (header.size_bytes > snapshot_bytes_max ||
      header.chunk_count != chunks_for(header.size_bytes))
    return fail(Errc::damaged, name + " has a damaged header");
  return header;
}

// Reads, hashes and unpacks every second chunk, from `index` on.
class ChunkReader {
 public:
  ChunkReader(const Database& database, const Snapshot& snapshot,
              std::span<std::byte> to, std::span<Hash> hashes)
      : database_(database), snapshot_(snapshot), to_(to), hashes_(hashes) {}

  void run(std::uint32_t index) {
    for (; index < hashes_.size(); index += 2)
      if (!read(index)) return;
  }
  bool whole() const { return whole_; }

 private:
  bool read(std::uint32_t index) {
    rocksdb::PinnableSlice chunk;
    const rocksdb::Status status = database_.db().Get(
        rocksdb::ReadOptions(), database_.snapshot(),
        slice_of_key(chunk_key(snapshot_.sequence, index)), &chunk);
    const auto stored = bytes_of(chunk);
    const std::size_t offset = index * snapshot_chunk_bytes;
    const std::size_t size =
        std::min(snapshot_chunk_bytes, to_.size() - offset);
    whole_ =
        status.ok() && ZSTD_decompress(to_.data() + offset, size, stored.data(),
                                       stored.size()) == size;
    if (whole_) hashes_[index] = hash_parts(std::span(&stored, 1));
    return whole_;
  }

  const Database& database_;
  const Snapshot& snapshot_;
  std::span<std::byte> to_;
  std::span<Hash> hashes_;
  bool whole_ = true;
};

Expected<Snapshot> read_one(const Database& database, std::uint64_t sequence) {
  const std::string name = "the snapshot at event " + std::to_string(sequence);
  const auto header = read_header(database, sequence, name);
  if (!header) return tl::unexpected(header.error());
  Snapshot snapshot{sequence, header->digest,
                    SnapshotBytes(header->size_bytes)};
  std::vector<Hash> hashes(header->chunk_count);
  const auto to = snapshot.bytes.writable();
  ChunkReader even(database, snapshot, to, hashes);
  ChunkReader odd(database, snapshot, to, hashes);
  if (header->chunk_count > 1) {
    std::thread helper([&] { odd.run(1); });
    even.run(0);
    helper.join();
  } else {
    even.run(0);
  }
  if (!even.whole() || !odd.whole())
    return fail(Errc::damaged, name + " cannot be read whole");
  if (header_hash(sequence, *header, hashes) != header->hash)
    return fail(Errc::damaged, name + " does not match its hash");
  return snapshot;
}

// Chunks are compressed one by one, so that two threads can unpack them.
Expected<std::vector<std::byte>> pack(std::span<const std::byte> chunk) {
  std::vector<std::byte> out(ZSTD_compressBound(chunk.size()));
  const std::size_t size =
      ZSTD_compress(out.data(), out.size(), chunk.data(), chunk.size(), 1);
  if (ZSTD_isError(size) != 0)
    return fail(Errc::internal, std::string("cannot compress a snapshot: ") +
                                    ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace

Status write_snapshot(const Database& database, std::uint64_t sequence,
                      const Hash& digest, std::span<const std::byte> bytes,
                      std::uint64_t kept_bytes_max) {
  Header header;
  header.chunk_count = chunks_for(bytes.size());
  header.size_bytes = bytes.size();
  header.digest = digest;
  std::vector<Hash> hashes;
  for (std::uint32_t index = 0; index < header.chunk_count; ++index) {
    const std::size_t offset = index * snapshot_chunk_bytes;
    const auto packed = pack(bytes.subspan(
        offset, std::min(snapshot_chunk_bytes, bytes.size() - offset)));
    if (!packed) return tl::unexpected(packed.error());
    const std::span<const std::byte> stored(*packed);
    hashes.push_back(hash_parts(std::span(&stored, 1)));
    header.stored_bytes += stored.size();
    Status put = put_unlogged(database, chunk_key(sequence, index), stored);
    if (!put) return put;
  }
  header.hash = header_hash(sequence, header, hashes);
  // On disk before the header says so, and in a file of its own: damage to a
  // chunk leaves the headers readable.
  if (Status done = flush(database); !done) return done;
  Status put = put_unlogged(database, header_key(sequence),
                            std::as_bytes(std::span(&header, 1)));
  if (!put) return put;
  if (Status done = flush(database); !done) return done;
  return thin(database, kept_bytes_max);
}

Status remove_snapshots_after(const Database& database,
                              std::uint64_t sequence) {
  for (const char kind : {header_kind, chunk_kind})
    if (Status removed = remove_after(database, kind, sequence); !removed)
      return removed;
  return {};
}

Expected<std::vector<KeptSnapshot>> list_snapshots(const Database& database) {
  std::vector<KeptSnapshot> snapshots;
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
    // One of an earlier format takes room; nothing can be read from it.
    Header header;
    header.format = 0;
    const rocksdb::Slice value = iterator->value();
    if (value.size() == sizeof(header))
      std::memcpy(&header, value.data(), sizeof(header));
    if (header.format == snapshot_format)
      snapshots.push_back(
          {__builtin_bswap64(sequence_be), header.stored_bytes});
  }
  if (!iterator->status().ok())
    return fail_status(iterator->status(), "cannot list the snapshots");
  std::reverse(snapshots.begin(), snapshots.end());
  return snapshots;
}

Expected<std::optional<Snapshot>> read_snapshot(
    const Database& database, std::uint64_t at,
    std::vector<std::string>& warnings) {
  const auto snapshots = list_snapshots(database);
  if (!snapshots) {
    // Snapshots are a cache: without any the log itself is read.
    warnings.push_back(snapshots.error().text);
    return std::optional<Snapshot>();
  }
  for (const auto& [sequence, bytes] : *snapshots) {
    if (sequence > at) continue;
    auto snapshot = read_one(database, sequence);
    if (snapshot) return std::optional<Snapshot>(std::move(*snapshot));
    warnings.push_back(snapshot.error().text + "; an older one is used");
  }
  return std::optional<Snapshot>();
}

}  // namespace reeve::store

// Snapshots of the state as the caller encodes it, in a column family of
// their own that never touches the write-ahead log: chunks of 1 MiB, each
// compressed, made durable by a flush, then a header with the hash of all. A
// snapshot without its header, or with damaged bytes, does not count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "store/record.hpp"
#include "store/snapshot_thinning.hpp"

namespace reeve::store {

class Database;

// Memory that is not cleared before it is filled; aligned to 16 bytes.
class SnapshotBytes {
 public:
  SnapshotBytes() = default;
  explicit SnapshotBytes(std::size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)),
        size_(size) {}
  operator std::span<const std::byte>() const { return {bytes_.get(), size_}; }
  std::span<std::byte> writable() { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }
  const std::byte* data() const { return bytes_.get(); }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

// State after the event `sequence`, byte for byte as it was written: a hash
// has proved that.
struct Snapshot {
  std::uint64_t sequence = 0;
  Hash digest{};
  SnapshotBytes bytes;
};

inline constexpr std::size_t snapshot_chunk_bytes = 1u << 20;
inline constexpr std::uint64_t snapshot_bytes_max = std::uint64_t{2} << 30;
inline constexpr std::uint8_t snapshot_format = 2;

// Durable on return; then removes those that are too much, see
// snapshot_thinning.hpp.
Status write_snapshot(const Database& database, std::uint64_t sequence,
                      const Hash& digest, std::span<const std::byte> bytes,
                      std::uint64_t kept_bytes_max);

// Removes those of later events, durably: they are of another history.
Status remove_snapshots_after(const Database& database, std::uint64_t sequence);

// The snapshots that have a header, newest first, with the bytes they take.
Expected<std::vector<KeptSnapshot>> list_snapshots(const Database& database);

// The newest whole one at or before `at`. Each damaged one that was passed
// over adds a sentence to `warnings`.
Expected<std::optional<Snapshot>> read_snapshot(
    const Database& database, std::uint64_t at,
    std::vector<std::string>& warnings);

}  // namespace reeve::store

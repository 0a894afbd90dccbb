// Snapshots of the state as the caller encodes it, in a column family of
// their own that never touches the write-ahead log: chunks of 1 MiB, made
// durable by a flush, then a header with the hash of all. A snapshot without
// its header, or with damaged bytes, does not count.
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

namespace reeve::store {

class Database;

// State after the event `sequence`. `bytes` starts 16-byte aligned.
struct Snapshot {
  std::uint64_t sequence = 0;
  Hash digest{};
  std::vector<std::byte> bytes;
};

inline constexpr std::size_t snapshot_chunk_bytes = 1u << 20;
inline constexpr std::size_t snapshots_kept = 3;
inline constexpr std::uint8_t snapshot_format = 1;

// Durable on return; then removes all but the newest three.
Status write_snapshot(const Database& database, std::uint64_t sequence,
                      const Hash& digest, std::span<const std::byte> bytes);

// Sequences of the snapshots that have a header, newest first.
Expected<std::vector<std::uint64_t>> list_snapshots(const Database& database);

// The newest whole one at or before `at`. Each damaged one that was passed
// over adds a sentence to `warnings`.
Expected<std::optional<Snapshot>> read_snapshot(
    const Database& database, std::uint64_t at,
    std::vector<std::string>& warnings);

}  // namespace reeve::store

// The record: one commit of the log, as bytes. Pure: no file, no clock, no
// database, so that tools and fuzzers can use it alone. FORMAT.md has the
// layout byte by byte.
//
//   value = format byte, 3 zero bytes, u32 count, u64 epoch, 32-byte hash,
//           events; little-endian, events at offset 48
//   hash  = BLAKE2b-256(hash of the record before, first sequence, the first
//           16 bytes of the value, events)
//
// Events are opaque here: a u32 length n, then n bytes, with 4 + n a multiple
// of 8 (a size-prefixed FlatBuffer whose widest field has 8 bytes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cluster/error.hpp"

namespace reeve::store {

using Hash = std::array<std::byte, 32>;

// The last event of a log; sequence 0 is the empty log, whose hash is zero.
struct Head {
  std::uint64_t sequence = 0;
  std::uint64_t epoch = 0;
  Hash hash{};

  friend bool operator==(const Head&, const Head&) = default;
};

// A view of one record. `events` starts at an address that is a multiple of 8
// and lives as long as the buffer that was parsed.
struct Record {
  std::uint64_t first_sequence = 0;
  std::uint64_t epoch = 0;
  std::uint32_t count = 0;
  Hash hash{};
  std::span<const std::byte> events;

  std::uint64_t last_sequence() const { return first_sequence + count - 1; }
};

// What the log's head is once it ends with this record.
inline Head head_of(const Record& record) {
  return {record.last_sequence(), record.epoch, record.hash};
}

inline constexpr std::uint8_t record_format = 1;
inline constexpr std::size_t record_header_bytes = 48;
// One commit: far above any sensible group, far below what RocksDB can hold.
inline constexpr std::size_t record_events_bytes_max = 64u << 20;
inline constexpr std::size_t event_prefix_bytes = 4;
inline constexpr std::size_t event_alignment_bytes = 8;

// Walks the events of a record. Each event is handed out with its length
// prefix, as FlatBuffers wants a size-prefixed buffer.
class EventCursor {
 public:
  explicit EventCursor(std::span<const std::byte> events) : rest_(events) {}

  // The next event, or nothing at the end or at damage: see damaged().
  std::optional<std::span<const std::byte>> next();

  // True when bytes are left that are no whole event.
  bool damaged() const { return damaged_; }

 private:
  std::span<const std::byte> rest_;
  bool damaged_ = false;
};

// Calls fn(event) for each event, with its length prefix. Errc::damaged when
// the bytes are not whole events; the ones before the damage were passed.
template <class F>
Status for_each_event(std::span<const std::byte> events, F&& fn) {
  EventCursor cursor(events);
  while (auto event = cursor.next()) fn(*event);
  if (cursor.damaged())
    return fail(Errc::damaged, "a record holds bytes that are no whole event");
  return {};
}

// How many whole events these bytes are; Errc::damaged when they are not.
Expected<std::uint32_t> count_events(std::span<const std::byte> events);

// The first 48 bytes of a record's value. `hash` is filled in.
using RecordHeader = std::array<std::byte, record_header_bytes>;
RecordHeader make_record_header(const Hash& previous,
                                std::uint64_t first_sequence,
                                std::uint64_t epoch, std::uint32_t count,
                                std::span<const std::byte> events);

// The first 48 bytes of the value that `record` was parsed from.
RecordHeader record_header(const Record& record);

// Reads a value of the log. Checks form and sizes, neither the hash nor the
// events. Errc::damaged with the sequence in the sentence.
Expected<Record> parse_record(std::uint64_t first_sequence,
                              std::span<const std::byte> value);

// The hash that this record must carry after a record with hash `previous`.
Hash chain_hash(const Hash& previous, const Record& record);

// BLAKE2b-256 over the parts in their order.
Hash hash_parts(std::span<const std::span<const std::byte>> parts);

// Keys are the first sequence, big-endian, so that they sort by it.
using RecordKey = std::array<char, 8>;
RecordKey make_record_key(std::uint64_t first_sequence);
Expected<std::uint64_t> parse_record_key(std::span<const char> key);

// The first 8 bytes of a hash in hexadecimal, for messages.
std::string short_hex(const Hash& hash);

}  // namespace reeve::store

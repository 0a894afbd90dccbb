#include "store/record.hpp"

#include <sodium.h>

#include <bit>
#include <cstring>
#include <limits>

#include "cluster/check.hpp"

static_assert(std::endian::native == std::endian::little,
              "the log is little-endian and is read in place");

namespace reeve::store {

namespace {

constexpr std::size_t count_offset = 4;
constexpr std::size_t epoch_offset = 8;
constexpr std::size_t hash_offset = 16;

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

void start_library() {
  static const bool ready = sodium_init() >= 0;
  REEVE_CHECK(ready, "libsodium did not start");
}

// `prefix` is what stands before the hash in the value.
Hash hash_record(const Hash& previous, std::uint64_t first_sequence,
                 const std::byte* prefix, std::span<const std::byte> events) {
  std::array<std::byte, 32 + 8 + hash_offset> lead;
  std::memcpy(lead.data(), previous.data(), previous.size());
  store(lead.data() + 32, first_sequence);
  std::memcpy(lead.data() + 40, prefix, hash_offset);
  const std::array<std::span<const std::byte>, 2> parts{lead, events};
  return hash_parts(parts);
}

void write_prefix(std::byte* to, std::uint64_t epoch, std::uint32_t count) {
  std::memset(to, 0, hash_offset);
  to[0] = std::byte{record_format};
  store(to + count_offset, count);
  store(to + epoch_offset, epoch);
}

tl::unexpected<Error> damaged_record(std::uint64_t sequence,
                                     const std::string& what) {
  return fail(Errc::damaged,
              "the record of event " + std::to_string(sequence) + " " + what);
}

}  // namespace

std::optional<std::span<const std::byte>> EventCursor::next() {
  if (rest_.empty() || damaged_) return std::nullopt;
  if (rest_.size() < event_prefix_bytes) {
    damaged_ = true;
    return std::nullopt;
  }
  const std::size_t size =
      event_prefix_bytes + std::size_t{load<std::uint32_t>(rest_.data())};
  if (size > rest_.size() || size % event_alignment_bytes != 0) {
    damaged_ = true;
    return std::nullopt;
  }
  const auto event = rest_.first(size);
  rest_ = rest_.subspan(size);
  return event;
}

Expected<std::uint32_t> count_events(std::span<const std::byte> events) {
  std::uint64_t count = 0;
  const Status walked = for_each_event(events, [&](auto) { ++count; });
  if (!walked) return tl::unexpected(walked.error());
  if (count > std::numeric_limits<std::uint32_t>::max())
    return fail(Errc::damaged, "a record holds more events than 32 bits count");
  return static_cast<std::uint32_t>(count);
}

RecordHeader make_record_header(const Hash& previous,
                                std::uint64_t first_sequence,
                                std::uint64_t epoch, std::uint32_t count,
                                std::span<const std::byte> events) {
  RecordHeader header;
  write_prefix(header.data(), epoch, count);
  const Hash hash =
      hash_record(previous, first_sequence, header.data(), events);
  std::memcpy(header.data() + hash_offset, hash.data(), hash.size());
  return header;
}

RecordHeader record_header(const Record& record) {
  RecordHeader header;
  write_prefix(header.data(), record.epoch, record.count);
  std::memcpy(header.data() + hash_offset, record.hash.data(),
              record.hash.size());
  return header;
}

Expected<Record> parse_record(std::uint64_t first_sequence,
                              std::span<const std::byte> value) {
  if (value.size() < record_header_bytes)
    return damaged_record(
        first_sequence,
        "has " + std::to_string(value.size()) + " bytes, fewer than a header");
  const auto format = std::to_integer<unsigned>(value[0]);
  if (format > record_format)
    return damaged_record(first_sequence,
                          "has format " + std::to_string(format) +
                              ", newer than this program knows (" +
                              std::to_string(record_format) +
                              "): this log is newer than this program");
  if (format != record_format || load<std::uint32_t>(value.data()) != format)
    return damaged_record(first_sequence, "does not start like a record");
  Record record;
  record.first_sequence = first_sequence;
  record.count = load<std::uint32_t>(value.data() + count_offset);
  record.epoch = load<std::uint64_t>(value.data() + epoch_offset);
  std::memcpy(record.hash.data(), value.data() + hash_offset,
              record.hash.size());
  record.events = value.subspan(record_header_bytes);
  const std::uint64_t room =
      std::numeric_limits<std::uint64_t>::max() - first_sequence;
  const bool sized =
      record.count != 0 && record.count <= room &&
      record.events.size() % event_alignment_bytes == 0 &&
      record.events.size() / event_alignment_bytes >= record.count &&
      first_sequence != 0;
  if (!sized)
    return damaged_record(first_sequence,
                          "claims " + std::to_string(record.count) +
                              " events in " +
                              std::to_string(record.events.size()) + " bytes");
  return record;
}

Hash chain_hash(const Hash& previous, const Record& record) {
  std::array<std::byte, hash_offset> prefix;
  write_prefix(prefix.data(), record.epoch, record.count);
  return hash_record(previous, record.first_sequence, prefix.data(),
                     record.events);
}

Hash hash_parts(std::span<const std::span<const std::byte>> parts) {
  start_library();
  crypto_generichash_state state;
  Hash hash;
  crypto_generichash_init(&state, nullptr, 0, hash.size());
  for (const auto part : parts)
    crypto_generichash_update(&state, raw(part.data()), part.size());
  crypto_generichash_final(
      &state, reinterpret_cast<unsigned char*>(hash.data()), hash.size());
  return hash;
}

RecordKey make_record_key(std::uint64_t first_sequence) {
  const std::uint64_t big_endian = __builtin_bswap64(first_sequence);
  RecordKey key;
  std::memcpy(key.data(), &big_endian, key.size());
  return key;
}

Expected<std::uint64_t> parse_record_key(std::span<const char> key) {
  if (key.size() != sizeof(std::uint64_t))
    return fail(Errc::damaged, "the log holds a key of " +
                                   std::to_string(key.size()) +
                                   " bytes: it was not written by Reeve");
  std::uint64_t big_endian;
  std::memcpy(&big_endian, key.data(), sizeof(big_endian));
  return __builtin_bswap64(big_endian);
}

std::string short_hex(const Hash& hash) {
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto value = std::to_integer<unsigned>(hash[i]);
    text += "0123456789abcdef"[value >> 4];
    text += "0123456789abcdef"[value & 15];
  }
  return text;
}

}  // namespace reeve::store

// The answer to a request for a range of the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "actors/journal/core.hpp"
#include "cluster/error.hpp"
#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::journal {

// Whole events, back to back.
struct Chunk {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::vector<std::byte> events;
};

// The events of a record that are in the range; false: no more fit.
inline bool take_events(const store::Record& record, const Range& range,
                        Chunk& chunk) {
  std::uint64_t sequence = record.first_sequence;
  store::EventCursor cursor(record.events);
  while (auto event = cursor.next()) {
    const std::uint64_t at = sequence++;
    if (at < range.from) continue;
    if (at > range.to ||
        (chunk.count > 0 &&
         chunk.events.size() + event->size() > range.bytes_max))
      return false;
    if (chunk.count++ == 0) chunk.first = at;
    chunk.events.insert(chunk.events.end(), event->begin(), event->end());
  }
  return true;
}

inline std::vector<std::byte> encode_chunk(std::uint64_t head,
                                           const Chunk& chunk,
                                           const Status& scanned) {
  flatbuffers::FlatBufferBuilder builder(chunk.events.size() + 256);
  builder.ForceVectorAlignment(chunk.events.size(), 1, 8);
  const auto list = builder.CreateVector(
      reinterpret_cast<const std::uint8_t*>(chunk.events.data()),
      chunk.events.size());
  const auto error = scanned ? 0 : builder.CreateString(scanned.error().text);
  const auto bytes =
      schema::finish(builder, schema::CreateLogChunk(builder, head, chunk.first,
                                                     chunk.count, list, error));
  return {bytes.begin(), bytes.end()};
}

// `Log` gives scan() as store::LogReader does; `head` is its last event.
template <class Log>
std::vector<std::byte> answer_read(Log& log, const schema::LogRead& read,
                                   std::uint64_t head) {
  const Range range =
      bounded_range(read.from_seq(), read.to_seq(), read.bytes_max(), head);
  Chunk chunk;
  Status scanned;
  if (range.to >= range.from)
    scanned = log.scan(range.from, range.to, [&](const store::Record& record) {
      return take_events(record, range, chunk);
    });
  return encode_chunk(head, chunk, scanned);
}

}  // namespace reeve::journal

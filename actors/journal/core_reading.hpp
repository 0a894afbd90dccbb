// The answer to a request for a range of the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "actors/journal/core.hpp"
#include "cluster/error.hpp"
#include "schema/wire.hpp"
#include "store/record_run.hpp"

namespace reeve::journal {

// Whole events, or whole records (store/record_run.hpp), back to back.
struct Chunk {
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // of events, either way
  std::vector<std::byte> bytes;
};

// The events of a record that are in the range; false: no more fit.
inline bool take_events(const store::Record& record, const Range& range,
                        Chunk& chunk) {
  std::uint64_t sequence = record.first_sequence;
  store::EventCursor cursor(record.events);
  while (auto event = cursor.next()) {
    const std::uint64_t at = sequence++;
    if (at < range.from) continue;
    if (at > range.to || (chunk.count > 0 &&
                          chunk.bytes.size() + event->size() > range.bytes_max))
      return false;
    if (chunk.count++ == 0) chunk.first = at;
    chunk.bytes.insert(chunk.bytes.end(), event->begin(), event->end());
  }
  return true;
}

// The record as a whole; false: no more fit. One is always taken, unless no
// message could carry it: then there is a sentence in `fits`.
inline bool take_record(const store::Record& record, const Range& range,
                        Chunk& chunk, Status& fits) {
  const std::size_t bytes = store::bytes_in_run(record);
  if (chunk.count > 0 && chunk.bytes.size() + bytes > range.bytes_max)
    return false;
  if (bytes > record_in_chunk_bytes_max) {
    if (chunk.count == 0)
      fits = fail(
          Errc::unsupported,
          "the commit of events " + std::to_string(record.first_sequence) +
              " to " + std::to_string(record.last_sequence()) + " has " +
              std::to_string(bytes) + " bytes and fits no message (bound: " +
              std::to_string(record_in_chunk_bytes_max) +
              "): copy the log with \"reeve log export\"");
    return false;
  }
  if (chunk.count == 0) chunk.first = record.first_sequence;
  chunk.count += record.count;
  store::append_to_run(chunk.bytes, record);
  return true;
}

enum class ChunkOf { events, records };

inline std::vector<std::byte> encode_chunk(std::uint64_t head, ChunkOf what,
                                           const Chunk& chunk,
                                           const Status& read) {
  flatbuffers::FlatBufferBuilder builder(chunk.bytes.size() + 256);
  builder.ForceVectorAlignment(chunk.bytes.size(), 1, 8);
  const auto list = builder.CreateVector(
      reinterpret_cast<const std::uint8_t*>(chunk.bytes.data()),
      chunk.bytes.size());
  const auto error = read ? 0 : builder.CreateString(read.error().text);
  schema::LogChunkBuilder answer(builder);
  answer.add_head_seq(head);
  answer.add_first_seq(chunk.first);
  answer.add_count(chunk.count);
  if (what == ChunkOf::events)
    answer.add_events(list);
  else
    answer.add_records(list);
  if (!read) answer.add_error(error);
  const auto bytes = schema::finish(builder, answer.Finish());
  return {bytes.begin(), bytes.end()};
}

// `Log` gives scan() as store::LogReader does; `head` is its last event.
template <class Log>
std::vector<std::byte> answer_read(Log& log, const schema::LogRead& read,
                                   std::uint64_t head) {
  const Range range =
      bounded_range(read.from_seq(), read.to_seq(), read.bytes_max(), head);
  const ChunkOf what = read.records() ? ChunkOf::records : ChunkOf::events;
  Chunk chunk;
  Status done;
  Status fits;
  if (range.to >= range.from)
    done = log.scan(range.from, range.to, [&](const store::Record& record) {
      return what == ChunkOf::records ? take_record(record, range, chunk, fits)
                                      : take_events(record, range, chunk);
    });
  return encode_chunk(head, what, chunk, done ? fits : done);
}

}  // namespace reeve::journal

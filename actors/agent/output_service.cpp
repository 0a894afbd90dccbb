#include "actors/agent/output_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "actors/agent/keeper/output.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
namespace {

namespace fs = std::filesystem;

struct Chunk {
  keeper::TaskKey key;
  std::uint8_t stream = 1;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
  std::uint64_t available_from = 0;
  bool finished = false;
  std::string_view data;
  std::string_view error;
};

std::vector<std::byte> encode(const Chunk& chunk) {
  flatbuffers::FlatBufferBuilder builder(chunk.data.size() + 256);
  const auto data =
      chunk.data.empty()
          ? 0
          : builder.CreateVector(
                reinterpret_cast<const std::uint8_t*>(chunk.data.data()),
                chunk.data.size());
  const auto error =
      chunk.error.empty()
          ? 0
          : builder.CreateString(chunk.error.data(), chunk.error.size());
  const auto bytes = schema::finish(
      builder, schema::CreateOutputChunk(
                   builder, chunk.key.session, chunk.key.attempt,
                   chunk.key.rank, chunk.stream, chunk.offset, chunk.end,
                   chunk.available_from, chunk.finished, data, error));
  return {bytes.begin(), bytes.end()};
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

keeper::TaskKey key_of(const schema::OutputRead& read) {
  return {read.session(), read.attempt(), read.rank()};
}

}  // namespace

std::uint64_t output_end(const std::string& directory,
                         const keeper::TaskKey& key, keeper::Stream stream) {
  const std::string head = keeper::output_path(directory, key, stream);
  std::uint64_t end = size_of(head);
  // There may be no head: its bytes may have been dropped.
  // The newest piece of the tail is named by the offset of its first byte.
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(head + ".tail", error)) {
    const std::string name = entry.path().filename().string();
    std::uint64_t start = 0;
    const auto parsed =
        std::from_chars(name.data(), name.data() + name.size(), start);
    if (parsed.ec == std::errc{})
      end = std::max(end, start + size_of(entry.path()));
  }
  return end;
}

std::vector<std::byte> live_chunk(const keeper::Output& output) {
  Chunk chunk;
  chunk.key = output.key;
  chunk.stream = static_cast<std::uint8_t>(output.stream);
  chunk.offset = output.offset;
  chunk.end = output.offset + output.bytes.size();
  chunk.data = output.bytes;
  return encode(chunk);
}

std::vector<std::byte> last_chunk(const std::string& directory,
                                  const keeper::TaskKey& key,
                                  keeper::Stream stream) {
  Chunk chunk;
  chunk.key = key;
  chunk.stream = static_cast<std::uint8_t>(stream);
  chunk.end = output_end(directory, key, stream);
  chunk.offset = chunk.end;
  chunk.finished = true;
  return encode(chunk);
}

std::vector<std::byte> read_chunk(const std::string& directory,
                                  const schema::OutputRead& read, bool ended) {
  if (read.stream() != 1 && read.stream() != 2)
    return refused_chunk(read, fmt::format("there is no stream {}: 1 is the "
                                           "output, 2 the errors",
                                           read.stream()));
  const auto stream = static_cast<keeper::Stream>(read.stream());
  const std::size_t bytes_max =
      read.bytes_max() == 0
          ? output_read_bytes_max
          : std::min<std::size_t>(read.bytes_max(), output_read_bytes_max);
  const auto piece = keeper::read_output(directory, key_of(read), stream,
                                         read.offset(), bytes_max);
  if (!piece) return refused_chunk(read, piece.error().text);
  if (ended && piece->bytes.empty() &&
      keeper::output_is_gone(directory, key_of(read)))
    return refused_chunk(read,
                         "it is no longer kept on its node, where it made room "
                         "for newer output (agent.kept_output_bytes_max)");
  Chunk chunk;
  chunk.key = key_of(read);
  chunk.stream = read.stream();
  chunk.offset = piece->offset;
  chunk.end = std::max(output_end(directory, chunk.key, stream),
                       piece->offset + piece->bytes.size());
  // What lies between was dropped.
  chunk.available_from = piece->offset > read.offset() ? piece->offset : 0;
  chunk.finished = ended;
  chunk.data = piece->bytes;
  return encode(chunk);
}

std::vector<std::byte> refused_chunk(const schema::OutputRead& read,
                                     const std::string& why) {
  Chunk chunk;
  chunk.key = key_of(read);
  chunk.stream = read.stream();
  chunk.offset = read.offset();
  chunk.error = why;
  return encode(chunk);
}

}  // namespace reeve::agent

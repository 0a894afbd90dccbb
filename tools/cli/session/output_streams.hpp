// Puts the pieces of a session's output together: live pieces may be lost,
// doubled or early, what a person sees is each byte once, in order. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace reeve::tools {

// One of a task's two streams: 1 is standard output, 2 standard error.
struct StreamKey {
  std::uint32_t rank = 0;
  std::uint8_t stream = 1;
  auto operator<=>(const StreamKey&) const = default;
};

struct Piece {
  StreamKey key;
  std::uint32_t attempt = 1;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;             // bytes written so far
  std::uint64_t available_from = 0;  // the first that is still kept
  bool finished = false;             // nothing comes after `end`
  std::string_view data;
};

class OutputStreams {
 public:
  struct Taken {
    // New bytes, to be shown now. A view into the piece.
    std::string_view data;
    // Bytes that no longer exist, just before `data`.
    std::uint64_t dropped_bytes = 0;
    // What lies before the piece must be read first; the piece was not taken.
    bool gap = false;
  };

  // A piece of a later attempt starts all streams anew; one of an earlier
  // attempt is passed over.
  Taken take(const Piece& piece);

  // The next byte to show.
  std::uint64_t offset(StreamKey key) const;
  bool complete(StreamKey key) const;
  std::uint32_t attempt() const { return attempt_; }
  void begin_attempt(std::uint32_t attempt);

 private:
  struct Stream {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> final_end;
  };
  std::uint32_t attempt_ = 0;
  std::map<StreamKey, Stream> streams_;
};

}  // namespace reeve::tools

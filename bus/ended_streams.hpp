// When a bus server that ended its streams is started anew.
//
// A server whose disk was full, or whose files went away under it, lives on
// without its streams or with a group that writes nothing any more, and never
// opens them again by itself. Its log alone says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "bus/backoff.hpp"

namespace reeve::bus {

// The room on its disk with which such a server begins anew.
inline constexpr std::uintmax_t streams_room_bytes = 8 << 20;

// Between the starts of one that goes on to end its streams.
inline constexpr RetryOptions streams_anew_waits{
    std::chrono::milliseconds(5'000), std::chrono::milliseconds(300'000)};

// Pure: the time and the random number come in.
class EndedStreams {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  // Whether the server is to be started anew now. `said`: what came to its log
  // since the last look; `room_bytes`: what is free on its disk.
  bool is_start_due(std::string_view said, std::uintmax_t room_bytes,
                    Moment now, std::uint32_t random);

 private:
  void hear(std::string_view said);

  bool ended_ = false;
  Backoff waits_{streams_anew_waits};
  Moment not_before_;
};

}  // namespace reeve::bus

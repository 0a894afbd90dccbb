// The stream as each manager opens it, to follow it and then to lead.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "actors/system/clock.hpp"
#include "bus/stream.hpp"

namespace reeve::member {

// `extends_until`, by the monotonic clock, outlives it: after that, see
// Core::extends_until, no record is sent, as another manager may lead. Else a
// late one would be stored where bus servers have lost the other's.
inline Expected<std::unique_ptr<bus::Stream>> open_cell_stream(
    bus::Connection& connection, std::string_view cell, int replicas,
    std::chrono::milliseconds open_timeout,
    const std::atomic<std::uint64_t>& extends_until) {
  bus::StreamOptions how;
  how.replicas = replicas;
  how.grow = false;
  how.open_timeout = open_timeout;
  how.may_send = [&extends_until] {
    return actors::monotonic().value <= extends_until;
  };
  return bus::Stream::open(connection, cell, how);
}

}  // namespace reeve::member

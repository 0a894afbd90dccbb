#include "tools/daemon/links.hpp"

#include <spdlog/spdlog.h>

#include <tuple>

namespace reeve::tools {
namespace {

using namespace std::chrono_literals;

constexpr auto flush_timeout = 2s;

// All nodes lose their bus at one moment, and a server greets some hundreds a
// second: who gave up while it waits in line would only line up again.
constexpr bus::RetryOptions node_reconnect{2s, 5s};
constexpr auto node_connect_timeout = 10s;

Expected<std::unique_ptr<bus::Connection>> connect(
    bus::ConnectionOptions how, const bus::Credentials& credentials,
    const char* name) {
  how.credentials = credentials;
  how.name = name;
  how.on_error = [](const Error& error) {
    spdlog::warn("bus: {}", error.text);
  };
  return bus::Connection::connect(how);
}

}  // namespace

Expected<Links> Links::open(const bus::Credentials& credentials) {
  Links links;
  for (auto [connection, name, low_latency] :
       {std::tuple{&links.events, "events", false},
        std::tuple{&links.answers, "answers", true},
        std::tuple{&links.requests, "requests", false}}) {
    bus::ConnectionOptions how;
    how.low_latency = low_latency;
    how.handlers_on_reader = true;
    auto connected = connect(std::move(how), credentials, name);
    if (!connected) return tl::unexpected(connected.error());
    *connection = std::move(*connected);
  }
  return links;
}

Expected<Links> Links::open_node(const bus::Credentials& credentials,
                                 std::function<void()> on_sent_away) {
  Links links;
  // The library tells of an end whoever ended it.
  const auto on_state = [leaving = links.leaving_,
                         on_sent_away](bus::State state) {
    if (state == bus::State::closed && !*leaving && on_sent_away)
      on_sent_away();
  };
  for (auto [connection, name, low_latency] :
       {std::tuple{&links.events, "events", false},
        std::tuple{&links.answers, "answers", true}}) {
    bus::ConnectionOptions how;
    how.low_latency = low_latency;
    how.handlers_on_reader = true;
    how.on_state = on_state;
    how.connect_timeout = node_connect_timeout;
    how.reconnect = node_reconnect;
    auto connected = connect(std::move(how), credentials, name);
    if (!connected) {
      *links.leaving_ = true;
      return tl::unexpected(connected.error());
    }
    *connection = std::move(*connected);
  }
  return links;
}

Status Links::open_members(const bus::Credentials& credentials) {
  // A manager that has ended is found by that nobody listens in its place.
  bus::ConnectionOptions how;
  how.low_latency = true;
  how.handlers_on_reader = false;
  auto connected = connect(std::move(how), credentials, "members");
  if (!connected) return tl::unexpected(connected.error());
  members = std::move(*connected);
  return {};
}

void Links::close_requests() {
  *leaving_ = true;
  requests.reset();
}

void Links::close() {
  close_requests();
  for (auto* connection : {&events, &answers}) {
    if (*connection) (void)(*connection)->flush(flush_timeout);
    connection->reset();
  }
}

}  // namespace reeve::tools

// Many commands in flight at once over one connection, for load: a window
// bounds them, each is sent again until answered, each reply goes to its own
// callback.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

class Client;

struct PipelineOptions {
  std::size_t in_flight_max = 1'024;
  // How long one command is tried before its callback gets Errc::unreachable.
  std::chrono::milliseconds timeout{60'000};
};

class Pipeline {
 public:
  // The verified schema::Reply, or why there is none. Called once per command
  // on a library thread; it must not submit to this pipeline.
  using OnReply = std::function<void(Expected<Buffer>)>;

  // `client` (and its connection) outlives the pipeline.
  explicit Pipeline(Client& client, PipelineOptions options = {});
  // Those still in flight get Errc::unreachable: their outcome is unknown.
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Blocks while the window is full. `command` is copied.
  Status submit(Bytes command, OnReply on_reply);

  // Waits until nothing is in flight; Errc::unreachable after `timeout`.
  Status drain(std::chrono::milliseconds timeout);

  std::size_t in_flight() const;
  std::uint64_t resent() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace reeve::bus

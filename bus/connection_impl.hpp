// What a Connection is inside, shared by its two sources: connection.cpp sends,
// connection_receive.cpp sets up, subscribes and hears.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/connection.hpp"
#include "bus/replies.hpp"
#include "bus/socket_loop.hpp"

namespace reeve::bus {

// What the library's status means to who called us; `what` names the try.
Error error_of(natsStatus status, const std::string& what);
inline tl::unexpected<Error> failure(natsStatus status,
                                     const std::string& what) {
  return tl::unexpected<Error>(error_of(status, what));
}

struct Connection::Impl {
  struct Subscription {
    Impl* owner = nullptr;
    Handler handler;
    natsSubscription* handle = nullptr;
  };

  explicit Impl(const ConnectionOptions& given);
  ~Impl();

  natsStatus configure(natsOptions* to);
  Status subscribe(const std::string& pattern, Handler handler,
                   const SubscribeOptions& limits);
  Status ensure_inbox();
  enum class Write { now, soon, on_send };
  Write usual() const { return options.low_latency ? Write::now : Write::soon; }
  Status publish(const std::string& subject, const char* reply, Bytes data,
                 Write when);
  natsStatus hand_to_library(const std::string& subject, const char* reply,
                             Bytes data);
  void make_room();
  natsStatus open_subscription(Subscription& to, const std::string& pattern);
  void run_handlers();
  void report(const Error& error) const {
    if (options.on_error) options.on_error(error);
  }

  static void on_message(natsConnection*, natsSubscription*, natsMsg* message,
                         void* closure) noexcept;
  static void on_complete(void* closure) noexcept;
  static void on_error(natsConnection* from, natsSubscription*,
                       natsStatus status, void* closure) noexcept;
  static void on_disconnected(natsConnection*, void* closure) noexcept;
  static void on_reconnected(natsConnection*, void* closure) noexcept;
  static void on_closed(natsConnection*, void* closure) noexcept;
  void tell(State state) const {
    if (options.on_state) options.on_state(state);
  }

  const ConnectionOptions options;
  Replies replies;
  natsConnection* handle = nullptr;

  // Guards the lists and what the destructor waits for.
  mutable std::mutex mutex;
  std::condition_variable ended;
  std::list<Subscription> subscriptions;  // addresses are the closures
  std::vector<Subscription*> read_here;   // those without a thread
  std::size_t live_subscriptions = 0;     // those with one
  bool closed = false;

  std::mutex inbox_mutex;
  std::atomic<bool> inbox_open{false};

  std::atomic<std::uint64_t> published{0}, published_bytes{0};
  std::atomic<std::uint64_t> publish_failures{0}, received{0};
  std::atomic<std::uint64_t> received_bytes{0}, reconnects{0};
  std::atomic<std::uint64_t> slow_consumers{0}, violations{0};
  std::atomic<std::uint64_t> late_replies{0};

  std::unique_ptr<SocketLoop> loop;  // last: its thread uses the others
};

}  // namespace reeve::bus

// What a Connection is inside, shared by its two sources: connection.cpp sends,
// connection_receive.cpp sets up, subscribes and hears.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
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

  Status check();  // of what the credentials say
  natsStatus configure(natsOptions* to);
  natsStatus open(natsOptions* configured);
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
  // For who reads it by itself. It is unsubscribed by its reader and lives as
  // long as the connection, as all do.
  natsStatus open_inbox(const std::string& pattern, natsSubscription** to);
  // One that nothing was asked to come to: for the next who wants one.
  struct Inbox {
    std::string name;
    natsSubscription* handle = nullptr;
  };
  void give_back(Inbox inbox);
  std::optional<Inbox> take_given_back();
  natsStatus open_subscription(Subscription& to, const std::string& pattern,
                               const std::string& queue);
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
  static std::int64_t on_reconnect_wait(natsConnection*, int attempt,
                                        void* closure) noexcept;
  static natsStatus on_sign(char** error, unsigned char** signature,
                            int* signature_bytes, const char* nonce,
                            void* closure) noexcept;
  static void on_closed(natsConnection*, void* closure) noexcept;
  void tell(State state) const {
    if (options.on_state) options.on_state(state);
  }

  const ConnectionOptions options;
  const bool tls;
  std::string public_key;
  // The library cannot send a signature that begins with a zero byte: the
  // server is asked for something else to sign.
  std::atomic<bool> unlucky{false};
  Replies replies;
  natsConnection* handle = nullptr;

  // Guards the lists and what the destructor waits for.
  mutable std::mutex mutex;
  std::condition_variable ended;
  std::list<Subscription> subscriptions;  // addresses are the closures
  std::vector<Subscription*> read_here;   // those without a thread
  std::size_t live_subscriptions = 0;     // those with one
  std::vector<Inbox> given_back;
  bool closed = false;

  std::mutex answering_mutex;
  std::string answering;  // see answering_server

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

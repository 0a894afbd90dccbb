// One connection to the bus. Every member function may be called from any
// thread. Handlers run on other threads, in the order of arrival; they hand the
// message on (an actor's mailbox) and return.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "bus/credentials.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// The server refuses larger messages (its max_payload), and so do we.
inline constexpr std::size_t message_bytes_max = 1 << 20;
// What may wait for the socket; who publishes more waits, too.
inline constexpr int write_buffer_bytes_max = 4 << 20;
// What `publish` may hold while the server is away; beyond it, Errc::busy.
inline constexpr int reconnect_buffer_bytes = 8 << 20;

// With TLS, a server that neither says a word nor takes one for so long is
// gone: the connection is made anew, maybe to another.
inline constexpr std::chrono::milliseconds silence_max{40'000};

enum class State { connected, disconnected, reconnected, closed };

struct ConnectionOptions {
  // Where to, as whom, and what its servers are known by.
  Credentials credentials;
  std::string name;  // what the server shows for this connection
  // Each publish is written at once by its own thread: for requests. Without
  // it the connection's thread writes, many small messages at a time.
  bool low_latency = false;
  // Handlers run on the thread that reads: one change of threads less for each
  // message. None may block then. Without it each subscription has a thread,
  // which may be slow, and loses messages beyond its bounds. With it, nobody is
  // told that nobody listens (Delivery::no_responders).
  bool handlers_on_reader = false;
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds silence = silence_max;  // with TLS
  // When a lost connection is made again (reconnect_after). With several
  // servers the others are tried at once, and this is between two rounds.
  RetryOptions reconnect{std::chrono::milliseconds(300),
                         std::chrono::milliseconds(300)};
  // Called on a library thread; `connected` on the one that connects.
  std::function<void(State)> on_state;
  std::function<void(const Error&)> on_error;
};

// What may wait for a handler; beyond it messages are dropped and counted.
struct SubscribeOptions {
  int pending_messages_max = 65'536;
  int pending_bytes_max = 64 << 20;
  // Each message goes to one alone of those who subscribe with this name;
  // empty: to all.
  std::string queue;
};

struct Stats {
  std::uint64_t published = 0;
  std::uint64_t published_bytes = 0;
  std::uint64_t publish_failures = 0;
  std::uint64_t received = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t dropped = 0;  // over a subscription's bounds
  std::uint64_t reconnects = 0;
  std::uint64_t slow_consumers = 0;  // times a subscription began to drop
  std::uint64_t permission_violations = 0;
  std::uint64_t late_replies = 0;  // to a reply subject that was closed
};

class Connection {
 public:
  using Handler = std::function<void(const Message&)>;

  // Errc::unreachable if no server answers there, Errc::rejected if it does
  // not know the key or shows a certificate of another cell. A connection that
  // was made once reconnects by itself, to any of the urls, until a server
  // says twice that it does not know the key: it is closed then.
  static Expected<std::unique_ptr<Connection>> connect(
      const ConnectionOptions& options);

  // Ends all handlers: none runs after it returned. Not to be called from a
  // handler. Flush first if what was published must arrive.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Success means buffered, not delivered.
  Status publish(std::string_view subject, Bytes data);
  Status publish_request(std::string_view subject,
                         std::string_view reply_subject, Bytes data);
  // As `publish`, but nothing is woken to write it until `send`: for many in
  // one write. What the connection writes for another reason takes it along.
  Status queue(std::string_view subject, Bytes data);
  void send();

  // One try, blocking. Errc::unreachable when nobody answers within `timeout`
  // or nobody is subscribed; Errc::rejected when the server forbids it.
  Expected<Buffer> request(std::string_view subject, Bytes data,
                           std::chrono::milliseconds timeout);

  // A new reply subject for requests to `subject`; the handler gets what
  // arrives there, including the server's refusals (Message::delivery), until
  // `close_reply`. A handler that runs during close_reply may still finish.
  Expected<std::string> open_reply(std::string_view subject, Handler handler);
  void close_reply(std::string_view reply_subject);

  // Lives as long as the connection: the library cannot end a subscription
  // that receives without ending the connection.
  Status subscribe(const std::string& pattern, Handler handler,
                   const SubscribeOptions& options = {});

  // Returns when the server has processed all that was published before.
  Status flush(std::chrono::milliseconds timeout);

  bool connected() const;
  Stats stats() const;

  // Leaves this server for another of its list, as if it had ended: for
  // whoever was answered through the one at `answering`, where it is given.
  // False: there is no other.
  bool change_server(const std::string& answering = {});
  // The url told last by `change_server`, unless it has answered itself since;
  // then, or without one, `server`.
  std::string answering_server() const;
  void answers_here();
  // The url of the one that it is connected to; empty: there is none.
  std::string server() const;
  // Of its list, those that it is not connected to.
  std::vector<std::string> other_servers() const;
  // One more by the same credentials, to that server alone.
  Expected<std::unique_ptr<Connection>> beside(
      const std::string& url, std::chrono::milliseconds connect_timeout) const;

 private:
  friend class JetStream;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::bus

#include "bus/connection.hpp"

#include <fmt/format.h>
#include <nats/nats.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "bus/replies.hpp"
#include "bus/sanitizer.hpp"
#include "bus/socket_loop.hpp"
#include "bus/subject.hpp"
#include "cluster/check.hpp"

namespace reeve::bus {
namespace {

constexpr std::int64_t ping_interval_ms = 10'000;
constexpr int pings_unanswered_max = 3;

Error error_of(natsStatus status, const std::string& what) {
  const std::string text =
      fmt::format("{}: {}", what, natsStatus_GetText(status));
  switch (status) {
    case NATS_NO_SERVER:
    case NATS_TIMEOUT:
    case NATS_NO_RESPONDERS:
    case NATS_IO_ERROR:
    case NATS_NOT_YET_CONNECTED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_CONNECTION_CLOSED: return {Errc::unreachable, text};
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED: return {Errc::rejected, text};
    case NATS_SLOW_CONSUMER:
    case NATS_INSUFFICIENT_BUFFER: return {Errc::busy, text};
    case NATS_INVALID_SUBJECT:
    case NATS_ADDRESS_MISSING:
    case NATS_INVALID_ARG: return {Errc::usage, text};
    default: return {Errc::io, text};
  }
}

tl::unexpected<Error> failure(natsStatus status, const std::string& what) {
  return tl::unexpected<Error>(error_of(status, what));
}

std::string unique_inbox(std::string_view principal) {
  std::random_device random;
  return fmt::format("{}.{:08x}{:08x}", inbox_prefix(principal), random(),
                     random());
}

bool no_responders(natsMsg* message) {
  if (natsMsg_GetDataLength(message) != 0) return false;
  const char* value = nullptr;
  return natsMsgHeader_Get(message, "Status", &value) == NATS_OK &&
         value != nullptr && std::strcmp(value, "503") == 0;
}

// The subject in: Permissions Violation for Publish to "subject".
std::string_view refused_subject(std::string_view text) {
  if (text.find("ublish") == std::string_view::npos) return {};
  const std::size_t open = text.find('"');
  if (open == std::string_view::npos) return {};
  const std::size_t close = text.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

}  // namespace

struct Connection::Impl {
  struct Subscription {
    Impl* owner = nullptr;
    Handler handler;
    natsSubscription* handle = nullptr;
  };

  explicit Impl(const ConnectionOptions& given)
      : options(given),
        replies(unique_inbox(given.user)),
        loop(std::make_unique<SocketLoop>([this] { run_handlers(); })) {}
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

natsStatus Connection::Impl::configure(natsOptions* to) {
  natsStatus status = NATS_OK;
  const auto set = [&status](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  set(natsOptions_SetURL(to, options.url.c_str()));
  if (!options.user.empty())
    set(natsOptions_SetUserInfo(to, options.user.c_str(),
                                options.password.c_str()));
  set(natsOptions_SetName(to, options.name.c_str()));
  set(natsOptions_SetTimeout(to, options.connect_timeout.count()));
  set(natsOptions_SetAllowReconnect(to, true));
  set(natsOptions_SetMaxReconnect(to, -1));
  set(natsOptions_SetReconnectWait(to, reconnect_wait.count()));
  set(natsOptions_SetReconnectJitter(to, reconnect_jitter.count(),
                                     reconnect_jitter.count()));
  set(natsOptions_SetReconnectBufSize(to, reconnect_buffer_bytes));
  set(natsOptions_SetPingInterval(to, ping_interval_ms));
  set(natsOptions_SetMaxPingsOut(to, pings_unanswered_max));
  set(natsOptions_SetIgnoreDiscoveredServers(to, true));
  set(natsOptions_SetSendAsap(to, true));
  set(natsOptions_SetErrorHandler(to, on_error, this));
  set(natsOptions_SetDisconnectedCB(to, on_disconnected, this));
  set(natsOptions_SetReconnectedCB(to, on_reconnected, this));
  set(natsOptions_SetClosedCB(to, on_closed, this));
  loop->attach_to(to);
  return status;
}

// The library may only forget a subscription after its connection is closed
// (destroying a live one is a crash), and our closures may only go after its
// threads said that they are done.
Connection::Impl::~Impl() {
  if (handle == nullptr) return;
  natsConnection_Close(handle);
  {
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return closed && live_subscriptions == 0; });
  }
  loop.reset();
  for (Subscription& subscription : subscriptions)
    natsSubscription_Destroy(subscription.handle);
  natsConnection_Destroy(handle);
}

void Connection::Impl::on_message(natsConnection*, natsSubscription*,
                                  natsMsg* raw, void* closure) noexcept {
  take_over(closure);
  auto& subscription = *static_cast<Subscription*>(closure);
  Impl& self = *subscription.owner;
  const char* reply = natsMsg_GetReply(raw);
  const auto size = static_cast<std::size_t>(natsMsg_GetDataLength(raw));
  Message message = Message::copy(
      natsMsg_GetSubject(raw), reply ? reply : "",
      {reinterpret_cast<const std::byte*>(natsMsg_GetData(raw)), size});
  if (no_responders(raw)) message.delivery = Delivery::no_responders;
  natsMsg_Destroy(raw);
  self.received.fetch_add(1, std::memory_order_relaxed);
  self.received_bytes.fetch_add(size, std::memory_order_relaxed);
  subscription.handler(message);
}

void Connection::Impl::on_complete(void* closure) noexcept {
  take_over(closure);
  Impl& self = *static_cast<Subscription*>(closure)->owner;
  const std::lock_guard lock(self.mutex);
  --self.live_subscriptions;
  self.ended.notify_all();
}

void Connection::Impl::on_error(natsConnection* from, natsSubscription* sub,
                                natsStatus status, void* closure) noexcept {
  take_over(closure);
  Impl& self = *static_cast<Impl*>(closure);
  const char* last = nullptr;
  natsConnection_GetLastError(from, &last);
  const std::string text = last ? last : "";
  if (status == NATS_SLOW_CONSUMER && sub != nullptr) {
    self.slow_consumers.fetch_add(1);
    int messages = 0;
    int bytes = 0;
    natsSubscription_GetPendingLimits(sub, &messages, &bytes);
    self.report(
        {Errc::busy,
         fmt::format("too slow for {}: over {} messages or {} bytes "
                     "waiting, more are dropped",
                     natsSubscription_GetSubject(sub), messages, bytes)});
    return;
  }
  if (status == NATS_NOT_PERMITTED) {
    self.violations.fetch_add(1);
    self.replies.refuse(refused_subject(text));
    self.report(
        {Errc::rejected, fmt::format("{} may not do this on the bus: {}",
                                     self.options.user, text)});
    return;
  }
  self.report(error_of(status, "bus connection: " + text));
}

void Connection::Impl::on_disconnected(natsConnection*,
                                       void* closure) noexcept {
  take_over(closure);
  static_cast<Impl*>(closure)->tell(State::disconnected);
}

void Connection::Impl::on_reconnected(natsConnection*, void* closure) noexcept {
  take_over(closure);
  Impl& self = *static_cast<Impl*>(closure);
  self.reconnects.fetch_add(1);
  self.tell(State::reconnected);
}

void Connection::Impl::on_closed(natsConnection*, void* closure) noexcept {
  take_over(closure);
  Impl& self = *static_cast<Impl*>(closure);
  self.tell(State::closed);
  const std::lock_guard lock(self.mutex);
  self.closed = true;
  self.ended.notify_all();
}

Status Connection::Impl::subscribe(const std::string& pattern, Handler handler,
                                   const SubscribeOptions& limits) {
  if (!valid_pattern(pattern))
    return fail(Errc::usage, fmt::format("'{}' is no subject", pattern));
  const std::lock_guard lock(mutex);
  subscriptions.push_back({this, std::move(handler), nullptr});
  Subscription& made = subscriptions.back();
  natsStatus status = open_subscription(made, pattern);
  if (status != NATS_OK) {
    subscriptions.pop_back();
    return failure(status, fmt::format("subscribe to {}", pattern));
  }
  status = natsSubscription_SetPendingLimits(
      made.handle, limits.pending_messages_max, limits.pending_bytes_max);
  if (status != NATS_OK)
    return failure(status, fmt::format("limits of {}", pattern));
  return {};
}

// With `mutex` held.
natsStatus Connection::Impl::open_subscription(Subscription& to,
                                               const std::string& pattern) {
  const SocketLoop::Writing together;
  hand_over(&to);
  if (options.handlers_on_reader) {
    const natsStatus status =
        natsConnection_SubscribeSync(&to.handle, handle, pattern.c_str());
    if (status == NATS_OK) read_here.push_back(&to);
    loop->wake();  // something may have come before it was in the list
    return status;
  }
  natsStatus status = natsConnection_Subscribe(
      &to.handle, handle, pattern.c_str(), on_message, &to);
  if (status == NATS_OK) {
    ++live_subscriptions;
    status = natsSubscription_SetOnCompleteCB(to.handle, on_complete, &to);
    REEVE_CHECK(status == NATS_OK, "a new subscription takes its end handler");
  }
  loop->write();
  return status;
}

// On the loop's thread: what was read for the subscriptions without their own.
void Connection::Impl::run_handlers() {
  for (std::size_t at = 0;; ++at) {
    Subscription* to = nullptr;
    {
      const std::lock_guard lock(mutex);
      if (at >= read_here.size()) return;
      to = read_here[at];
    }
    int waiting = 0;
    int bytes = 0;
    natsSubscription_GetPending(to->handle, &waiting, &bytes);
    for (; waiting > 0; --waiting) {
      natsMsg* message = nullptr;
      if (natsSubscription_NextMsg(&message, to->handle, 0) == NATS_OK)
        on_message(handle, to->handle, message, to);
    }
  }
}

Status Connection::Impl::ensure_inbox() {
  if (inbox_open.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(inbox_mutex);
  if (inbox_open.load()) return {};
  auto status = subscribe(replies.pattern(),
                          [this](const Message& message) {
                            if (!replies.deliver(message))
                              late_replies.fetch_add(1);
                          },
                          {});
  if (status) inbox_open.store(true, std::memory_order_release);
  return status;
}

natsStatus Connection::Impl::hand_to_library(const std::string& subject,
                                             const char* reply, Bytes data) {
  const int size = static_cast<int>(data.size());
  if (reply != nullptr)
    return natsConnection_PublishRequest(handle, subject.c_str(), reply,
                                         data.data(), size);
  return natsConnection_Publish(handle, subject.c_str(), data.data(), size);
}

// The library's own buffer has no bound while an event loop writes.
void Connection::Impl::make_room() {
  while (natsConnection_Buffered(handle) > write_buffer_bytes_max) {
    loop->write();
    if (!loop->await_room()) return;
  }
}

Status Connection::Impl::publish(const std::string& subject, const char* reply,
                                 Bytes data, Write when) {
  if (data.size() > message_bytes_max) {
    publish_failures.fetch_add(1);
    return fail(Errc::usage,
                fmt::format("a message of {} bytes for {} is over the bus's "
                            "bound of {}: send less at a time",
                            data.size(), subject, message_bytes_max));
  }
  natsStatus status = NATS_OK;
  if (when == Write::soon) {
    status = hand_to_library(subject, reply, data);
  } else {
    const SocketLoop::Writing together;
    status = hand_to_library(subject, reply, data);
  }
  if (when == Write::now) loop->write();
  make_room();
  if (status != NATS_OK) {
    publish_failures.fetch_add(1);
    return failure(status, fmt::format("publish on {}", subject));
  }
  published.fetch_add(1, std::memory_order_relaxed);
  published_bytes.fetch_add(data.size(), std::memory_order_relaxed);
  return {};
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Expected<std::unique_ptr<Connection>> Connection::connect(
    const ConnectionOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  hand_over(impl.get());
  natsOptions* configured = nullptr;
  natsStatus status = natsOptions_Create(&configured);
  if (status == NATS_OK) status = impl->configure(configured);
  if (status == NATS_OK)
    status = natsConnection_Connect(&impl->handle, configured);
  natsOptions_Destroy(configured);
  if (status != NATS_OK) {
    impl->handle = nullptr;
    return failure(status, fmt::format("connect to the bus at {} as {}",
                                       options.url, options.user));
  }
  impl->tell(State::connected);
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

Status Connection::publish(std::string_view subject, Bytes data) {
  if (!valid_subject(subject))
    return fail(Errc::usage, fmt::format("'{}' is no subject", subject));
  return impl_->publish(std::string(subject), nullptr, data, impl_->usual());
}

Status Connection::queue(std::string_view subject, Bytes data) {
  if (!valid_subject(subject))
    return fail(Errc::usage, fmt::format("'{}' is no subject", subject));
  return impl_->publish(std::string(subject), nullptr, data,
                        Impl::Write::on_send);
}

void Connection::send() {
  impl_->loop->write();
}

Status Connection::publish_request(std::string_view subject,
                                   std::string_view reply, Bytes data) {
  if (!valid_subject(subject) || !valid_subject(reply))
    return fail(Errc::usage, fmt::format("'{}' answered on '{}': no subject",
                                         subject, reply));
  return impl_->publish(std::string(subject), std::string(reply).c_str(), data,
                        impl_->usual());
}

Expected<std::string> Connection::open_reply(std::string_view subject,
                                             Handler handler) {
  if (auto status = impl_->ensure_inbox(); !status)
    return tl::unexpected(status.error());
  return impl_->replies.open(subject, std::move(handler));
}

void Connection::close_reply(std::string_view reply) {
  impl_->replies.close(reply);
}

Expected<Buffer> Connection::request(std::string_view subject, Bytes data,
                                     std::chrono::milliseconds timeout) {
  struct Wait {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Message> answer;
  };
  auto wait = std::make_shared<Wait>();
  auto reply = open_reply(subject, [wait](const Message& message) {
    const std::lock_guard lock(wait->mutex);
    if (!wait->answer) wait->answer = message;
    wait->arrived.notify_one();
  });
  if (!reply) return tl::unexpected(reply.error());
  auto sent = publish_request(subject, *reply, data);
  std::optional<Message> answer;
  if (sent) {
    std::unique_lock lock(wait->mutex);
    wait->arrived.wait_for(lock, timeout, [&] { return !!wait->answer; });
    answer = wait->answer;
  }
  close_reply(*reply);
  if (!sent) return tl::unexpected(sent.error());
  if (!answer)
    return fail(Errc::unreachable, fmt::format("no answer on {} within {} ms",
                                               subject, timeout.count()));
  if (answer->delivery == Delivery::no_responders)
    return fail(Errc::unreachable, fmt::format("nobody answers {}", subject));
  if (answer->delivery == Delivery::forbidden)
    return fail(Errc::rejected, fmt::format("{} may not publish on {}",
                                            impl_->options.user, subject));
  return answer->buffer();
}

Status Connection::subscribe(const std::string& pattern, Handler handler,
                             const SubscribeOptions& options) {
  return impl_->subscribe(pattern, std::move(handler), options);
}

Status Connection::flush(std::chrono::milliseconds timeout) {
  const natsStatus status =
      natsConnection_FlushTimeout(impl_->handle, timeout.count());
  if (status != NATS_OK)
    return failure(status, fmt::format("flush to {} within {} ms",
                                       impl_->options.url, timeout.count()));
  return {};
}

bool Connection::connected() const {
  return natsConnection_Status(impl_->handle) == NATS_CONN_STATUS_CONNECTED;
}

Stats Connection::stats() const {
  const Impl& from = *impl_;
  Stats stats;
  stats.published = from.published;
  stats.published_bytes = from.published_bytes;
  stats.publish_failures = from.publish_failures;
  stats.received = from.received;
  stats.received_bytes = from.received_bytes;
  stats.reconnects = from.reconnects;
  stats.slow_consumers = from.slow_consumers;
  stats.permission_violations = from.violations;
  stats.late_replies = from.late_replies;
  const std::lock_guard lock(from.mutex);
  for (const auto& subscription : from.subscriptions) {
    std::int64_t dropped = 0;
    if (natsSubscription_GetDropped(subscription.handle, &dropped) == NATS_OK)
      stats.dropped += static_cast<std::uint64_t>(dropped);
  }
  return stats;
}

}  // namespace reeve::bus

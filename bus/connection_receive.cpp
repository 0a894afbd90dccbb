// How a connection is set up, subscribes and hears.
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <random>

#include "bus/connect_error.hpp"
#include "bus/connection_impl.hpp"
#include "bus/nkey.hpp"
#include "bus/sanitizer.hpp"
#include "bus/subject.hpp"
#include "cluster/check.hpp"

namespace reeve::bus {
namespace {

constexpr std::int64_t ping_interval_ms = 10'000;
constexpr int pings_unanswered_max = 3;
// With TLS the loop at the socket ends a silent connection (SocketLoop).
constexpr int pings_without_bound = INT_MAX / 2;
constexpr int pings_per_silence = 4;

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

Connection::Impl::Impl(const ConnectionOptions& given)
    : options(given),
      tls(!given.credentials.urls.empty() &&
          is_tls(given.credentials.urls.front())),
      replies(unique_inbox(given.credentials.principal)),
      loop(std::make_unique<SocketLoop>(tls, options.silence,
                                        [this] { run_handlers(); })) {}

Status Connection::Impl::check() {
  const auto& [urls, principal, seed, cell, ca] = options.credentials;
  const bool alike =
      std::all_of(urls.begin(), urls.end(), [this](const std::string& url) {
        return valid_url(url) && is_tls(url) == tls;
      });
  if (urls.empty() || urls.size() > credentials_urls_max || !alike)
    return fail(Errc::usage,
                fmt::format("'{}' is not where a bus is: 1 to {} urls, all "
                            "nats://HOST:PORT or all tls://HOST:PORT",
                            fmt::join(urls, " "), credentials_urls_max));
  auto key = public_key_of(seed);
  if (!key) return tl::unexpected(key.error());
  public_key = std::move(*key);
  return {};
}

natsStatus Connection::Impl::configure(natsOptions* to) {
  natsStatus status = NATS_OK;
  const auto set = [&status](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  const Credentials& who = options.credentials;
  std::vector<const char*> urls;
  for (const std::string& url : who.urls) urls.push_back(url.c_str());
  set(natsOptions_SetServers(to, urls.data(), static_cast<int>(urls.size())));
  set(natsOptions_SetNoRandomize(to, true));
  set(natsOptions_SetNKey(to, public_key.c_str(), on_sign, this));
  set(natsOptions_SetCustomInboxPrefix(to,
                                       inbox_prefix(who.principal).c_str()));
  if (tls) {
    set(natsOptions_SetSecure(to, true));
    set(natsOptions_SetCATrustedCertificates(to, who.ca.c_str()));
  }
  set(natsOptions_SetName(to, options.name.c_str()));
  set(natsOptions_SetTimeout(to, options.connect_timeout.count()));
  set(natsOptions_SetAllowReconnect(to, true));
  set(natsOptions_SetMaxReconnect(to, -1));
  set(natsOptions_SetCustomReconnectDelay(to, on_reconnect_wait, this));
  set(natsOptions_SetReconnectBufSize(to, reconnect_buffer_bytes));
  set(natsOptions_SetPingInterval(
      to,
      tls ? options.silence.count() / pings_per_silence : ping_interval_ms));
  set(natsOptions_SetMaxPingsOut(
      to, tls ? pings_without_bound : pings_unanswered_max));
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
  loop->leave();
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

void Connection::Impl::on_error(natsConnection*, natsSubscription* sub,
                                natsStatus status, void* closure) noexcept {
  take_over(closure);
  Impl& self = *static_cast<Impl*>(closure);
  // What this call is about; the connection's last error may be a later one.
  natsStatus about = NATS_OK;
  const char* last = nats_GetLastError(&about);
  const std::string text = last ? last : "";
  if (status == NATS_SLOW_CONSUMER && sub != nullptr) {
    self.slow_consumers.fetch_add(1);
    int messages = 0;
    int bytes = 0;
    natsSubscription_GetPendingLimits(sub, &messages, &bytes);
    // Of one that has ended meanwhile the library does not tell.
    const char* subject = natsSubscription_GetSubject(sub);
    self.report({Errc::busy,
                 fmt::format("too slow for {}: over {} messages or {} bytes "
                             "waiting, more are dropped",
                             subject ? subject : "what was subscribed",
                             messages, bytes)});
    return;
  }
  if (status == NATS_NOT_PERMITTED) {
    self.violations.fetch_add(1);
    self.replies.refuse(refused_subject(text));
    self.report({Errc::rejected,
                 fmt::format("{} may not do this on the bus: {}",
                             self.options.credentials.principal, text)});
    return;
  }
  if (status == NATS_CONNECTION_AUTH_FAILED) {
    self.report(unknown_key(self.options.credentials));
    return;
  }
  self.report(error_of(status, "bus connection: " + text));
}

// Proves to the server that the key is ours; the library frees what it gets.
natsStatus Connection::Impl::on_sign(char**, unsigned char** signature,
                                     int* signature_bytes, const char* nonce,
                                     void* closure) noexcept {
  take_over(closure);
  auto& self = *static_cast<Impl*>(closure);
  if (nonce == nullptr) return NATS_CONNECTION_AUTH_FAILED;
  const auto made =
      sign(self.options.credentials.seed,
           {reinterpret_cast<const std::byte*>(nonce), std::strlen(nonce)});
  if (!made) return NATS_INVALID_ARG;
  self.unlucky = made->front() == std::byte{0};
  if (self.unlucky) return NATS_ERR;
  auto* copy = static_cast<unsigned char*>(std::malloc(made->size()));
  if (copy == nullptr) return NATS_NO_MEMORY;
  std::memcpy(copy, made->data(), made->size());
  *signature = copy;
  *signature_bytes = static_cast<int>(made->size());
  return NATS_OK;
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

std::int64_t Connection::Impl::on_reconnect_wait(natsConnection*, int attempt,
                                                 void* closure) noexcept {
  take_over(closure);
  const auto& self = *static_cast<Impl*>(closure);
  return reconnect_after(attempt, self.options.reconnect, random_jitter())
      .count();
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
  natsStatus status = open_subscription(made, pattern, limits.queue);
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
                                               const std::string& pattern,
                                               const std::string& queue) {
  const SocketLoop::Writing together;
  hand_over(&to);
  if (options.handlers_on_reader) {
    const natsStatus status =
        queue.empty()
            ? natsConnection_SubscribeSync(&to.handle, handle, pattern.c_str())
            : natsConnection_QueueSubscribeSync(&to.handle, handle,
                                                pattern.c_str(), queue.c_str());
    if (status == NATS_OK) read_here.push_back(&to);
    loop->wake();  // something may have come before it was in the list
    return status;
  }
  natsStatus status =
      queue.empty()
          ? natsConnection_Subscribe(&to.handle, handle, pattern.c_str(),
                                     on_message, &to)
          : natsConnection_QueueSubscribe(&to.handle, handle, pattern.c_str(),
                                          queue.c_str(), on_message, &to);
  if (status == NATS_OK) {
    ++live_subscriptions;
    status = natsSubscription_SetOnCompleteCB(to.handle, on_complete, &to);
    REEVE_CHECK(status == NATS_OK, "a new subscription takes its end handler");
  }
  loop->write();
  return status;
}

natsStatus Connection::Impl::open_inbox(const std::string& pattern,
                                        natsSubscription** to) {
  const std::lock_guard lock(mutex);
  const SocketLoop::Writing together;
  subscriptions.push_back({this, {}, nullptr});
  Subscription& made = subscriptions.back();
  const natsStatus status =
      natsConnection_SubscribeSync(&made.handle, handle, pattern.c_str());
  if (status != NATS_OK) subscriptions.pop_back();
  *to = status == NATS_OK ? made.handle : nullptr;
  loop->write();
  return status;
}

void Connection::Impl::give_back(Inbox inbox) {
  const std::lock_guard lock(mutex);
  given_back.push_back(std::move(inbox));
}

std::optional<Connection::Impl::Inbox> Connection::Impl::take_given_back() {
  const std::lock_guard lock(mutex);
  if (given_back.empty()) return std::nullopt;
  Inbox inbox = std::move(given_back.back());
  given_back.pop_back();
  return inbox;
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

}  // namespace reeve::bus

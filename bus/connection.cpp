#include "bus/connection.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "bus/connect_error.hpp"
#include "bus/connection_impl.hpp"
#include "bus/sanitizer.hpp"
#include "bus/subject.hpp"

// The library has each connection trust whatever the host trusts, and reads all
// of that (30 ms) first. Only the cell's own authorities count here: in our
// programs this takes the place of OpenSSL's function.
extern "C" int SSL_CTX_set_default_verify_paths(SSL_CTX*) {
  return 1;
}

namespace reeve::bus {
namespace {

// See Impl::unlucky: one try in 256 is in vain.
constexpr int sign_tries_max = 8;
// A server that reads its users anew sends away who is just coming in.
constexpr int sent_away_tries_max = 6;
constexpr std::chrono::milliseconds sent_away_pause{100};

// For a url of credentials, as the library tells it: host_bytes_max and more.
constexpr std::size_t url_room = 512;

bool sent_away(natsStatus status) {
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_CONNECTION_CLOSED:
    case NATS_PROTOCOL_ERROR:
    case NATS_IO_ERROR: return true;
    default: return false;
  }
}

}  // namespace

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
    loop->write_in_turn();
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

natsStatus Connection::Impl::open(natsOptions* configured) {
  int away = 0;
  for (int tries = 1;; ++tries) {
    unlucky = false;
    const natsStatus status = natsConnection_Connect(&handle, configured);
    if (sent_away(status) && ++away < sent_away_tries_max) {
      std::this_thread::sleep_for(sent_away_pause);
      continue;
    }
    if (status == NATS_OK || !unlucky || tries >= sign_tries_max) return status;
  }
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Expected<std::unique_ptr<Connection>> Connection::connect(
    const ConnectionOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (auto good = impl->check(); !good) return tl::unexpected(good.error());
  hand_over(impl.get());
  natsOptions* configured = nullptr;
  natsStatus status = natsOptions_Create(&configured);
  if (status == NATS_OK) status = impl->configure(configured);
  if (status == NATS_OK) status = impl->open(configured);
  natsOptions_Destroy(configured);
  if (status != NATS_OK) {
    impl->handle = nullptr;
    natsStatus last = NATS_OK;
    const char* detail = nats_GetLastError(&last);
    return tl::unexpected(
        connect_error(status, detail ? detail : "", options.credentials));
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
    return fail(Errc::rejected,
                fmt::format("{} may not publish on {}",
                            impl_->options.credentials.principal, subject));
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
                                       impl_->options.credentials.urls.front(),
                                       timeout.count()));
  return {};
}

bool Connection::connected() const {
  return natsConnection_Status(impl_->handle) == NATS_CONN_STATUS_CONNECTED;
}

bool Connection::change_server(const std::string& answering) {
  if (impl_->options.credentials.urls.size() < 2) return false;
  if (!answering.empty()) {
    const std::lock_guard lock(impl_->answering_mutex);
    impl_->answering = answering;
  }
  impl_->loop->break_off();
  return true;
}

std::string Connection::answering_server() const {
  {
    const std::lock_guard lock(impl_->answering_mutex);
    if (!impl_->answering.empty()) return impl_->answering;
  }
  return server();
}

void Connection::answers_here() {
  const std::lock_guard lock(impl_->answering_mutex);
  impl_->answering.clear();
}

std::string Connection::server() const {
  std::array<char, url_room> present{};
  const natsStatus known = natsConnection_GetConnectedUrl(
      impl_->handle, present.data(), present.size());
  return known == NATS_OK ? present.data() : "";
}

std::vector<std::string> Connection::other_servers() const {
  std::vector<std::string> others = impl_->options.credentials.urls;
  if (others.size() < 2) return {};
  std::erase(others, server());
  return others;
}

Expected<std::unique_ptr<Connection>> Connection::beside(
    const std::string& url, std::chrono::milliseconds connect_timeout) const {
  ConnectionOptions how;
  how.credentials = impl_->options.credentials;
  how.credentials.urls = {url};
  how.name = impl_->options.name;
  how.low_latency = true;
  how.connect_timeout = connect_timeout;
  return connect(how);
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

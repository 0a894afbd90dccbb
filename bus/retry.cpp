#include "bus/retry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "bus/connection.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {
namespace {

using Clock = std::chrono::steady_clock;

// Between looks whether a request is given up.
constexpr std::chrono::milliseconds give_up_pause{50};

// What arrived on the reply subject and was not looked at yet.
struct Inbox {
  // A flood of answers to one request is no reason to hold them all.
  static constexpr std::size_t waiting_max = 64;

  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Message> waiting;

  void put(const Message& message) {
    const std::lock_guard lock(mutex);
    if (waiting.size() < waiting_max) waiting.push_back(message);
    arrived.notify_one();
  }

  bool has_any() {
    const std::lock_guard lock(mutex);
    return !waiting.empty();
  }

  std::optional<Message> take_until(Clock::time_point due) {
    std::unique_lock lock(mutex);
    if (!arrived.wait_until(lock, due, [&] { return !waiting.empty(); }))
      return std::nullopt;
    Message message = std::move(waiting.front());
    waiting.pop_front();
    return message;
  }
};

using Acceptable = std::function<bool(Bytes, int)>;

class Request {
 public:
  Request(Connection& connection, std::string_view subject, Bytes data,
          GivenUp is_given_up)
      : connection_(connection),
        subject_(subject),
        data_(data),
        is_given_up_(is_given_up) {}
  ~Request() {
    if (!reply_.empty()) connection_.close_reply(reply_);
  }

  Expected<Buffer> run(std::chrono::milliseconds timeout, Backoff backoff,
                       const Acceptable& acceptable) {
    auto reply = connection_.open_reply(
        subject_, [inbox = inbox_](const Message& m) { inbox->put(m); });
    if (!reply) return tl::unexpected(reply.error());
    reply_ = *reply;
    deadline_ = Clock::now() + timeout;
    std::string why = "no answer";
    int sent = 0;
    auto elsewhere_in = server_wait;
    auto elsewhere_at = Clock::now() + elsewhere_in;
    while (Clock::now() < deadline_) {
      if (Clock::now() >= elsewhere_at) {
        if (auto answer = ask_elsewhere(acceptable, sent)) return *answer;
        elsewhere_in *= 2;
        elsewhere_at = Clock::now() + elsewhere_in;
      }
      auto status = connection_.publish_request(subject_, reply_, data_);
      ++sent;
      if (!status && status.error().code == Errc::usage)
        return tl::unexpected(status.error());
      if (!status) why = status.error().text;
      const auto due = std::min({deadline_, elsewhere_at,
                                 Clock::now() + backoff.next(random_jitter())});
      while (auto message = take_until(due)) {
        if (message->delivery == Delivery::forbidden)
          return tl::unexpected(forbidden(subject_));
        if (message->delivery == Delivery::no_responders) {
          why = "nobody listens there";
        } else if (acceptable(message->data, sent)) {
          connection_.answers_here();
          return message->buffer();
        } else {
          why = "the answer was not understood";
        }
      }
    }
    if (given_up_)
      return fail(Errc::unreachable,
                  fmt::format("the wait for an answer on {} was given up ({} "
                              "sendings): {}",
                              subject_, sent, why));
    return fail(Errc::unreachable,
                fmt::format("no answer on {} within {} ms ({} sendings): {}; "
                            "is the daemon running?",
                            subject_, timeout.count(), sent, why));
  }

 private:
  std::optional<Buffer> ask_elsewhere(const Acceptable& acceptable, int& sent) {
    using std::chrono::milliseconds;
    if (!connection_.connected()) return std::nullopt;
    for (const std::string& url : connection_.other_servers()) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
      if (left <= milliseconds(0) || inbox_->has_any() || is_unwanted()) break;
      const auto other =
          connection_.beside(url, std::min(left, elsewhere_wait));
      if (!other) continue;
      const auto answer = (*other)->request(subject_, data_, elsewhere_wait);
      ++sent;
      if (!answer || !acceptable(*answer, sent)) continue;
      (void)connection_.change_server(url);
      return *answer;
    }
    return std::nullopt;
  }

  bool is_unwanted() const { return is_given_up_ != nullptr && is_given_up_(); }

  // What comes until `due`; the deadline is near once it is given up.
  std::optional<Message> take_until(Clock::time_point due) {
    for (;;) {
      if (!given_up_ && is_unwanted()) {
        given_up_ = true;
        deadline_ = std::min(deadline_, Clock::now() + given_up_wait);
      }
      const auto last = std::min(due, deadline_);
      const auto until = is_given_up_ == nullptr || given_up_
                             ? last
                             : std::min(last, Clock::now() + give_up_pause);
      if (auto message = inbox_->take_until(until)) return message;
      if (until == last) return std::nullopt;
    }
  }

  Connection& connection_;
  const std::string_view subject_;
  const Bytes data_;
  const GivenUp is_given_up_;
  Clock::time_point deadline_;
  bool given_up_ = false;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::string reply_;
};

}  // namespace

bool speaks_for_all(const schema::Reply& reply, int sendings) {
  return sendings <= 1 || reply.rejection() == nullptr ||
         schema::text(reply.rejection()->rule()) != unread_rule;
}

Error forbidden(std::string_view subject) {
  return {Errc::rejected,
          fmt::format("these credentials may not publish on {}", subject)};
}

bool is_forbidden(const Error& error, std::string_view subject) {
  const Error expected = forbidden(subject);
  return error.code == expected.code && error.text == expected.text;
}

Expected<Buffer> request_until_answered(
    Connection& connection, std::string_view subject, Bytes data,
    std::chrono::milliseconds timeout, const RetryOptions& retry,
    const std::function<bool(Bytes, int)>& acceptable, GivenUp is_given_up) {
  return Request(connection, subject, data, is_given_up)
      .run(timeout, Backoff(retry), acceptable);
}

}  // namespace reeve::bus

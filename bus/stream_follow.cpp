// The follower's side of a Stream: a consumer that lives as long as somebody
// asks it, and one request at a time for the next few messages.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <thread>
#include <utility>
#include <vector>

#include "bus/stream_impl.hpp"

namespace reeve::bus {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// The server drops a consumer that nobody asked for so long.
constexpr milliseconds consumer_idle{60'000};
constexpr milliseconds request_expires{30'000};
// Between signs of life of a request that waits.
constexpr milliseconds heartbeat{1'000};
constexpr int heartbeats_missed_max = 3;
constexpr milliseconds between_follows{200};
// Ends of a request after which the consumer is asked again.
constexpr int no_messages = 404;
constexpr int expired = 408;
constexpr int sign_of_life = 100;

std::int64_t in_ns(milliseconds time) {
  return nanoseconds(time).count();
}

// The reply subject of a consumer's message says whose it is:
// $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream
// sequence>.<consumer sequence>.<time>.<pending>[.<random>]
struct Delivery {
  std::string_view consumer;
  std::uint64_t stream_sequence = 0;
};
std::optional<Delivery> delivery_of(std::string_view reply) {
  constexpr std::size_t short_form = 9;
  constexpr std::size_t long_form = 11;
  std::vector<std::string_view> tokens;
  while (!reply.empty() && tokens.size() <= long_form) {
    const std::size_t dot = reply.find('.');
    tokens.push_back(reply.substr(0, dot));
    reply.remove_prefix(dot == std::string_view::npos ? reply.size() : dot + 1);
  }
  if (tokens.size() < short_form || tokens[0] != "$JS" || tokens[1] != "ACK")
    return std::nullopt;
  const std::size_t skipped = tokens.size() >= long_form ? 2 : 0;
  const std::string_view number = tokens[5 + skipped];
  Delivery found{tokens[3 + skipped], 0};
  const auto [end, error] = std::from_chars(
      number.data(), number.data() + number.size(), found.stream_sequence);
  if (error != std::errc() || end != number.data() + number.size())
    return std::nullopt;
  return found;
}

}  // namespace

void Stream::follow_after(std::uint64_t stream_sequence) {
  impl_->next = stream_sequence + 1;
  impl_->consumer.clear();
  impl_->held.reset();
  impl_->shorter_since.reset();
}

std::uint64_t Stream::next_sequence() const {
  return impl_->next;
}

Status Stream::Impl::make_consumer() {
  const auto kept = bounds();
  if (!kept) return tl::unexpected(kept.error().error);
  if (kept->first > next)
    return fail(Errc::not_found,
                fmt::format("stream {} begins at {}: the messages {} to {} are "
                            "no longer kept there; fetch their records from a "
                            "manager",
                            name, kept->first, next, kept->first - 1));
  if (kept->last + 1 < next) {
    const auto now = Clock::now();
    if (!shorter_since) shorter_since = now;
    const bool believed = now - *shorter_since >= shortened_wait;
    return fail(believed ? Errc::not_found : Errc::unreachable,
                fmt::format("stream {} ends at {}, and {} was read from it "
                            "before: its servers lost messages",
                            name, kept->last, next - 1));
  }
  shorter_since.reset();
  auto made =
      jetstream->request("CONSUMER.CREATE." + name,
                         {{"stream_name", name},
                          {"config",
                           {{"deliver_policy", "by_start_sequence"},
                            {"opt_start_seq", next},
                            {"ack_policy", "none"},
                            {"replay_policy", "instant"},
                            {"inactive_threshold", in_ns(consumer_idle)},
                            {"num_replicas", 1},
                            {"mem_storage", true}}}},
                         options.request_timeout);
  if (!made) return tl::unexpected(made.error().error);
  const json::value* found = made->if_contains("name");
  if (found == nullptr || !found->is_string())
    return fail(Errc::damaged,
                fmt::format("a consumer of {} has no name", name));
  consumer = std::string(found->get_string());
  fresh = true;
  asked_for = 0;
  reconnects = jetstream->reconnects();
  return {};
}

Status Stream::Impl::ask_for_more() {
  const std::string body =
      json::serialize(json::object{{"batch", fetch_records_max},
                                   {"expires", in_ns(request_expires)},
                                   {"idle_heartbeat", in_ns(heartbeat)}});
  asked_for = fetch_records_max;
  heard_at = Clock::now();
  return jetstream->send(
      fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", name, consumer), {},
      {reinterpret_cast<const std::byte*>(body.data()), body.size()},
      fmt::format("f{}", ++tokens));
}

// Whether the consumer may be gone: with the connection, or with its server.
bool Stream::Impl::stale() const {
  return jetstream->reconnects() != reconnects ||
         (asked_for > 0 &&
          Clock::now() > heard_at + heartbeats_missed_max * heartbeat);
}

Status Stream::Impl::take(const Arrival& arrival,
                          std::vector<StreamRecord>& records) {
  if (arrival.subject == jetstream->inbox(fmt::format("f{}", tokens))) {
    heard_at = Clock::now();
    if (arrival.status == sign_of_life) return {};
    asked_for = 0;
    if (arrival.status != no_messages && arrival.status != expired)
      consumer.clear();
    return {};
  }
  const auto delivery = delivery_of(arrival.reply);
  if (!delivery || delivery->consumer != consumer) return {};
  heard_at = Clock::now();
  if (asked_for > 0) --asked_for;
  const bool first = std::exchange(fresh, false);
  const std::uint64_t at = delivery->stream_sequence;
  if (at < next) return {};  // a server that lagged began too early
  if (at > next && !first) {
    consumer.clear();  // some were lost on their way: begin again at `next`
    return {};
  }
  if (at > next) {
    consumer.clear();
    return fail(Errc::not_found,
                fmt::format("stream {} has no messages {} to {}: fetch their "
                            "records from a manager",
                            name, next, at - 1));
  }
  ++next;
  const auto id = parse_record_id(arrival.record);
  if (!id || arrival.data.empty() ||
      arrival.data.size() > stream_record_bytes_max)
    return fail(Errc::damaged,
                fmt::format("message {} of stream {} is no record ({} bytes, "
                            "named '{}') and is stepped over: who else "
                            "publishes on {}?",
                            at, name, arrival.data.size(),
                            arrival.record.substr(0, 64), subject));
  records.push_back({at, *id, arrival.log, arrival.data});
  return {};
}

// A consumer that has been asked, so that something can arrive.
Status Stream::Impl::keep_asking() {
  if (stale()) consumer.clear();
  Status status;
  if (consumer.empty()) status = make_consumer();
  if (status && asked_for == 0) status = ask_for_more();
  if (!status) consumer.clear();
  return status;
}

Expected<std::vector<StreamRecord>> Stream::fetch(milliseconds timeout) {
  Impl& self = *impl_;
  const auto deadline = Impl::Clock::now() + timeout;
  if (self.held) return tl::unexpected(*std::exchange(self.held, std::nullopt));
  std::vector<StreamRecord> records;
  for (;;) {
    auto arrival = self.jetstream->next(Impl::Clock::now());
    if (!arrival) {
      if (!records.empty()) return records;
      if (auto status = self.keep_asking(); !status) {
        if (status.error().code == Errc::not_found ||
            Impl::Clock::now() + between_follows > deadline)
          return tl::unexpected(status.error());
        std::this_thread::sleep_for(between_follows);
        continue;
      }
      arrival = self.jetstream->next(
          std::min(deadline, Impl::Clock::now() + heartbeat));
    }
    if (arrival) {
      if (auto status = self.take(*arrival, records); !status) {
        if (records.empty()) return tl::unexpected(status.error());
        self.held = status.error();
        return records;
      }
    } else if (Impl::Clock::now() >= deadline) {
      return records;
    }
  }
}

}  // namespace reeve::bus

// The leader's side of a Stream.
#include <fmt/format.h>

#include <thread>

#include "bus/stream_impl.hpp"
#include "cluster/check.hpp"

namespace reeve::bus {
namespace {

using Kind = StreamOutcome::Kind;

// A server that refuses at once is not asked again at once; nor is it tried at
// once again what may not be sent.
constexpr std::chrono::milliseconds refused_pause{100};

}  // namespace

void Stream::lead_after(std::uint64_t stream_sequence, std::string log) {
  impl_->after = stream_sequence;
  impl_->log = std::move(log);
  impl_->under_way.reset();
  impl_->leading = true;
}

Status Stream::begin(const RecordId& id, Bytes value) {
  if (value.empty() || value.size() > stream_record_bytes_max)
    return fail(
        Errc::usage,
        fmt::format("record {} has {} bytes, and the stream takes 1 to "
                    "{}: commit less at a time",
                    text_of(id), value.size(), stream_record_bytes_max));
  if (impl_->under_way)
    return fail(Errc::busy, fmt::format("record {} is under way to the stream",
                                        text_of(impl_->under_way->id)));
  if (!impl_->leading)
    return fail(Errc::rejected,
                fmt::format("record {}: another manager leads the cell, and "
                            "its log goes on without this one",
                            text_of(id)));
  impl_->under_way =
      Impl::UnderWay{id, Buffer::copy(value),
                     fmt::format("a{}", ++impl_->tokens), Impl::Clock::now()};
  // What is not sent now is sent by `wait`.
  (void)impl_->send();
  return {};
}

// Every try expects the same end of the stream, so at most one is stored.
// Without a connection tries would only pile up, and arrive when another leads.
Status Stream::Impl::send() {
  under_way->sent_at = Clock::now();
  if (!jetstream->connected())
    return fail(Errc::unreachable, "there is no connection");
  if (options.may_send && !options.may_send()) {
    under_way->held =
        Error{Errc::unreachable, "another manager may lead by now"};
    return tl::unexpected(*under_way->held);
  }
  under_way->held.reset();
  std::vector<Header> headers{
      {record_header, text_of(under_way->id)},
      {expected_sequence_header, std::to_string(after)}};
  if (!log.empty()) headers.push_back({log_header, log});
  return jetstream->send(subject, headers, under_way->value, under_way->token);
}

// Asks the stream what stands where the record has to be. An answer may be
// lost and a refusal may be that of a second try, so this alone decides.
std::optional<StreamOutcome> Stream::Impl::settle(Error& why, bool& answered) {
  auto there =
      jetstream->get(name, {{"seq", after + 1}}, options.request_timeout);
  answered = there || there.error().code != Refusal::no_answer;
  if (!there) {
    why = there.error().error;
    return std::nullopt;
  }
  if (!*there) return std::nullopt;
  const auto id = parse_record_id((*there)->header(record_header));
  StreamOutcome outcome;
  if (id == under_way->id) {
    outcome.kind = Kind::stored;
    outcome.stream_sequence = after + 1;
  } else {
    outcome.kind = Kind::fenced;
    outcome.by = id;
  }
  return outcome;
}

bool Stream::Impl::shortened() {
  const auto there = bounds();
  if (!there) return false;
  if (there->last >= after) {
    under_way->shorter_since.reset();
    return false;
  }
  const auto now = Clock::now();
  if (!under_way->shorter_since) under_way->shorter_since = now;
  return now - *under_way->shorter_since >= shortened_wait;
}

StreamOutcome Stream::wait(std::chrono::milliseconds timeout) {
  Impl& self = *impl_;
  REEVE_CHECK(self.under_way, "wait follows begin");
  const auto deadline = Impl::Clock::now() + timeout;
  const auto ended = [&](const StreamOutcome& outcome) {
    self.under_way.reset();
    if (outcome.kind == Kind::stored) self.after = outcome.stream_sequence;
    if (outcome.kind != Kind::stored) self.leading = false;
    return outcome;
  };
  for (;;) {
    const auto try_end =
        self.under_way->sent_at +
        (self.under_way->held ? refused_pause : self.options.request_timeout);
    const auto answer = self.jetstream->stored(self.under_way->token,
                                               std::min(deadline, try_end));
    if (answer && *answer == self.after + 1)
      return ended({Kind::stored, *answer, std::nullopt, {}});
    Error why = answer ? Error{Errc::damaged,
                               fmt::format("stream {} put a record at {} that "
                                           "was for {}",
                                           self.name, *answer, self.after + 1)}
                       : self.under_way->held.value_or(answer.error().error);
    const bool refused =
        answer || answer.error().code != Refusal::no_answer ||
        Impl::Clock::now() + refused_pause < std::min(deadline, try_end);
    if (refused || Impl::Clock::now() >= try_end) {
      bool answered = false;
      if (const auto outcome = self.settle(why, answered))
        return ended(*outcome);
      if (answered && self.shortened())
        return ended({Kind::shortened, 0, std::nullopt, {}});
      if (refused) std::this_thread::sleep_for(refused_pause);
      if (auto sent = self.send(); !sent) why = sent.error();
    }
    if (Impl::Clock::now() >= deadline)
      return {Kind::unknown,
              0,
              std::nullopt,
              {Errc::unreachable,
               fmt::format("record {} is not acknowledged by stream {}: {}",
                           text_of(self.under_way->id), self.name, why.text)}};
  }
}

}  // namespace reeve::bus

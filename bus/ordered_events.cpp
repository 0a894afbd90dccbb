#include "bus/ordered_events.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "bus/client.hpp"
#include "bus/connection.hpp"
#include "bus/quarantine.hpp"
#include "bus/verified.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {
namespace {

Buffer log_read_of(SequenceRange range, std::uint32_t bytes_max) {
  flatbuffers::FlatBufferBuilder builder;
  return Buffer::copy(schema::finish(
      builder,
      schema::CreateLogRead(builder, range.from, range.to, bytes_max)));
}

// Calls fn(event, bytes) for each size-prefixed event of a chunk. False if the
// chunk is not a row of verified events.
template <class Fn>
bool each_event(const flatbuffers::Vector<std::uint8_t>* events, Fn&& fn) {
  if (events == nullptr) return true;
  Bytes rest{reinterpret_cast<const std::byte*>(events->data()),
             events->size()};
  while (!rest.empty()) {
    if (rest.size() < sizeof(std::uint32_t)) return false;
    const std::size_t size =
        sizeof(std::uint32_t) +
        flatbuffers::ReadScalar<std::uint32_t>(
            reinterpret_cast<const std::uint8_t*>(rest.data()));
    if (size > rest.size()) return false;
    Buffer bytes = Buffer::copy(rest.first(size));
    const schema::Event* event = schema::verified_event(bytes);
    if (event == nullptr) return false;
    fn(*event, std::move(bytes));
    rest = rest.subspan(size);
  }
  return true;
}

}  // namespace

// Shared with the subscription's handler, which lives as long as the
// connection.
struct EventFeed::State {
  State(Connection& to, const Subjects& subjects, Quarantine& bad, Handler fn,
        EventFeedOptions given)
      : client(to, subjects, {}, given.retry),
        quarantine(bad),
        handler(std::move(fn)),
        options(std::move(given)) {
    if (options.from_sequence != 0)
      feed.emplace(options.from_sequence, options.limits);
  }

  void on_live(const Message& message);
  void on_head(std::uint64_t head);
  void offer(const schema::Event& event, Buffer bytes);
  bool accept(const Buffer& bytes);
  Status refill(SequenceRange range);
  Status ask_head();
  void run();
  void report(const Error& error) const {
    if (options.on_error) options.on_error(error);
  }

  Client client;
  Quarantine& quarantine;
  const Handler handler;
  const EventFeedOptions options;

  mutable std::mutex mutex;  // held while the handler runs: keeps the order
  std::condition_variable wake;
  std::optional<OrderedFeed> feed;
  std::uint64_t seen_early = 0;  // highest live one before the head was known
  std::vector<Buffer> ready;
  bool stopping = false;
  std::thread worker;
};

void EventFeed::State::offer(const schema::Event& event, Buffer bytes) {
  feed->offer(event.seq(), std::move(bytes), ready);
  for (const Buffer& one : ready) handler(schema::event_of(one), one);
  ready.clear();
}

void EventFeed::State::on_live(const Message& message) {
  const schema::Event* event = schema::verified_event(message.data);
  const std::lock_guard lock(mutex);
  if (stopping) return;
  if (event == nullptr || event->seq() == 0) {
    quarantine_event(quarantine, message);
    return;
  }
  if (!feed) {
    seen_early = std::max(seen_early, event->seq());
    return;
  }
  offer(*event, message.buffer());
  if (feed->missing()) wake.notify_one();
}

void EventFeed::State::on_head(std::uint64_t head) {
  std::optional<Error> error;
  {
    const std::lock_guard lock(mutex);
    if (!feed) {
      feed.emplace(head + 1, options.limits);
      feed->note_head(seen_early);
    } else if (head + 1 < feed->next()) {
      error =
          Error{Errc::damaged,
                fmt::format("the log ends at {} but event {} was delivered: "
                            "it went back, or is another log",
                            head, feed->next() - 1)};
    }
    feed->note_head(head);
  }
  if (error) report(*error);
}

Status EventFeed::State::ask_head() {
  auto answer = client.log_head(options.retry.longest);
  if (!answer) return tl::unexpected(answer.error());
  const auto* chunk = schema::verified<schema::LogChunk>(*answer);
  if (chunk->error() != nullptr)
    return fail(Errc::damaged, chunk->error()->str());
  on_head(chunk->head_seq());
  return {};
}

Status EventFeed::State::refill(SequenceRange range) {
  auto answer = client.log_read(log_read_of(range, options.read_bytes_max),
                                options.retry.longest);
  if (!answer) return tl::unexpected(answer.error());
  const auto* chunk = schema::verified<schema::LogChunk>(*answer);
  if (chunk->error() != nullptr)
    return fail(Errc::damaged, chunk->error()->str());
  const std::lock_guard lock(mutex);
  if (stopping) return {};
  const std::uint64_t before = feed->next();
  const bool whole = each_event(
      chunk->events(), [this](const schema::Event& event, Buffer bytes) {
        offer(event, std::move(bytes));
      });
  if (!whole)
    return fail(Errc::damaged,
                fmt::format("the log's answer for {} to {} holds what is no "
                            "event",
                            range.from, range.to));
  feed->note_head(chunk->head_seq());
  if (feed->next() == before)
    return fail(Errc::unreachable,
                fmt::format("the log has no event {} yet (its head is {})",
                            range.from, chunk->head_seq()));
  return {};
}

void EventFeed::State::run() {
  Backoff backoff(options.retry);
  std::unique_lock lock(mutex);
  auto wait = std::chrono::milliseconds(0);
  while (!stopping) {
    const auto range = feed ? feed->missing() : std::nullopt;
    lock.unlock();
    const Status status = range ? refill(*range) : ask_head();
    if (!status) report(status.error());
    lock.lock();
    if (!status) {
      wait = backoff.next(random_jitter());
      wake.wait_for(lock, wait, [&] { return stopping; });
    } else {
      backoff.reset();
      wake.wait_for(lock, options.head_interval,
                    [&] { return stopping || !feed || feed->missing(); });
    }
  }
}

EventFeed::EventFeed(std::shared_ptr<State> state) : state_(std::move(state)) {
  state_->worker = std::thread([raw = state_.get()] { raw->run(); });
}

EventFeed::~EventFeed() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->wake.notify_all();
  }
  state_->worker.join();
}

// Subscribed first, read after: nothing falls between.
Expected<std::unique_ptr<EventFeed>> EventFeed::open(Connection& connection,
                                                     const Subjects& subjects,
                                                     Quarantine& quarantine,
                                                     Handler handler,
                                                     EventFeedOptions options) {
  auto state = std::make_shared<State>(connection, subjects, quarantine,
                                       std::move(handler), std::move(options));
  auto status = connection.subscribe(
      subjects.events(),
      [state](const Message& message) { state->on_live(message); });
  if (!status) return tl::unexpected(status.error());
  return std::unique_ptr<EventFeed>(new EventFeed(std::move(state)));
}

std::uint64_t EventFeed::next_sequence() const {
  const std::lock_guard lock(state_->mutex);
  return state_->feed ? state_->feed->next() : 0;
}

FeedCounters EventFeed::counters() const {
  const std::lock_guard lock(state_->mutex);
  return state_->feed ? state_->feed->counters() : FeedCounters{};
}

Status subscribe_unordered_events(Connection& connection,
                                  const std::string& pattern,
                                  Quarantine& quarantine,
                                  EventFeed::Handler handler) {
  return connection.subscribe(
      pattern, [&quarantine, fn = std::move(handler)](const Message& message) {
        const schema::Event* event = schema::verified_event(message.data);
        if (event == nullptr)
          quarantine_event(quarantine, message);
        else
          fn(*event, message.buffer());
      });
}

}  // namespace reeve::bus

// The subscriber's side of evt.>: every event once, in order, from a chosen
// sequence on. What the bus lost is read from the log (log.read).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "bus/ordered_feed.hpp"
#include "bus/subject.hpp"
#include "cluster/error.hpp"

namespace reeve::schema {
struct Event;
}

namespace reeve::bus {

class Connection;
class Quarantine;

struct EventFeedOptions {
  // The first sequence to deliver; 0: those after the log's present head.
  std::uint64_t from_sequence = 1;
  FeedLimits limits = {};
  RetryOptions retry = {};
  // How often the head is asked for, so that a loss at the very end is found.
  std::chrono::milliseconds head_interval{2'000};
  std::uint32_t read_bytes_max = 512 << 10;
  // Told from a thread of the feed: the log does not answer, or went back.
  std::function<void(const Error&)> on_error = {};
};

class EventFeed {
 public:
  // `event` is the size-prefixed buffer as it is in the log. Calls come one
  // after the other, on changing threads; none starts after the destructor.
  using Handler =
      std::function<void(const schema::Event& event, const Buffer& bytes)>;

  // `connection` and `quarantine` outlive the feed.
  static Expected<std::unique_ptr<EventFeed>> open(Connection& connection,
                                                   const Subjects& subjects,
                                                   Quarantine& quarantine,
                                                   Handler handler,
                                                   EventFeedOptions options);
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // The next sequence to deliver; 0 before the head is known.
  std::uint64_t next_sequence() const;
  FeedCounters counters() const;

 private:
  struct State;
  explicit EventFeed(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Events that match a narrower pattern (one session's) have no contiguous
// sequences: verified, delivered as they come, nothing refilled.
Status subscribe_unordered_events(Connection& connection,
                                  const std::string& pattern,
                                  Quarantine& quarantine,
                                  EventFeed::Handler handler);

}  // namespace reeve::bus

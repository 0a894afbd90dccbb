// Puts numbered events in order: what comes twice is dropped, what comes
// early is held (within bounds), what is missing is named. Pure: it asks for
// ranges, others fetch them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "bus/buffer.hpp"

namespace reeve::bus {

struct FeedLimits {
  std::size_t held_events_max = 65'536;
  std::size_t held_bytes_max = 32 << 20;
};

struct FeedCounters {
  std::uint64_t delivered = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t gaps = 0;        // times an event came before its predecessor
  std::uint64_t overflowed = 0;  // early events let go; they are fetched later
};

// Both ends included.
struct SequenceRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool operator==(const SequenceRange&) const = default;
};

class OrderedFeed {
 public:
  // `next` is the first sequence to deliver, at least 1.
  explicit OrderedFeed(std::uint64_t next, FeedLimits limits = {});

  // Takes one event, from the bus or from the log, and appends to `ready`
  // what can now be delivered, in order without a hole.
  void offer(std::uint64_t sequence, Buffer event, std::vector<Buffer>& ready);

  // The log is known to reach `head`.
  void note_head(std::uint64_t head);

  // The first range that is known to exist and was not offered.
  std::optional<SequenceRange> missing() const;

  std::uint64_t next() const { return next_; }
  std::uint64_t head() const { return head_; }
  std::size_t held() const { return held_.size(); }
  const FeedCounters& counters() const { return counters_; }

 private:
  void deliver(Buffer event, std::vector<Buffer>& ready);
  void hold(std::uint64_t sequence, Buffer event);

  FeedLimits limits_;
  std::uint64_t next_;
  std::uint64_t head_;  // the highest sequence known to exist
  std::map<std::uint64_t, Buffer> held_;
  std::size_t held_bytes_ = 0;
  FeedCounters counters_;
};

}  // namespace reeve::bus

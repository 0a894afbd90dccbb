#include "bus/ordered_feed.hpp"

#include <algorithm>

#include "cluster/check.hpp"

namespace reeve::bus {

OrderedFeed::OrderedFeed(std::uint64_t next, FeedLimits limits)
    : limits_(limits), next_(next), head_(next - 1) {
  REEVE_CHECK(next >= 1, "sequences begin at 1");
}

void OrderedFeed::deliver(Buffer event, std::vector<Buffer>& ready) {
  ready.push_back(std::move(event));
  ++next_;
  ++counters_.delivered;
}

void OrderedFeed::offer(std::uint64_t sequence, Buffer event,
                        std::vector<Buffer>& ready) {
  note_head(sequence);
  if (sequence < next_) {
    ++counters_.duplicates;
    return;
  }
  if (sequence > next_) return hold(sequence, std::move(event));
  deliver(std::move(event), ready);
  auto first = held_.begin();
  while (first != held_.end() && first->first <= next_) {
    held_bytes_ -= first->second.size();
    if (first->first == next_)
      deliver(std::move(first->second), ready);
    else
      ++counters_.duplicates;
    first = held_.erase(first);
  }
}

void OrderedFeed::hold(std::uint64_t sequence, Buffer event) {
  if (held_.empty()) ++counters_.gaps;
  if (held_.contains(sequence)) {
    ++counters_.duplicates;
    return;
  }
  held_bytes_ += event.size();
  held_.emplace(sequence, std::move(event));
  // The farthest goes first: it is needed last.
  while (held_.size() > limits_.held_events_max ||
         held_bytes_ > limits_.held_bytes_max) {
    const auto last = std::prev(held_.end());
    held_bytes_ -= last->second.size();
    held_.erase(last);
    ++counters_.overflowed;
  }
}

void OrderedFeed::note_head(std::uint64_t head) {
  head_ = std::max(head_, head);
}

std::optional<SequenceRange> OrderedFeed::missing() const {
  if (head_ < next_) return std::nullopt;
  const std::uint64_t to = held_.empty() ? head_ : held_.begin()->first - 1;
  REEVE_CHECK(to >= next_, "what is due is delivered, not held");
  return SequenceRange{next_, to};
}

}  // namespace reeve::bus

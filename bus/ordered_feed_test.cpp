#include "bus/ordered_feed.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <random>
#include <string>

#include "bus/test_support.hpp"

namespace reeve::bus::ordered_feed_test {
namespace {

using testing::bytes_of;
using testing::text_of;

// Offers sequences whose content is their number; remembers what came out.
struct Feed {
  explicit Feed(std::uint64_t next, FeedLimits limits = {})
      : core(next, limits) {}

  void offer(std::uint64_t sequence) {
    std::vector<Buffer> ready;
    core.offer(sequence, Buffer::copy(bytes_of(std::to_string(sequence))),
               ready);
    for (const Buffer& one : ready) out.push_back(std::stoull(text_of(one)));
  }

  OrderedFeed core;
  std::vector<std::uint64_t> out;
};

using Sequences = std::vector<std::uint64_t>;

BOOST_AUTO_TEST_CASE(events_in_order_pass_at_once) {
  Feed feed(5);
  for (const std::uint64_t s : {5, 6, 7}) feed.offer(s);
  BOOST_TEST((feed.out == Sequences{5, 6, 7}));
  BOOST_TEST(!feed.core.missing().has_value());
}

BOOST_AUTO_TEST_CASE(a_gap_names_the_range_and_holds_the_rest) {
  Feed feed(1);
  for (const std::uint64_t s : {1, 4, 5}) feed.offer(s);
  BOOST_TEST((feed.out == Sequences{1}));
  BOOST_TEST((feed.core.missing() == SequenceRange{2, 3}));
  BOOST_TEST(feed.core.counters().gaps == 1u);
  feed.offer(2);
  BOOST_TEST((feed.core.missing() == SequenceRange{3, 3}));
  feed.offer(3);
  BOOST_TEST((feed.out == Sequences{1, 2, 3, 4, 5}));
  BOOST_TEST(!feed.core.missing().has_value());
  BOOST_TEST(feed.core.held() == 0u);
}

BOOST_AUTO_TEST_CASE(duplicates_are_dropped_and_counted) {
  Feed feed(1);
  for (const std::uint64_t s : {1, 1, 3, 3, 2, 2}) feed.offer(s);
  BOOST_TEST((feed.out == Sequences{1, 2, 3}));
  BOOST_TEST(feed.core.counters().duplicates == 3u);
}

BOOST_AUTO_TEST_CASE(events_before_the_start_are_dropped) {
  Feed feed(10);
  for (const std::uint64_t s : {8, 9, 10}) feed.offer(s);
  BOOST_TEST((feed.out == Sequences{10}));
}

BOOST_AUTO_TEST_CASE(a_known_head_is_missing_until_it_came) {
  Feed feed(3);
  BOOST_TEST(!feed.core.missing().has_value());
  feed.core.note_head(4);
  BOOST_TEST((feed.core.missing() == SequenceRange{3, 4}));
  feed.core.note_head(2);
  BOOST_TEST(feed.core.head() == 4u);
}

BOOST_AUTO_TEST_CASE(over_the_count_bound_the_farthest_are_let_go_and_named) {
  Feed feed(1, {.held_events_max = 2, .held_bytes_max = 1000});
  for (const std::uint64_t s : {5, 4, 3}) feed.offer(s);
  BOOST_TEST(feed.core.held() == 2u);
  BOOST_TEST(feed.core.counters().overflowed == 1u);
  for (const std::uint64_t s : {1, 2}) feed.offer(s);
  BOOST_TEST((feed.out == Sequences{1, 2, 3, 4}));
  BOOST_TEST((feed.core.missing() == SequenceRange{5, 5}));
}

BOOST_AUTO_TEST_CASE(over_the_byte_bound_the_farthest_are_let_go) {
  Feed feed(1, {.held_events_max = 100, .held_bytes_max = 2});
  for (const std::uint64_t s : {3, 4, 5}) feed.offer(s);
  BOOST_TEST(feed.core.held() == 2u);
}

// Loss, duplication and reordering by seed; the log answers every range.
BOOST_AUTO_TEST_CASE(any_disorder_ends_in_every_event_once_and_in_order) {
  constexpr std::uint64_t last = 200;
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Sequences live;
    for (std::uint64_t s = 1; s <= last; ++s)
      for (unsigned copies = random() % 3; copies > 0; --copies)
        live.push_back(s);
    for (std::size_t i = 0; i + 1 < live.size(); ++i)
      std::swap(live[i], live[std::min(i + random() % 8, live.size() - 1)]);
    Feed feed(1, {.held_events_max = 1 + random() % 16, .held_bytes_max = 64});
    for (const std::uint64_t s : live) {
      feed.offer(s);
      const auto range = feed.core.missing();
      if (range && random() % 4 == 0)
        for (auto r = range->from; r <= range->to; ++r) feed.offer(r);
    }
    feed.core.note_head(last);
    while (const auto range = feed.core.missing()) feed.offer(range->from);
    Sequences wanted(last);
    std::iota(wanted.begin(), wanted.end(), 1);
    BOOST_TEST((feed.out == wanted), "seed " << seed);
  }
}

}  // namespace
}  // namespace reeve::bus::ordered_feed_test

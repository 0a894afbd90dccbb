#include "actors/journal/core.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::journal::core_test {
namespace {

BOOST_AUTO_TEST_CASE(an_answer_is_within_the_log_and_within_one_chunk) {
  const Range all = bounded_range(3, 0, 0, 10);
  BOOST_TEST(all.from == 3u);
  BOOST_TEST(all.to == 10u);
  BOOST_TEST(all.bytes_max == chunk_bytes_max);
  BOOST_TEST(bounded_range(3, 99, 0, 10).to == 10u);
  BOOST_TEST(bounded_range(3, 5, 0, 10).to == 5u);
  BOOST_TEST(bounded_range(1, 2, chunk_bytes_max - 1, 10).bytes_max ==
             chunk_bytes_max - 1);
  BOOST_TEST(bounded_range(1, 2, chunk_bytes_max, 10).bytes_max ==
             chunk_bytes_max);
  BOOST_TEST(bounded_range(1, 2, chunk_bytes_max + 1, 10).bytes_max ==
             chunk_bytes_max);
}

BOOST_AUTO_TEST_CASE(from_0_asks_for_the_head_alone) {
  const Range none = bounded_range(0, 0, 0, 10);
  BOOST_TEST(none.to < none.from);
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_due_every_so_many_events_one_at_a_time) {
  SnapshotClock clock({100}, 50);
  BOOST_TEST(!clock.due(149));
  BOOST_TEST(clock.due(150));
  BOOST_TEST(!clock.due(1'000));
  clock.finished(150, 160);
  BOOST_TEST(!clock.due(249));
  BOOST_TEST(clock.due(250));
  // One that failed is not tried again at once.
  clock.finished(0, 260);
  BOOST_TEST(!clock.due(359));
  BOOST_TEST(clock.due(360));
}

BOOST_AUTO_TEST_CASE(the_others_are_away_after_stream_ns_max) {
  const Time sent{1'000 * second_ns};
  BOOST_TEST(!is_alone(sent, sent));
  BOOST_TEST(!is_alone(sent, Time{sent.value + stream_ns_max - 1}));
  BOOST_TEST(is_alone(sent, Time{sent.value + stream_ns_max}));
}

}  // namespace
}  // namespace reeve::journal::core_test

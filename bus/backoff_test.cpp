#include "bus/backoff.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

namespace reeve::bus::backoff_test {
namespace {

using std::chrono::milliseconds;
constexpr std::uint32_t least = 0;
constexpr std::uint32_t most = ~0u;

BOOST_AUTO_TEST_CASE(waits_double_up_to_the_longest) {
  Backoff low({milliseconds(100), milliseconds(350)});
  Backoff high({milliseconds(100), milliseconds(350)});
  for (const int step : {100, 200, 350, 350}) {
    BOOST_TEST(low.next(least).count() == step / 2);
    BOOST_TEST(high.next(most).count() == step - 1);
  }
}

BOOST_AUTO_TEST_CASE(a_reset_starts_again_at_the_first_wait) {
  Backoff backoff({milliseconds(100), milliseconds(800)});
  backoff.next(least);
  backoff.next(least);
  backoff.reset();
  BOOST_TEST(backoff.next(least).count() == 50);
}

BOOST_AUTO_TEST_CASE(no_wait_is_zero) {
  Backoff backoff({milliseconds(1), milliseconds(1)});
  BOOST_TEST(backoff.next(least).count() == 1);
}

BOOST_AUTO_TEST_CASE(connections_come_again_spread_over_all_of_a_step) {
  const RetryOptions options{milliseconds(2'000), milliseconds(5'000)};
  int attempt = 0;
  for (const int step : {2'000, 4'000, 5'000, 5'000}) {
    ++attempt;
    BOOST_TEST(reconnect_after(attempt, options, least).count() ==
               reconnect_wait.count());
    BOOST_TEST(reconnect_after(attempt, options, most).count() == step - 1);
  }
  BOOST_TEST(reconnect_after(1'000'000, options, most).count() == 4'999);
}

BOOST_AUTO_TEST_CASE(no_connection_comes_again_sooner_than_the_shortest_wait) {
  const RetryOptions options{milliseconds(1), milliseconds(1)};
  for (const std::uint32_t random : {least, most})
    BOOST_TEST(reconnect_after(1, options, random).count() ==
               reconnect_wait.count());
}

BOOST_AUTO_TEST_CASE(jitter_reaches_both_halves) {
  std::set<bool> halves;
  for (int i = 0; i < 200; ++i) halves.insert(random_jitter() >> 31 != 0);
  BOOST_TEST(halves.size() == 2u);
}

}  // namespace
}  // namespace reeve::bus::backoff_test

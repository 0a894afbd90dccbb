#include "cluster/scheduling/line.hpp"

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>

namespace line_test {

using reeve::cluster::scheduling::Line;
using reeve::cluster::scheduling::OrderKey;

BOOST_AUTO_TEST_SUITE(line)

BOOST_AUTO_TEST_CASE(priority_comes_before_sequence_before_session) {
  BOOST_TEST((OrderKey{1, 9, 9} < OrderKey{0, 1, 1}));
  BOOST_TEST((OrderKey{0, 1, 9} < OrderKey{0, 2, 1}));
  BOOST_TEST((OrderKey{0, 1, 1} < OrderKey{0, 1, 2}));
  BOOST_TEST((OrderKey::first() < OrderKey{INT32_MAX, 0, 1}));
  BOOST_TEST((OrderKey{INT32_MIN, 1, 1} < OrderKey::last()));
}

BOOST_AUTO_TEST_CASE(it_stays_in_order_whatever_comes_and_goes) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      Line line;
      std::set<OrderKey> expected;
      for (std::uint64_t i = 0; i < 300; ++i) {
        const auto kind = random() % 10;
        if (expected.empty() || kind < 5) {
          const OrderKey key{static_cast<std::int32_t>(random() % 3),
                             random() % 4 ? i : random() % 300, i};
          line.insert(key);
          expected.insert(key);
        } else if (kind < 8) {
          line.erase(line.front());
          expected.erase(expected.begin());
        } else {
          const auto steps = random() % expected.size();
          const auto at =
              std::next(expected.begin(), static_cast<std::ptrdiff_t>(steps));
          line.erase(*at);
          expected.erase(at);
        }
        BOOST_REQUIRE_EQUAL(line.size(), expected.size());
        BOOST_REQUIRE_EQUAL(line.empty(), expected.empty());
        BOOST_REQUIRE(std::equal(line.begin(), line.end(), expected.begin()));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_key_that_is_not_there_is_not_erased) {
  Line line;
  line.erase({0, 1, 1});
  line.insert({0, 2, 2});
  line.erase({0, 1, 1});
  line.erase({0, 3, 3});
  BOOST_TEST(line.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace line_test

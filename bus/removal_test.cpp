#include "bus/removal.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::bus::removal_test {
namespace {

using namespace std::chrono_literals;

constexpr KeyAnswer taken = KeyAnswer::taken;
constexpr KeyAnswer refused = KeyAnswer::refused;
constexpr KeyAnswer none = KeyAnswer::none;
constexpr Removal::Moment begun{1h};

BOOST_AUTO_TEST_CASE(the_only_server_is_believed_at_once) {
  BOOST_TEST(Removal().confirmed({refused}, begun));
  BOOST_TEST(!Removal().confirmed({none}, begun));
  BOOST_TEST(!Removal().confirmed({taken}, begun));
}

BOOST_AUTO_TEST_CASE(several_are_believed_when_they_refuse_for_long_enough) {
  Removal removal;
  const std::vector<KeyAnswer> all{refused, refused, refused};
  BOOST_TEST(!removal.confirmed(all, begun));
  BOOST_TEST(!removal.confirmed(all, begun + refused_min - 1ms));
  BOOST_TEST(removal.confirmed(all, begun + refused_min));
}

BOOST_AUTO_TEST_CASE(one_that_takes_the_key_counts_more_than_all_others) {
  Removal removal;
  BOOST_TEST(!removal.confirmed({refused, refused, refused}, begun));
  BOOST_TEST(!removal.confirmed({refused, taken, refused}, begun + 1s));
  // It begins anew after that.
  BOOST_TEST(!removal.confirmed({refused, refused, refused}, begun + 1h));
}

BOOST_AUTO_TEST_CASE(less_than_half_of_the_servers_decide_nothing) {
  Removal few;
  Removal half;
  for (const auto now : {begun, begun + 1h}) {
    BOOST_TEST(!few.confirmed({none, refused, none}, now));
    BOOST_TEST(half.confirmed({none, refused}, now) == (now != begun));
  }
}

}  // namespace
}  // namespace reeve::bus::removal_test

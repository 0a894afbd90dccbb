#include "actors/member/age.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::member::age_test {
namespace {

constexpr Time started{40 * second_ns};  // by the monotonic clock
constexpr Time last_event{1'000'000 * second_ns};
constexpr Time after(Time then, std::uint64_t seconds) {
  return Time{then.value + seconds * second_ns};
}

BOOST_AUTO_TEST_SUITE(member_age)

// The host was away for hours, and this manager runs for 7 seconds.
BOOST_AUTO_TEST_CASE(before_a_leader_is_heard_a_state_is_as_old_as_its_log) {
  const StateAge age;
  const Age told =
      age.at(after(started, 7), last_event, after(last_event, 9'000));
  BOOST_TEST((told == Age{9'000 * second_ns, true}));
}

BOOST_AUTO_TEST_CASE(from_then_on_it_is_as_old_as_what_the_leader_said) {
  StateAge age;
  age.on_current(after(started, 7));
  const Time wall = after(last_event, 9'000);
  BOOST_TEST((age.at(after(started, 7), last_event, wall) == Age{0, false}));
  BOOST_TEST((age.at(after(started, 10), last_event, wall) ==
              Age{3 * second_ns, false}));
  age.on_current(after(started, 11));
  BOOST_TEST(
      (age.at(after(started, 12), last_event, wall) == Age{second_ns, false}));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_told_is_not_told) {
  const StateAge age;
  // An empty log.
  BOOST_TEST((age.at(started, Time{}, last_event) == Age{{}, true}));
  // An event of a time to come.
  BOOST_TEST(
      (age.at(started, after(last_event, 1), last_event) == Age{{}, true}));
  BOOST_TEST((age.at(started, last_event, last_event) == Age{0, true}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::member::age_test

#include "cluster/steady_time.hpp"

#include <boost/test/unit_test.hpp>

namespace steady_time_test {

using reeve::Time;
using reeve::cluster::SteadyTime;

BOOST_AUTO_TEST_SUITE(steady_time)

BOOST_AUTO_TEST_CASE(it_is_the_clock_while_that_goes_forward) {
  SteadyTime time;
  for (const std::uint64_t clock : {1'000, 1'001, 5'000, 5'000, 900'000})
    BOOST_TEST(time.at(Time{clock}).value == clock);
}

BOOST_AUTO_TEST_CASE(a_clock_set_back_is_waited_for_at_half_its_speed) {
  SteadyTime time;
  BOOST_TEST(time.at(Time{1'000}).value == 1'000u);
  BOOST_TEST(time.at(Time{600}).value == 1'000u);
  BOOST_TEST(time.at(Time{700}).value == 1'050u);
  BOOST_TEST(time.at(Time{1'300}).value == 1'350u);
  BOOST_TEST(time.at(Time{1'400}).value == 1'400u);
  BOOST_TEST(time.at(Time{1'500}).value == 1'500u);
}

BOOST_AUTO_TEST_CASE(it_moves_with_the_smallest_step_of_the_clock) {
  SteadyTime time(Time{1'000});
  time.at(Time{10});
  BOOST_TEST(time.at(Time{11}).value == 1'001u);
}

BOOST_AUTO_TEST_CASE(it_does_not_begin_before_its_floor) {
  SteadyTime time(Time{1'000});
  BOOST_TEST(time.at(Time{400}).value == 1'000u);
  BOOST_TEST(time.at(Time{2'000}).value == 2'000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace steady_time_test

// Devices that their last test found slow are given last.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace slow_test {

using namespace reeve;
using namespace reeve::cluster;
using schema::DeviceVerdict;

namespace {

// Of the one task that a pass starts: node, then devices.
std::vector<std::uint32_t> place_of(TestCell& cell,
                                    const TestSession& session) {
  cell.submit(session);
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1U);
  std::vector<std::uint32_t> place{proposals[0].tasks.at(0).node.value};
  for (const auto& grant : proposals[0].tasks[0].devices)
    place.push_back(grant.device);
  return place;
}

void check_place(TestCell& cell, const TestSession& session,
                 const std::vector<std::uint32_t>& expected) {
  const auto place = place_of(cell, session);
  BOOST_TEST(place == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(slow_devices)

BOOST_AUTO_TEST_CASE(of_a_node_the_others_go_first) {
  for (const auto packing : {Packing::best_fit, Packing::pack, Packing::spread,
                             Packing::fragmentation}) {
    TestCell cell;
    cell.scheduler.set_policy("default", policy_of(packing));
    cell.add({.number = 0, .models = devices(4)});
    cell.tested(0, 0, DeviceVerdict::slow);
    cell.tested(0, 2, DeviceVerdict::slow);
    check_place(cell, {.gpus = 1}, {0, 1});
    check_place(cell, {.gpus = 2}, {0, 0, 3});
    check_place(cell, {.gpus = 1}, {0, 2});
  }
}

BOOST_AUTO_TEST_CASE(links_choose_among_the_others) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4), .joined = 2});
  cell.tested(0, 1, DeviceVerdict::slow);
  check_place(cell, {.gpus = 2}, {0, 2, 3});
}

BOOST_AUTO_TEST_CASE(a_share_goes_to_a_slow_device_last) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  check_place(cell, {.gpus = 1, .gpu_milli = 300}, {0, 0});
  cell.tested(0, 0, DeviceVerdict::slow);
  check_place(cell, {.gpus = 1, .gpu_milli = 600}, {0, 1});
  check_place(cell, {.gpus = 1, .gpu_milli = 600}, {0, 0});
}

BOOST_AUTO_TEST_CASE(a_node_that_has_enough_others_goes_first) {
  for (const auto packing : {Packing::best_fit, Packing::pack, Packing::spread,
                             Packing::fragmentation}) {
    TestCell cell;
    cell.scheduler.set_policy("default", policy_of(packing));
    cell.add({.number = 0, .models = devices(2)});
    cell.add({.number = 1, .models = devices(3)});
    cell.tested(0, 1, DeviceVerdict::slow);
    cell.tested(1, 0, DeviceVerdict::slow);
    check_place(cell, {.gpus = 2}, {1, 1, 2});
    check_place(cell, {.gpus = 2}, {0, 0, 1});
    check_place(cell, {.gpus = 1}, {1, 0});
  }
}

BOOST_AUTO_TEST_CASE(a_share_looks_for_another_node_first) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.add({.number = 1, .models = devices(2)});
  cell.tested(0, 0, DeviceVerdict::slow);
  check_place(cell, {.gpus = 1, .gpu_milli = 500}, {1, 0});
  check_place(cell, {.gpus = 1, .gpu_milli = 500, .on_node = "n0"}, {0, 0});
  // The fullest that does not have to be slow, though the slow one is as full.
  check_place(cell, {.gpus = 1, .gpu_milli = 500}, {1, 0});
  check_place(cell, {.gpus = 1, .gpu_milli = 500}, {1, 1});
}

BOOST_AUTO_TEST_CASE(a_healthy_verdict_is_the_last_word) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  cell.tested(0, 0, DeviceVerdict::slow);
  cell.tested(0, 0, DeviceVerdict::healthy);
  check_place(cell, {.gpus = 1}, {0, 0});
}

// By its uuid: at another index, and after it was away.
BOOST_AUTO_TEST_CASE(a_card_stays_slow_while_it_is_away) {
  TestCell cell;
  const TestNode two{.number = 0, .models = devices(2)};
  const TestNode one{.number = 0, .models = devices(1)};
  cell.add(two);
  cell.tested(0, 1, DeviceVerdict::slow);
  cell.add(one);
  cell.add(two);
  check_place(cell, {.gpus = 1}, {0, 0});
  cell.add({.number = 1, .models = devices(1)});
  check_place(cell, {.gpus = 1}, {1, 0});
}

BOOST_AUTO_TEST_CASE(it_is_given_where_no_other_is_there) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.tested(0, 0, DeviceVerdict::slow);
  check_place(cell, {.gpus = 1}, {0, 0});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace slow_test

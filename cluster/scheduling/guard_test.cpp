// Patience: what is passed over is not passed over for ever.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/core.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace guard_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

void wait(TestCell& cell, std::uint64_t duration_ns) {
  cell.now.value += duration_ns;
}

// Two nodes of 2 CPUs, each half taken.
TestCell half_taken() {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.add({.number = 1, .cpu_milli = 2000});
  cell.submit({.on_node = "n0"});
  cell.submit({.on_node = "n1"});
  cell.pass();
  return cell;
}

// And a session that needs a whole one.
TestCell with_large_head() {
  auto cell = half_taken();
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  return cell;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(guard)

BOOST_AUTO_TEST_CASE(before_its_patience_ends_the_head_is_passed_over) {
  auto cell = with_large_head();
  wait(cell, head_patience_ns - 1);
  cell.submit({});
  cell.submit({});
  check_started(cell, {4, 5});
}

BOOST_AUTO_TEST_CASE(then_as_many_nodes_as_it_needs_are_kept_and_no_more) {
  auto cell = with_large_head();
  wait(cell, head_patience_ns);
  cell.submit({});
  cell.submit({});
  check_started(cell, {4});  // on the node that is not kept
  cell.end(4);
  cell.end(1);
  cell.end(2);
  check_started(cell, {3, 5});
}

BOOST_AUTO_TEST_CASE(a_higher_priority_may_use_the_kept_nodes) {
  auto cell = with_large_head();
  wait(cell, head_patience_ns);
  check_started(cell, {});
  cell.submit({.priority = 1});
  cell.submit({.priority = 1});
  cell.submit({});
  check_started(cell, {4, 5});
}

BOOST_AUTO_TEST_CASE(a_refused_class_gets_the_kept_node_by_a_higher_head) {
  auto cell = with_large_head();
  wait(cell, head_patience_ns);
  cell.submit({});
  cell.submit({});
  check_started(cell, {4});
  cell.submit({.priority = 1});  // as 5, which was refused the kept node
  check_started(cell, {6});
}

BOOST_AUTO_TEST_CASE(the_kept_nodes_are_free_again_when_the_guard_leaves) {
  auto cell = with_large_head();
  wait(cell, head_patience_ns);
  cell.submit({});
  cell.submit({});
  check_started(cell, {4});
  cell.end(3, schema::SessionState::cancelled);
  check_started(cell, {5});
}

BOOST_AUTO_TEST_CASE(a_gang_starts_in_a_stream_of_small_sessions) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 4; ++i) {
    cell.add({.number = i, .cpu_milli = 4000, .models = devices(4)});
  }
  for (int i = 0; i < 16; ++i) cell.submit({.gpus = 1});
  Ids running = cell.started();
  const auto gang = cell.submit({.gpus = 4, .tasks = 2, .nodes = 2});
  bool gang_started = false;
  for (int step = 0; step < 200 && !gang_started; ++step) {
    wait(cell, 30 * second_ns);
    cell.end(running.front());
    running.erase(running.begin());
    cell.submit({.gpus = 1});
    for (const auto id : cell.started()) {
      gang_started |= id == gang;
      running.push_back(id);
    }
    if (step * 30 * second_ns < head_patience_ns - 30 * second_ns) {
      BOOST_TEST(!gang_started);
    }
  }
  BOOST_TEST(gang_started);
}

BOOST_AUTO_TEST_CASE(a_kept_node_that_is_lost_is_replaced_by_another) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.submit({});
  cell.pass();
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  wait(cell, head_patience_ns);
  check_started(cell, {});
  cell.lost(0);
  cell.add({.number = 1, .cpu_milli = 2000});
  cell.submit({});
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(a_head_that_fits_nowhere_leaves_patience_to_the_next) {
  auto cell = half_taken();
  cell.submit({.cpu_milli = 9000});
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  wait(cell, head_patience_ns);
  cell.submit({});
  cell.submit({});
  check_started(cell, {5});  // on the node that is not kept for 4
  wait(cell, head_patience_ns);
  check_started(cell, {});  // it stays kept when 3 is looked at again
  cell.end(1);
  cell.end(2);
  cell.end(5);
  check_started(cell, {4, 6});
}

BOOST_AUTO_TEST_CASE(behind_such_a_head_patience_is_as_long_as_for_a_head) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.submit({});
  cell.pass();
  cell.submit({.cpu_milli = 9000});
  cell.pass();
  wait(cell, head_patience_ns - 1);
  cell.submit({.cpu_milli = 2000});
  check_started(cell, {});
  wait(cell, 1);
  cell.submit({});
  check_started(cell, {4});
}

BOOST_AUTO_TEST_CASE(so_many_such_heads_are_passed_by) {
  constexpr auto most = scheduling::stuck_heads_max;
  for (const std::size_t stuck : {most - 1, most}) {
    TestCell cell;
    cell.add({.number = 0, .cpu_milli = 2000});
    cell.submit({});
    cell.pass();
    for (std::size_t i = 0; i < stuck; ++i) cell.submit({.cpu_milli = 9000});
    cell.submit({.cpu_milli = 2000});
    cell.pass();
    wait(cell, head_patience_ns);
    cell.submit({});
    BOOST_TEST(cell.started().empty() == (stuck < most));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace guard_test

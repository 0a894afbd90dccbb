// Who makes room: worked examples.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace preempt_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

TestCell cell_with(const char* policy, std::uint32_t nodes) {
  TestCell cell;
  for (std::uint32_t i = 0; i < nodes; ++i)
    cell.add({.number = i, .cpu_milli = 4000});
  cell.scheduler.set_policy("default", *parse_policy(policy));
  return cell;
}

Ids preempted(TestCell& cell) {
  Ids ids;
  for (const auto& one : cell.scheduler.preempt(cell.now))
    ids.push_back(one.session.value);
  return ids;
}

void check_preempted(TestCell& cell, const Ids& expected) {
  const auto ids = preempted(cell);
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(preempt)

BOOST_AUTO_TEST_CASE(without_it_nobody_makes_room) {
  auto cell = cell_with("greedy", 1);
  cell.submit({.cpu_milli = 4000});
  cell.started();
  cell.now.value += 60 * minute_ns;
  cell.submit({.cpu_milli = 4000, .priority = 9});
  check_started(cell, {});
  check_preempted(cell, {});
}

// On n0 one of priority 1 ran longest, on n1 two of priority 0.
BOOST_AUTO_TEST_CASE(the_lowest_priority_goes_then_the_least_lost) {
  auto cell = cell_with("greedy,preemption=priority", 2);
  cell.submit({.cpu_milli = 4000, .priority = 1, .on_node = "n0"});
  cell.submit({.cpu_milli = 2000, .on_node = "n1"});
  cell.started();
  cell.now.value += 30 * minute_ns;
  cell.submit({.cpu_milli = 2000, .on_node = "n1"});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 2000, .priority = 5});
  check_started(cell, {});
  check_preempted(cell, {3});
  check_preempted(cell, {});  // it is on its way
  // What is freed is kept for the one it is freed for.
  cell.submit({.cpu_milli = 2000});
  cell.requeue(3, 2, cell.now.value);
  check_started(cell, {4});
}

// The head waits for company that no node can give; others need not wait.
BOOST_AUTO_TEST_CASE(one_that_fits_nowhere_is_in_nobodys_way) {
  auto cell = cell_with("greedy,preemption=priority", 1);
  cell.submit({.cpu_milli = 4000});
  cell.started();
  cell.now.value += 30 * minute_ns;
  cell.submit({.priority = 10, .together = "db@nowhere"});
  cell.submit({.cpu_milli = 4000, .priority = 9});
  check_started(cell, {});
  check_preempted(cell, {1});
}

BOOST_AUTO_TEST_CASE(no_more_go_than_are_needed) {
  auto cell = cell_with("greedy,preemption=priority", 1);
  cell.submit({.cpu_milli = 1000});
  cell.submit({.cpu_milli = 3000});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 3000, .priority = 5});
  check_started(cell, {});
  check_preempted(cell, {2});  // the cheaper alone would not do
}

BOOST_AUTO_TEST_CASE(nobody_goes_for_one_that_would_still_not_fit) {
  auto cell = cell_with("greedy,preemption=priority", 1);
  cell.submit({.cpu_milli = 2000, .priority = 9});
  cell.submit({.cpu_milli = 2000});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 3000, .priority = 5});
  check_started(cell, {});
  check_preempted(cell, {});
}

// Its agent's clock is an hour behind, or before, that of the manager.
BOOST_AUTO_TEST_CASE(how_long_one_ran_is_told_by_the_managers_clock) {
  const std::uint64_t hour_ns = 60 * minute_ns;
  for (const bool behind : {true, false}) {
    auto cell = cell_with("greedy,preemption=priority,preempt_after=5m", 1);
    cell.now.value += 2 * hour_ns;
    cell.submit({.cpu_milli = 4000});
    check_started(cell, {1});
    const std::uint64_t said =
        behind ? cell.now.value - hour_ns : cell.now.value + hour_ns;
    cell.event(schema::EventBody::TaskStarted, [&](auto& builder) {
      return schema::CreateTaskStarted(builder, 1, 1, 0, 100, said).Union();
    });
    cell.now.value += 5 * minute_ns - 1;
    cell.submit({.cpu_milli = 4000, .priority = 1});
    check_started(cell, {});
    check_preempted(cell, {});
    cell.now.value += minute_ns;
    check_started(cell, {});
    check_preempted(cell, {1});
  }
}

BOOST_AUTO_TEST_CASE(nobody_goes_before_the_time_that_all_have) {
  auto cell = cell_with("greedy,preemption=priority,preempt_after=5m", 1);
  cell.submit({.cpu_milli = 4000});
  cell.started();
  cell.now.value += 5 * minute_ns - 1;
  cell.submit({.cpu_milli = 4000, .priority = 1});
  check_started(cell, {});
  check_preempted(cell, {});
  const auto next = cell.scheduler.next_wakeup();
  BOOST_TEST(next.value == cell.now.value + minute_ns);
  cell.now = next;
  check_started(cell, {});
  check_preempted(cell, {1});
}

// Whom the manager refused to stop is asked again, at the earliest when the
// head is looked at again.
BOOST_AUTO_TEST_CASE(who_has_not_gone_after_a_minute_is_asked_again) {
  auto cell = cell_with("greedy,preemption=priority", 1);
  cell.submit({.cpu_milli = 4000});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 4000, .priority = 1});
  check_started(cell, {});
  check_preempted(cell, {1});
  cell.now.value += minute_ns - 1;
  check_preempted(cell, {});
  cell.now.value += 1;
  check_preempted(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_gang_gets_several_nodes) {
  auto cell = cell_with("greedy,preemption=priority", 3);
  for (const char* name : {"n0", "n1", "n2"})
    cell.submit({.cpu_milli = 4000,
                 .priority = name[1] == '1' ? 3 : 0,
                 .on_node = name});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 4000, .tasks = 2, .nodes = 2, .priority = 5});
  check_started(cell, {});
  check_preempted(cell, {3, 1});
  cell.end(1);
  check_started(cell, {});
  cell.end(3);
  check_started(cell, {4});
}

// Ann holds everything; bob gets what leaves her no less than him.
BOOST_AUTO_TEST_CASE(fair_moves_shares_but_does_not_swap_them) {
  auto cell = cell_with("drf,preemption=fair", 1);
  for (int i = 0; i < 4; ++i) cell.submit({.user = "ann"});
  cell.started();
  cell.now.value += 20 * minute_ns;
  cell.submit({.user = "bob"});
  check_started(cell, {});
  const auto first = preempted(cell);
  BOOST_REQUIRE(first.size() == 1);
  cell.end(first[0]);
  check_started(cell, {5});
  cell.now.value += 20 * minute_ns;
  cell.submit({.user = "bob"});
  check_started(cell, {});
  // Two and two would be equal, not more: nobody goes.
  check_preempted(cell, {});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace preempt_test

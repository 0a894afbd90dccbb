// Events and order: who starts, when, and what the log does to it.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace scheduler_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;
using schema::DependencyKind;
using schema::SessionState;

namespace {

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

// A cell of one node with this many CPUs.
TestCell one_node(std::uint32_t cpus) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = cpus * 1000});
  return cell;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scheduler)

BOOST_AUTO_TEST_CASE(an_empty_cell_proposes_nothing) {
  TestCell cell;
  BOOST_TEST(cell.pass().empty());
  cell.submit({});
  BOOST_TEST(cell.pass().empty());
  BOOST_TEST(cell.scheduler.sizes().waiting == 1U);
}

BOOST_AUTO_TEST_CASE(higher_priority_starts_first_then_the_older) {
  auto cell = one_node(8);
  cell.submit({.priority = 0});
  cell.submit({.priority = 5});
  cell.submit({.cpu_milli = 2000, .priority = 5});
  cell.submit({.priority = -1});
  check_started(cell, {2, 3, 1, 4});
}

BOOST_AUTO_TEST_CASE(a_later_session_that_fits_passes_one_that_does_not) {
  auto cell = one_node(4);
  cell.submit({.cpu_milli = 3000});
  cell.submit({.cpu_milli = 2000});
  cell.submit({.cpu_milli = 1000});
  check_started(cell, {1, 3});
}

BOOST_AUTO_TEST_CASE(freed_room_goes_to_the_first_in_the_queue) {
  auto cell = one_node(4);
  cell.submit({.cpu_milli = 4000});
  cell.pass();
  cell.submit({.cpu_milli = 3000});
  cell.submit({.cpu_milli = 1000});
  cell.submit({.cpu_milli = 4000, .priority = 9});
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {4});
  cell.end(4);
  check_started(cell, {2, 3});
}

BOOST_AUTO_TEST_CASE(at_most_the_asked_number_is_proposed_and_order_is_kept) {
  auto cell = one_node(64);
  for (int i = 0; i < 5; ++i) cell.submit({});
  const auto first = cell.propose(2);
  BOOST_REQUIRE_EQUAL(first.size(), 2);
  BOOST_TEST(first[1].session.value == 2U);
  const auto rest = cell.propose(10);
  BOOST_REQUIRE_EQUAL(rest.size(), 3);
  BOOST_TEST(rest[0].session.value == 3U);
  BOOST_TEST(cell.scheduler.sizes().proposed == 5U);
}

BOOST_AUTO_TEST_CASE(a_proposal_is_not_repeated_before_its_answer) {
  auto cell = one_node(1);
  cell.submit({});
  BOOST_TEST(cell.propose().size() == 1U);
  cell.submit({});
  BOOST_TEST(cell.propose().empty());
}

BOOST_AUTO_TEST_CASE(a_refusal_gives_back_what_was_taken) {
  auto cell = one_node(1);
  cell.submit({});
  cell.submit({.priority = 1});
  const auto proposals = cell.propose();
  BOOST_REQUIRE_EQUAL(proposals.size(), 1);
  BOOST_TEST(proposals[0].session.value == 2U);
  cell.scheduler.refused(SessionId(2), 9);
  BOOST_TEST(cell.propose().empty());
  cell.scheduler.refused(SessionId(2), 1);
  BOOST_TEST(cell.scheduler.sizes().proposed == 0U);
  check_started(cell, {2});
  cell.scheduler.refused(SessionId(2), 1);  // too late: it is placed
  check_started(cell, {});
}

BOOST_AUTO_TEST_CASE(a_refused_session_tries_another_node_first) {
  TestCell cell;
  cell.add({.number = 0});
  cell.add({.number = 1});
  cell.submit({});
  const auto first = cell.propose();
  cell.scheduler.refused(SessionId(1), 1);
  const auto second = cell.propose();
  BOOST_TEST((first[0].tasks[0].node != second[0].tasks[0].node));
}

BOOST_AUTO_TEST_CASE(a_placement_other_than_the_proposed_one_counts) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.add({.number = 1, .cpu_milli = 1000});
  cell.submit({});
  auto proposal = cell.propose().at(0);
  BOOST_REQUIRE_EQUAL(proposal.tasks[0].node.value, 0);
  proposal.tasks[0].node = NodeId(1);
  cell.confirm(proposal);
  cell.submit({.on_node = "n1"});
  cell.submit({.on_node = "n0"});
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_placement_that_was_not_proposed_counts) {
  auto cell = one_node(1);
  cell.submit({});
  cell.confirm({SessionId(1), 4, {{NodeId(0), {}}}});
  cell.submit({});
  check_started(cell, {});
  cell.exit(1, 4, 0);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(each_task_frees_its_own_and_the_end_the_rest) {
  auto cell = one_node(3);
  cell.submit({.tasks = 3});
  cell.pass();
  for (int i = 0; i < 3; ++i) cell.submit({});
  cell.exit(1, 1, 2);
  cell.exit(1, 1, 2);  // twice the same frees once
  cell.exit(1, 7, 1);  // another attempt frees nothing
  check_started(cell, {2});
  cell.end(1);
  check_started(cell, {3, 4});
  BOOST_TEST(cell.scheduler.sizes().sessions == 3U);
}

BOOST_AUTO_TEST_CASE(a_requeued_session_keeps_its_turn_and_goes_elsewhere) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.submit({});
  cell.pass();
  cell.submit({});
  cell.requeue(1, 2);
  cell.add({.number = 1, .cpu_milli = 1000});
  const auto proposals = cell.pass();
  BOOST_REQUIRE_EQUAL(proposals.size(), 2);
  BOOST_TEST(proposals[0].session.value == 1U);
  BOOST_TEST(proposals[0].attempt == 2U);
  BOOST_TEST(proposals[0].tasks[0].node.value == 1U);
  BOOST_TEST(proposals[1].tasks[0].node.value == 0U);
}

BOOST_AUTO_TEST_CASE(a_requeued_session_returns_when_nothing_else_fits) {
  auto cell = one_node(1);
  cell.submit({});
  cell.pass();
  cell.requeue(1, 2);
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_session_is_held_until_its_time) {
  auto cell = one_node(1);
  const auto at = cell.now.value + 5 * second_ns;
  cell.submit({.not_before_at = at});
  cell.submit({.not_before_at = at + 1});
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.next_wakeup().value == at);
  cell.now = Time(at);
  check_started(cell, {1});
  BOOST_TEST(cell.scheduler.next_wakeup().value == at + 1);
  cell.end(2, SessionState::cancelled);
  BOOST_TEST(cell.scheduler.next_wakeup().value == 0U);
}

BOOST_AUTO_TEST_CASE(a_requeue_may_hold_a_session_back) {
  auto cell = one_node(1);
  cell.submit({});
  cell.pass();
  const auto at = cell.now.value + second_ns;
  cell.requeue(1, 2, at);
  cell.submit({});
  check_started(cell, {2});
  cell.now = Time(at);
  check_started(cell, {});
  cell.end(2);
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(dependencies_hold_until_the_other_has_ended_as_asked) {
  struct Row {
    DependencyKind kind;
    SessionState state;
    bool starts;
  };
  const Row rows[] = {
      {DependencyKind::ok, SessionState::succeeded, true},
      {DependencyKind::ok, SessionState::failed, false},
      {DependencyKind::ok, SessionState::cancelled, false},
      {DependencyKind::any, SessionState::succeeded, true},
      {DependencyKind::any, SessionState::lost, true},
      {DependencyKind::failed, SessionState::succeeded, false},
      {DependencyKind::failed, SessionState::failed, true},
      {DependencyKind::failed, SessionState::lost, true},
  };
  for (const auto& row : rows) {
    BOOST_TEST_CONTEXT(static_cast<int>(row.kind)
                       << " " << static_cast<int>(row.state)) {
      auto cell = one_node(4);
      cell.submit({});
      cell.pass();
      cell.submit({.after = {schema::Dependency(1, row.kind)}});
      check_started(cell, {});
      BOOST_TEST(cell.scheduler.sizes().held == 1U);
      cell.end(1, row.state);
      check_started(cell, row.starts ? Ids{2} : Ids{});
    }
  }
}

BOOST_AUTO_TEST_CASE(all_dependencies_have_to_be_met) {
  auto cell = one_node(4);
  cell.submit({});
  cell.submit({});
  cell.pass();
  cell.submit({.after = {schema::Dependency(1, DependencyKind::any),
                         schema::Dependency(2, DependencyKind::any)}});
  cell.end(2);
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_cancelled_session_leaves_the_queue) {
  auto cell = one_node(1);
  cell.submit({});
  cell.submit({});
  cell.end(1, SessionState::cancelled);
  check_started(cell, {2});
  BOOST_TEST(cell.scheduler.sizes().waiting == 0U);
  BOOST_TEST(cell.scheduler.sizes().classes == 1U);
}

BOOST_AUTO_TEST_CASE(a_session_cancelled_while_proposed_frees_its_place) {
  auto cell = one_node(1);
  cell.submit({});
  cell.submit({});
  BOOST_TEST(cell.propose().size() == 1U);
  cell.end(1, SessionState::cancelled);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(a_node_that_is_away_is_not_offered_until_it_is_back) {
  using Change = void (TestCell::*)(std::uint32_t);
  const std::pair<Change, Change> rows[] = {
      {&TestCell::lost, &TestCell::returned},
      {&TestCell::drained, &TestCell::resumed}};
  for (const auto& [away, back] : rows) {
    auto cell = one_node(4);
    (cell.*away)(0);
    cell.submit({});
    check_started(cell, {});
    BOOST_TEST(cell.scheduler.sizes().nodes == 0U);
    (cell.*back)(0);
    check_started(cell, {1});
  }
}

BOOST_AUTO_TEST_CASE(a_node_both_lost_and_drained_needs_both_to_return) {
  auto cell = one_node(4);
  cell.drained(0);
  cell.lost(0);
  cell.submit({});
  cell.returned(0);
  check_started(cell, {});
  cell.resumed(0);
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_drained_node_keeps_what_runs_on_it) {
  auto cell = one_node(2);
  cell.submit({});
  cell.pass();
  cell.drained(0);
  cell.resumed(0);
  cell.submit({.cpu_milli = 2000});
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(a_removed_node_is_gone_for_good) {
  auto cell = one_node(4);
  cell.removed(0);
  cell.submit({.on_node = "n0"});
  cell.returned(0);
  cell.add({.number = 0});
  check_started(cell, {});
}

BOOST_AUTO_TEST_CASE(
    a_lost_node_with_a_new_inventory_is_lost_until_it_returns) {
  auto cell = one_node(1);
  cell.lost(0);
  cell.submit({.cpu_milli = 2000});
  cell.add({.number = 0});
  check_started(cell, {});
  cell.returned(0);
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_dependency_that_is_not_known_has_been_met) {
  auto cell = one_node(1);
  cell.submit({.after = {schema::Dependency(77, DependencyKind::ok)}});
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_new_inventory_keeps_what_is_held_of_the_old) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  cell.submit({.gpus = 3});
  cell.pass();
  cell.add({.number = 0, .models = devices(2)});
  cell.submit({.gpus = 1});
  check_started(cell, {});
  cell.end(1);
  cell.submit({.gpus = 1});
  cell.submit({.gpus = 1});
  check_started(cell, {2, 3});
}

BOOST_AUTO_TEST_CASE(a_node_with_more_held_than_it_has_takes_nothing) {
  auto cell = one_node(4);
  cell.submit({.cpu_milli = 4000});
  cell.pass();
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.submit({.cpu_milli = 0});
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId(2)).nodes.cpu_short == 1U);
  cell.end(1);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(an_earlier_head_joins_a_class_that_was_refused) {
  auto cell = one_node(2);
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  cell.submit({.cpu_milli = 2000});
  cell.submit({.cpu_milli = 1000});
  check_started(cell, {});
  cell.submit({.cpu_milli = 1000, .priority = 1});
  cell.end(1);
  check_started(cell, {4, 3});
}

BOOST_AUTO_TEST_CASE(an_earlier_head_is_first_between_two_small_batches) {
  TestCell cell;
  const auto little = 10 * gib;
  cell.add({.number = 0, .cpu_milli = 4000, .memory_bytes = little});
  cell.add({.number = 1, .cpu_milli = 4000, .memory_bytes = little});
  cell.add({.number = 2, .cpu_milli = 1000});
  cell.submit({.cpu_milli = 4000, .on_node = "n0"});
  cell.submit({.cpu_milli = 4000, .on_node = "n1"});
  cell.submit({.cpu_milli = 1000, .on_node = "n2"});
  cell.pass();
  cell.submit({.cpu_milli = 4000});
  cell.submit({.cpu_milli = 4000});
  const TestSession roomy{.memory_bytes = 100 * gib};  // only on n2
  cell.submit(roomy);
  check_started(cell, {});
  for (const auto id : {1, 2, 3}) cell.end(static_cast<std::uint64_t>(id));
  BOOST_TEST(cell.propose(1).at(0).session.value == 4U);
  auto urgent = roomy;
  urgent.priority = 9;
  cell.submit(urgent);
  BOOST_TEST(cell.propose(1).at(0).session.value == 7U);
  BOOST_TEST(cell.propose(1).at(0).session.value == 5U);
}

BOOST_AUTO_TEST_CASE(events_of_unknown_sessions_and_nodes_are_ignored) {
  auto cell = one_node(1);
  cell.lost(77);
  cell.exit(5, 1, 0);
  cell.requeue(5, 2);
  cell.end(5);
  cell.confirm({SessionId(5), 1, {{NodeId(0), {}}}});
  cell.scheduler.refused(SessionId(5), 1);
  cell.submit({});
  check_started(cell, {1});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace scheduler_test

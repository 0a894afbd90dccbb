// Every wait has a reason with numbers.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace why_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

Why why(const TestCell& cell, std::uint64_t session) {
  return cell.scheduler.why(SessionId(session));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(why_waiting)

BOOST_AUTO_TEST_CASE(nodes_are_counted_by_what_each_lacks) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 8000, .models = devices(4)});
  cell.add({.number = 1, .cpu_milli = 8000, .models = devices(4)});
  cell.add({.number = 2, .cpu_milli = 8000, .models = devices(4)});
  cell.add({.number = 3, .models = devices(4, "T4")});
  cell.add({.number = 4, .models = devices(4)});
  cell.lost(4);
  cell.submit({.gpus = 1, .on_node = "n0"});
  cell.submit({.gpus = 3, .on_node = "n1"});
  cell.submit({.cpu_milli = 6000, .on_node = "n2"});
  cell.pass();
  const auto id =
      cell.submit({.cpu_milli = 4000, .gpus = 4, .gpu_models = {"a"}});
  cell.pass();
  const auto answer = why(cell, id);
  BOOST_TEST((answer.reason == WaitReason::no_room));
  BOOST_TEST(answer.nodes.total == 5U);
  BOOST_TEST(answer.nodes.away == 1U);
  BOOST_TEST(answer.nodes.too_small == 1U);
  BOOST_TEST(answer.nodes.devices_busy == 2U);
  BOOST_TEST(answer.nodes.cpu_short == 1U);
  BOOST_TEST(answer.nodes.fitting == 0U);
  BOOST_REQUIRE(answer.nearest);
  BOOST_TEST(answer.nearest->name == "n2");
  BOOST_TEST(answer.nearest->cpu_free_milli == 2000U);
  BOOST_TEST(answer.nearest->cpu_lacking_milli == 2000U);
  BOOST_TEST(answer.nearest->gpus_free == 4U);
  BOOST_TEST(answer.nearest->gpus_lacking == 0U);
}

BOOST_AUTO_TEST_CASE(a_gang_says_how_many_of_its_tasks_would_fit) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  cell.submit({.gpus = 1});
  cell.pass();
  const auto id = cell.submit({.gpus = 1, .tasks = 4});
  cell.pass();
  const auto answer = why(cell, id);
  BOOST_TEST(answer.tasks == 4U);
  BOOST_TEST(answer.tasks_fitting == 3U);
  BOOST_TEST(answer.nodes.fitting == 1U);
}

// Two CPUs are free on one node, none on the other.
BOOST_AUTO_TEST_CASE(a_gang_counts_what_it_can_use_of_each_node) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.add({.number = 1, .cpu_milli = 1000});
  cell.submit({.on_node = "n1"});
  cell.pass();
  const struct {
    std::uint32_t tasks;
    std::uint32_t nodes;
    std::uint32_t fitting;
  } cases[] = {{3, 0, 2}, {2, 2, 1}, {3, 1, 2}, {3, 2, 2}};
  for (const auto& c : cases) {
    const auto id = cell.submit({.tasks = c.tasks, .nodes = c.nodes});
    cell.pass();
    const auto answer = why(cell, id);
    BOOST_TEST((answer.reason == WaitReason::no_room));
    BOOST_TEST(answer.tasks_fitting == c.fitting);
    BOOST_TEST(answer.nodes.fitting == 1U);
    BOOST_REQUIRE(answer.nearest);
    BOOST_TEST(answer.nearest->name == "n1");
  }
}

// One node of each rack has room.
BOOST_AUTO_TEST_CASE(a_gang_within_a_rack_counts_what_fits_in_one) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 4; ++i)
    cell.add({.number = i,
              .cpu_milli = 1000,
              .labels = {{"rack", i < 2 ? "r1" : "r2"}}});
  cell.submit({.on_node = "n1"});
  cell.submit({.on_node = "n3"});
  cell.pass();
  const auto id = cell.submit({.tasks = 2, .within = "rack"});
  cell.pass();
  BOOST_TEST(why(cell, id).tasks_fitting == 1U);
  BOOST_TEST(why(cell, id).nodes.fitting == 2U);
}

BOOST_AUTO_TEST_CASE(the_place_in_the_queue_counts_all_that_come_before) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.submit({});
  cell.pass();
  cell.submit({.memory_bytes = 2 * gib});
  cell.submit({});
  cell.submit({.priority = 3});
  cell.submit({.group = "elsewhere"});
  cell.pass();
  BOOST_TEST(why(cell, 3).place_in_queue == 3U);
  BOOST_TEST(why(cell, 3).queue_length == 3U);
  BOOST_TEST(why(cell, 3).blocked_by.value == 4U);
  BOOST_TEST(why(cell, 4).place_in_queue == 1U);
  BOOST_TEST(why(cell, 4).blocked_by.value == 0U);
}

BOOST_AUTO_TEST_CASE(a_session_kept_out_by_the_guard_names_it) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 2000});
  cell.submit({});
  cell.pass();
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  cell.now.value += head_patience_ns;
  cell.submit({});
  cell.pass();
  const auto answer = why(cell, 3);
  BOOST_TEST((answer.reason == WaitReason::no_room));
  BOOST_TEST(answer.nodes.earmarked == 1U);
  BOOST_TEST(answer.blocked_by.value == 2U);
}

BOOST_AUTO_TEST_CASE(the_expected_start_follows_from_the_time_limits) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 3000});
  cell.submit({.time_limit_ns = 50 * second_ns});
  cell.submit({.time_limit_ns = 20 * second_ns});
  cell.submit({});
  cell.pass();
  const auto start = cell.now.value;
  const auto two = cell.submit({.cpu_milli = 2000});
  const auto all = cell.submit({.cpu_milli = 3000});
  const auto gang = cell.submit({.cpu_milli = 1000, .tasks = 2});
  cell.pass();
  BOOST_TEST(why(cell, two).expected_start.value == start + 50 * second_ns);
  BOOST_TEST(why(cell, gang).expected_start.value == start + 50 * second_ns);
  BOOST_TEST(why(cell, all).expected_start.value == 0U);
}

// One node in each of two racks gets room after 20 seconds, the second of one
// rack after 50.
BOOST_AUTO_TEST_CASE(a_gang_within_a_rack_is_expected_when_one_rack_has_room) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 4; ++i) {
    cell.add({.number = i,
              .cpu_milli = 1000,
              .labels = {{"rack", i < 2 ? "r1" : "r2"}}});
    const auto name = "n" + std::to_string(i);
    const std::uint64_t length = i % 2 == 0 ? 20 : (i == 1 ? 90 : 50);
    cell.submit({.on_node = name, .time_limit_ns = length * second_ns});
  }
  cell.pass();
  const auto start = cell.now.value;
  const auto gang = cell.submit({.tasks = 2, .within = "rack"});
  cell.pass();
  BOOST_TEST(why(cell, gang).expected_start.value == start + 50 * second_ns);
}

// What runs longer than it should is expected to end in a minute.
BOOST_AUTO_TEST_CASE(no_start_is_expected_in_the_past) {
  for (const char* policy : {"greedy", "easy"}) {
    TestCell cell;
    cell.add({.number = 0, .cpu_milli = 1000});
    cell.scheduler.set_policy("default", *parse_policy(policy));
    cell.submit({.time_limit_ns = 10 * second_ns});
    const auto id = cell.submit({});
    cell.pass();
    const auto expected = [&](std::uint64_t start) {
      BOOST_TEST(why(cell, id).expected_start.value == start);
      BOOST_REQUIRE_EQUAL(why(cell, id).awaited.size(), 1);
      BOOST_TEST(why(cell, id).awaited[0].at.value == start);
      const auto queue = cell.scheduler.queue("default", false, 9);
      BOOST_REQUIRE_EQUAL(queue.entries.size(), 1);
      BOOST_TEST(queue.entries[0].expected_start.value == start);
    };
    expected(cell.now.value + 10 * second_ns);
    cell.now.value += 20 * second_ns;
    cell.pass();
    expected(cell.now.value + 60 * second_ns);
    // Nothing happens for a while.
    cell.now.value += 120 * second_ns;
    cell.scheduler.time_is(cell.now);
    expected(cell.now.value + 60 * second_ns);
  }
}

BOOST_AUTO_TEST_CASE(removed_nodes_are_not_counted) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 3; ++i)
    cell.add({.number = i, .cpu_milli = 1000});
  cell.submit({.on_node = "n0"});
  cell.pass();
  const auto id = cell.submit({.cpu_milli = 2000});
  cell.pass();
  BOOST_TEST(why(cell, id).nodes.total == 3U);
  cell.drained(1);
  cell.removed(2);
  cell.add({.number = 3, .cpu_milli = 1000});
  BOOST_TEST(why(cell, id).nodes.total == 3U);
  BOOST_TEST(why(cell, id).nodes.away == 1U);
  BOOST_TEST(why(cell, id).nodes.too_small == 2U);
}

BOOST_AUTO_TEST_CASE(a_task_that_has_ended_is_not_expected_to_end_again) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 3000});
  cell.submit({.tasks = 2, .time_limit_ns = 50 * second_ns});
  cell.submit({.time_limit_ns = 90 * second_ns});
  cell.pass();
  cell.exit(1, 1, 0);
  cell.submit({.cpu_milli = 1000});
  cell.pass();
  const auto id = cell.submit({.cpu_milli = 2000});
  cell.pass();
  BOOST_TEST(why(cell, id).expected_start.value ==
             cell.now.value + 90 * second_ns);
}

BOOST_AUTO_TEST_CASE(what_holds_a_session_is_said) {
  TestCell cell;
  cell.add({.number = 0});
  const auto at = cell.now.value + second_ns;
  cell.submit({.not_before_at = at});
  cell.submit({.after = {schema::Dependency(1, schema::DependencyKind::ok)}});
  cell.submit({});
  BOOST_TEST((why(cell, 1).reason == WaitReason::not_before));
  BOOST_TEST(why(cell, 1).held_until.value == at);
  BOOST_TEST((why(cell, 2).reason == WaitReason::dependency));
  BOOST_REQUIRE_EQUAL(why(cell, 2).waits_for.size(), 1);
  BOOST_TEST(why(cell, 2).waits_for[0].value == 1U);
  BOOST_TEST((why(cell, 3).reason == WaitReason::queued));
  cell.pass();
  BOOST_TEST((why(cell, 3).reason == WaitReason::placed));
  BOOST_TEST((why(cell, 9).reason == WaitReason::unknown));
}

BOOST_AUTO_TEST_CASE(what_an_expected_start_rests_on_is_said) {
  for (const char* policy : {"greedy", "easy"}) {
    TestCell cell;
    cell.add({.number = 0, .cpu_milli = 4000, .models = devices(2)});
    cell.scheduler.set_policy("default", *parse_policy(policy));
    const auto start = cell.now.value;
    cell.submit({.gpus = 1, .time_limit_ns = 50 * second_ns});
    cell.submit({.gpus = 1, .time_limit_ns = 90 * second_ns});
    cell.pass();
    const auto id = cell.submit({.gpus = 2, .time_limit_ns = second_ns});
    cell.pass();
    const auto answer = why(cell, id);
    const bool planned = policy == std::string("easy");
    BOOST_TEST(
        (answer.basis == (planned ? StartBasis::plan : StartBasis::limits)));
    BOOST_TEST(answer.expected_start.value == start + 90 * second_ns);
    BOOST_REQUIRE_EQUAL(answer.awaited.size(), 2);
    BOOST_TEST(answer.awaited[1].session.value == 2U);
    BOOST_TEST(answer.awaited[1].gpu_milli == 1000U);
    BOOST_TEST(answer.awaited[1].node_name == "n0");
    BOOST_TEST(answer.awaited[0].at.value == start + 50 * second_ns);
  }
}

BOOST_AUTO_TEST_CASE(of_many_ends_the_last_are_said) {
  for (const std::size_t count : {awaited_ends_max, awaited_ends_max + 1}) {
    TestCell cell;
    cell.add(
        {.number = 0, .cpu_milli = 1000 * static_cast<std::uint32_t>(count)});
    for (std::size_t i = 1; i <= count; ++i)
      cell.submit({.time_limit_ns = i * second_ns});
    cell.pass();
    const auto id =
        cell.submit({.cpu_milli = 1000 * static_cast<std::uint32_t>(count)});
    cell.pass();
    const auto answer = why(cell, id);
    BOOST_TEST(answer.awaited.size() == awaited_ends_max);
    BOOST_TEST(answer.awaited.back().session.value == count);
  }
}

BOOST_AUTO_TEST_CASE(without_a_limit_nobody_knows_when) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.submit({});
  cell.pass();
  const auto id = cell.submit({});
  cell.pass();
  BOOST_TEST((why(cell, id).basis == StartBasis::unknown));
  BOOST_TEST(why(cell, id).awaited.empty());
}

BOOST_AUTO_TEST_CASE(one_whose_time_has_not_come_is_expected_then) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 4000});
  const auto later = [&](std::uint64_t after_s) {
    return cell.now.value + after_s * second_ns;
  };
  const auto fits = cell.submit({.not_before_at = later(60)});
  cell.pass();
  auto answer = why(cell, fits);
  BOOST_TEST((answer.reason == WaitReason::not_before));
  BOOST_TEST(answer.expected_start.value == later(60));
  BOOST_TEST((answer.basis == StartBasis::room));
  // Another holds the node for longer than that.
  cell.submit({.cpu_milli = 4000, .time_limit_ns = 100 * second_ns});
  cell.pass();
  answer = why(cell, fits);
  BOOST_TEST(answer.expected_start.value == later(100));
  BOOST_TEST((answer.basis == StartBasis::limits));
  const auto last = cell.submit({.not_before_at = later(300)});
  cell.pass();
  BOOST_TEST(why(cell, last).expected_start.value == later(300));
  // Nothing tells when there will be room.
  cell.end(2);
  cell.submit({.cpu_milli = 4000});
  cell.pass();
  BOOST_TEST(why(cell, fits).expected_start.value == 0U);
}

BOOST_AUTO_TEST_CASE(held_sessions_stand_behind_the_queue) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.add({.number = 1, .group = "other"});
  const auto at = [&](std::uint64_t after_s) {
    return cell.now.value + after_s * second_ns;
  };
  cell.submit({});
  cell.pass();
  cell.submit({.after = {{1, schema::DependencyKind::any}}});
  cell.submit({.not_before_at = at(90)});
  cell.submit({.not_before_at = at(60)});
  cell.submit({});
  cell.submit({.group = "other", .not_before_at = at(10)});
  cell.pass();
  const auto queue = cell.scheduler.queue("default", false, 10);
  BOOST_TEST(queue.length == 1U);
  BOOST_REQUIRE(queue.entries.size() == 1U);
  BOOST_TEST(queue.entries[0].session.value == 5U);
  BOOST_TEST(queue.held_length == 3U);
  BOOST_REQUIRE(queue.held.size() == 3U);
  BOOST_TEST(queue.held[0].session.value == 4U);
  BOOST_TEST((queue.held[0].reason == WaitReason::not_before));
  BOOST_TEST(queue.held[0].held_until.value == at(60));
  BOOST_TEST(queue.held[1].session.value == 3U);
  BOOST_TEST(queue.held[2].session.value == 2U);
  BOOST_TEST((queue.held[2].reason == WaitReason::dependency));
  BOOST_TEST(queue.held[2].waits_for.at(0).value == 1U);
  // One in the queue, and the first of those.
  BOOST_TEST(cell.scheduler.queue("default", false, 2).held.size() == 1U);
  BOOST_TEST(cell.scheduler.queue("default", false, 1).held.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace why_test

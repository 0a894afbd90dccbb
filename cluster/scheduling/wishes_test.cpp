// Where sessions may and would rather be: labels, company, arrays.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace wishes_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;
using Numbers = std::vector<std::uint32_t>;

namespace {

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

// The nodes of the only session that a pass starts.
Numbers nodes_of_next(TestCell& cell) {
  Numbers numbers;
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() <= 1);
  if (!proposals.empty())
    for (const auto& task : proposals[0].tasks)
      numbers.push_back(task.node.value);
  return numbers;
}

void check_nodes(TestCell& cell, const Numbers& expected) {
  const auto numbers = nodes_of_next(cell);
  BOOST_TEST(numbers == expected, boost::test_tools::per_element());
}

// Nodes of 4 CPUs, two to a rack.
TestCell racks(std::uint32_t nodes) {
  TestCell cell;
  for (std::uint32_t i = 0; i < nodes; ++i)
    cell.add({.number = i,
              .cpu_milli = 4000,
              .labels = {{"rack", "r" + std::to_string(i / 2)},
                         {"disk", i % 2 ? "nvme" : "sata"}}});
  return cell;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wishes)

BOOST_AUTO_TEST_CASE(a_constraint_holds_and_why_counts_the_others) {
  auto cell = racks(4);
  cell.submit({.cpu_milli = 4000, .constraint = "disk=nvme && rack!=r0"});
  check_nodes(cell, {3});
  cell.submit({.cpu_milli = 4000, .constraint = "disk=nvme && rack!=r0"});
  check_nodes(cell, {});
  const auto why = cell.scheduler.why(SessionId{2});
  BOOST_TEST(why.nodes.unwished == 3U);
  cell.end(1);
  check_nodes(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_label_that_comes_later_counts) {
  auto cell = racks(2);
  cell.submit({.constraint = "rack=r7"});
  check_nodes(cell, {});
  cell.add({.number = 2, .cpu_milli = 4000, .labels = {{"rack", "r7"}}});
  check_nodes(cell, {2});
}

BOOST_AUTO_TEST_CASE(preferences_are_given_up_from_the_last_on) {
  auto cell = racks(4);
  const TestSession session{.cpu_milli = 4000,
                            .prefer = {"rack=r1", "disk=nvme"}};
  for (const std::uint32_t expected : {3U, 2U, 0U, 1U}) {
    cell.submit(session);
    check_nodes(cell, {expected});
  }
}

BOOST_AUTO_TEST_CASE(a_gang_keeps_to_one_rack_where_it_can) {
  auto cell = racks(4);
  cell.submit({.cpu_milli = 3000, .on_node = "n0"});
  cell.pass();
  cell.submit({.cpu_milli = 4000, .tasks = 2, .nodes = 2});
  check_nodes(cell, {2, 3});
  cell.submit({.cpu_milli = 1000, .tasks = 2, .nodes = 2});
  check_nodes(cell, {0, 1});
}

BOOST_AUTO_TEST_CASE(a_gang_that_has_to_be_within_a_rack_waits_for_one) {
  auto cell = racks(4);
  cell.submit({.cpu_milli = 4000, .on_node = "n0"});
  cell.submit({.cpu_milli = 4000, .on_node = "n2"});
  cell.pass();
  const TestSession gang{.cpu_milli = 4000, .tasks = 2, .nodes = 2};
  auto within = gang;
  within.within = "rack";
  cell.submit(within);
  check_nodes(cell, {});
  cell.end(2);
  check_nodes(cell, {2, 3});
  cell.end(3);
  cell.end(1);
  cell.submit({.cpu_milli = 1000, .on_node = "n0"});
  cell.submit({.cpu_milli = 1000, .on_node = "n2"});
  cell.pass();
  cell.submit(gang);
  check_nodes(cell, {1, 3});
}

// Eight racks have CPUs enough, but no node with enough of them.
BOOST_AUTO_TEST_CASE(racks_where_a_gang_does_not_fit_are_not_in_its_way) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 26; ++i)
    cell.add({.number = i,
              .cpu_milli = i < 24 ? 3000U : 5000U,
              .labels = {{"rack", "r" + std::to_string(i / 3)}}});
  cell.submit({.cpu_milli = 4000, .tasks = 2, .within = "rack"});
  check_nodes(cell, {24, 25});
}

BOOST_AUTO_TEST_CASE(together_follows_the_first) {
  auto cell = racks(4);
  TestSession session{.cpu_milli = 2000, .user = "ann", .together = "db"};
  cell.submit({.cpu_milli = 3000, .on_node = "n0"});
  cell.pass();
  cell.submit(session);
  const auto first = nodes_of_next(cell);
  BOOST_REQUIRE(first.size() == 1);
  cell.submit(session);
  check_nodes(cell, first);
  cell.submit(session);
  check_nodes(cell, {});
  session.user = "bob";  // another company
  cell.submit(session);
  BOOST_TEST(nodes_of_next(cell) != first);
  // When all have gone, any place will do.
  cell.end(2);
  cell.end(3);
  BOOST_TEST(cell.started().size() == 1);
}

BOOST_AUTO_TEST_CASE(a_company_that_has_gone_opens_to_all_that_share_it) {
  auto cell = racks(2);
  cell.submit(
      {.cpu_milli = 4000, .user = "ann", .on_node = "n0", .together = "db"});
  check_nodes(cell, {0});
  cell.drained(0);
  // Of two companies; its place in one of them is full.
  cell.submit({.user = "ann", .together = "db", .apart = "web"});
  check_nodes(cell, {});
  cell.end(1);
  check_nodes(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_company_goes_where_the_labels_of_its_node_go) {
  const TestNode moved{
      .number = 0, .cpu_milli = 4000, .labels = {{"rack", "r1"}}};
  auto cell = racks(4);
  TestSession session{.user = "ann", .on_node = "n0", .apart = "db@rack"};
  cell.submit(session);
  check_nodes(cell, {0});
  session.on_node = "n1";
  cell.submit(session);
  check_nodes(cell, {});
  cell.add(moved);
  check_nodes(cell, {1});
  session.on_node = "n2";
  cell.submit(session);
  check_nodes(cell, {});
  cell.end(1);
  check_nodes(cell, {2});
}

BOOST_AUTO_TEST_CASE(a_rack_that_a_company_comes_to_opens_to_the_others_of_it) {
  for (const bool beside : {false, true}) {
    auto cell = racks(4);
    const TestSession all{.cpu_milli = 4000, .together = "db@rack"};
    auto on = all;
    on.on_node = "n0";
    cell.submit(on);
    on.on_node = "n1";
    if (!beside) on.together.clear();
    cell.submit(on);
    check_started(cell, {1, 2});
    cell.submit(all);
    check_nodes(cell, {});
    cell.add({.number = 0, .cpu_milli = 4000, .labels = {{"rack", "r1"}}});
    check_nodes(cell, {2});
  }
}

BOOST_AUTO_TEST_CASE(apart_by_rack) {
  auto cell = racks(4);
  const TestSession session{.user = "ann", .apart = "db@rack"};
  std::set<std::uint32_t> used;
  for (int i = 0; i < 2; ++i) {
    cell.submit(session);
    for (const auto number : nodes_of_next(cell)) used.insert(number / 2);
  }
  BOOST_TEST(used.size() == 2);
  cell.submit(session);
  check_nodes(cell, {});
  cell.end(1);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(of_an_array_no_more_run_than_may) {
  auto cell = racks(4);
  for (int i = 0; i < 5; ++i)
    cell.submit({.array_session = 1, .array_running_max = 2});
  cell.submit({});
  check_started(cell, {1, 2, 6});
  const auto why = cell.scheduler.why(SessionId{3});
  BOOST_TEST((why.reason == WaitReason::array_full));
  cell.end(2);
  check_started(cell, {3});
  cell.end(5, schema::SessionState::cancelled);
  cell.end(1);
  cell.end(3);
  check_started(cell, {4});
  BOOST_TEST(cell.scheduler.sizes().array_full == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace wishes_test

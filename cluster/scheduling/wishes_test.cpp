// Where sessions may and would rather be: labels, company, reservations,
// arrays.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;
using Numbers = std::vector<std::uint32_t>;

namespace {

constexpr std::uint64_t minute_ns = 60 * second_ns;

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

struct Kept {
  const char* name = "kept";
  std::vector<std::string> nodes{"n0"};
  std::vector<std::uint32_t> devices{};
  std::uint64_t from_at = 0;
  std::uint64_t to_at = 0;
  std::uint64_t every_ns = 0;
};

void reserve(TestCell& cell, const Kept& kept) {
  cell.event(schema::EventBody::ReservationSet, [&](auto& builder) {
    const auto name = builder.CreateString(kept.name);
    const auto nodes = builder.CreateVectorOfStrings(kept.nodes);
    const auto devices = builder.CreateVector(kept.devices);
    schema::ReservationSpecBuilder spec(builder);
    spec.add_name(name);
    spec.add_nodes(nodes);
    spec.add_devices(devices);
    spec.add_from_at(kept.from_at);
    spec.add_to_at(kept.to_at);
    spec.add_every_ns(kept.every_ns);
    return schema::CreateReservationSet(builder, spec.Finish()).Union();
  });
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

BOOST_AUTO_TEST_CASE(a_reservation_keeps_what_would_run_into_it_away) {
  auto cell = racks(1);
  const auto now = cell.now.value;
  reserve(cell,
          {.from_at = now + 60 * minute_ns, .to_at = now + 90 * minute_ns});
  cell.submit({.time_limit_ns = 60 * minute_ns});
  cell.submit({.time_limit_ns = 61 * minute_ns});
  cell.submit({});  // nobody knows when it ends
  cell.submit({.reservation = "kept"});
  check_started(cell, {1});
  BOOST_TEST(cell.scheduler.why(SessionId{2}).nodes.reserved == 1U);
  BOOST_TEST(cell.scheduler.next_wakeup().value == now + 60 * minute_ns);
  cell.now.value += 60 * minute_ns;
  cell.end(1);
  check_started(cell, {4});
  BOOST_TEST(cell.scheduler.next_wakeup().value == now + 90 * minute_ns);
  cell.now.value += 30 * minute_ns;
  check_started(cell, {2, 3});
}

// Two nodes, one kept for half an hour. The head needs both, so it starts when
// that is over, and what ends later may not pass it.
BOOST_AUTO_TEST_CASE(a_place_is_kept_from_the_end_of_a_reservation_on) {
  for (const char* policy : {"easy", "greedy"}) {
    auto cell = racks(2);
    cell.scheduler.set_policy("default", *parse_policy(policy));
    const auto now = cell.now.value;
    reserve(cell, {.from_at = now, .to_at = now + 30 * minute_ns});
    cell.submit({.cpu_milli = 4000,
                 .tasks = 2,
                 .nodes = 2,
                 .time_limit_ns = 10 * minute_ns});
    check_started(cell, {});
    BOOST_TEST(cell.scheduler.why(SessionId{1}).expected_start.value ==
               now + 30 * minute_ns);
    if (policy == std::string("greedy")) continue;
    cell.submit({.cpu_milli = 4000, .time_limit_ns = 31 * minute_ns});
    cell.submit({.cpu_milli = 4000, .time_limit_ns = 30 * minute_ns});
    check_started(cell, {3});
  }
}

BOOST_AUTO_TEST_CASE(a_long_limit_counts_whole_against_a_reservation) {
  auto cell = racks(1);
  const std::uint64_t day_ns = 24 * 60 * minute_ns;
  const auto now = cell.now.value;
  reserve(cell, {.from_at = now + 40 * day_ns, .to_at = now + 41 * day_ns});
  cell.submit({.time_limit_ns = 60 * day_ns});
  cell.submit({.time_limit_ns = 40 * day_ns});
  cell.submit({});  // is stopped after 30 days
  check_started(cell, {2, 3});
}

BOOST_AUTO_TEST_CASE(reserved_devices_leave_the_others_free) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  const auto now = cell.now.value;
  reserve(cell, {.devices = {0, 1}, .from_at = now, .to_at = now + minute_ns});
  cell.submit({.gpus = 1, .time_limit_ns = minute_ns});
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1);
  BOOST_TEST(proposals[0].tasks[0].devices[0].device == 2U);
  cell.submit({.gpus = 2, .time_limit_ns = minute_ns});
  check_started(cell, {});
  cell.submit({.gpus = 2, .reservation = "kept"});
  const auto inside = cell.pass();
  BOOST_REQUIRE(inside.size() == 1);
  BOOST_TEST(inside[0].tasks[0].devices[0].device == 0U);
  BOOST_TEST(inside[0].tasks[0].devices[1].device == 1U);
}

BOOST_AUTO_TEST_CASE(windows_repeat) {
  auto cell = racks(1);
  const auto now = cell.now.value;
  reserve(cell, {.from_at = now,
                 .to_at = now + 10 * minute_ns,
                 .every_ns = 60 * minute_ns});
  cell.submit({.time_limit_ns = 50 * minute_ns});
  cell.submit({.time_limit_ns = 51 * minute_ns});
  check_started(cell, {});
  cell.now.value += 10 * minute_ns;
  check_started(cell, {1});
}

// That another node is reserved at times opens no kept one.
BOOST_AUTO_TEST_CASE(what_is_kept_for_the_head_stays_so_beside_reservations) {
  auto cell = racks(2);
  const auto now = cell.now.value;
  reserve(cell, {.nodes = {"n1"},
                 .from_at = now + 500 * minute_ns,
                 .to_at = now + 600 * minute_ns});
  cell.submit({.cpu_milli = 2000, .on_node = "n0"});
  cell.submit({.on_node = "n0"});
  cell.submit({.cpu_milli = 4000, .on_node = "n0"});  // the head
  cell.submit({.cpu_milli = 4000, .time_limit_ns = 60 * minute_ns});
  check_started(cell, {1, 2, 4});
  cell.now.value += head_patience_ns;
  cell.submit({.cpu_milli = 1000});
  check_started(cell, {});
  cell.end(2);
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_reservation_that_is_removed_keeps_nothing) {
  auto cell = racks(1);
  reserve(cell, {.from_at = cell.now.value,
                 .to_at = cell.now.value + 600 * minute_ns});
  cell.submit({});
  check_started(cell, {});
  cell.event(schema::EventBody::ReservationRemoved, [](auto& builder) {
    return schema::CreateReservationRemovedDirect(builder, "kept").Union();
  });
  check_started(cell, {1});
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

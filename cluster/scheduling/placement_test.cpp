// Where tasks go: best fit, devices, gangs.
#include <boost/test/unit_test.hpp>
#include <set>

#include "cluster/scheduling/test_cell.hpp"

namespace placement_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

// The nodes of the only proposal of a pass, by rank.
std::vector<std::uint32_t> nodes_of(const std::vector<Proposal>& proposals) {
  BOOST_REQUIRE_EQUAL(proposals.size(), 1);
  std::vector<std::uint32_t> nodes;
  for (const auto& task : proposals[0].tasks) nodes.push_back(task.node.value);
  return nodes;
}

using Numbers = std::vector<std::uint32_t>;

void check_nodes(const std::vector<Proposal>& proposals,
                 const Numbers& expected) {
  const auto nodes = nodes_of(proposals);
  BOOST_TEST(nodes == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(placement)

BOOST_AUTO_TEST_CASE(a_task_without_gpus_prefers_a_node_without_gpus) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(8)});
  cell.add({.number = 1, .cpu_milli = 128000});
  cell.submit({});
  check_nodes(cell.pass(), {1});
}

BOOST_AUTO_TEST_CASE(a_task_without_gpus_goes_where_gpus_are_busy_already) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  cell.add({.number = 1, .models = devices(4)});
  cell.submit({.gpus = 3, .on_node = "n1"});
  cell.pass();
  cell.submit({});
  check_nodes(cell.pass(), {1});
}

BOOST_AUTO_TEST_CASE(whole_gpus_go_to_the_node_with_the_fewest_that_suffice) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(8)});
  cell.add({.number = 1, .models = devices(4)});
  cell.add({.number = 2, .models = devices(2)});
  cell.submit({.gpus = 3});
  check_nodes(cell.pass(), {1});
  cell.submit({.gpus = 1});
  check_nodes(cell.pass(), {1});
  cell.submit({.gpus = 1});
  check_nodes(cell.pass(), {2});
}

BOOST_AUTO_TEST_CASE(a_share_goes_to_the_device_with_the_least_room) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.add({.number = 1, .models = devices(2)});
  cell.submit({.gpus = 1, .gpu_milli = 300, .on_node = "n0"});
  cell.submit({.gpus = 1, .gpu_milli = 600, .on_node = "n1"});
  cell.pass();
  cell.submit({.gpus = 1, .gpu_milli = 400});
  const auto first = cell.pass();
  check_nodes(first, {1});
  BOOST_TEST(first[0].tasks[0].devices[0].device == 0U);
  BOOST_TEST(first[0].tasks[0].devices[0].milli == 400U);
  BOOST_TEST(first[0].tasks[0].devices[0].memory_bytes == 32 * gib);
  cell.submit({.gpus = 1, .gpu_milli = 400});
  check_nodes(cell.pass(), {0});
  cell.submit({.gpus = 1, .gpu_milli = 400});
  check_nodes(cell.pass(), {1});
}

BOOST_AUTO_TEST_CASE(a_share_is_bounded_by_the_memory_of_the_device_too) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  const TestSession large{
      .gpus = 1, .gpu_milli = 100, .gpu_memory_bytes = 50 * gib};
  cell.submit(large);
  cell.submit(large);
  cell.submit(large);
  const auto proposals = cell.pass();
  BOOST_REQUIRE_EQUAL(proposals.size(), 2);
  BOOST_TEST(proposals[0].tasks[0].devices[0].device !=
             proposals[1].tasks[0].devices[0].device);
}

BOOST_AUTO_TEST_CASE(a_task_gets_distinct_devices) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  cell.submit({.gpus = 2, .gpu_milli = 500});
  cell.submit({.gpus = 2, .gpu_milli = 500});
  cell.submit({.gpus = 1, .gpu_milli = 1});
  const auto proposals = cell.pass();
  BOOST_REQUIRE_EQUAL(proposals.size(), 2);
  for (const auto& proposal : proposals) {
    const auto& grants = proposal.tasks[0].devices;
    BOOST_REQUIRE_EQUAL(grants.size(), 2);
    BOOST_TEST(grants[0].device != grants[1].device);
  }
}

BOOST_AUTO_TEST_CASE(a_used_device_is_not_whole) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.submit({.gpus = 1, .gpu_milli = 1});
  cell.pass();
  cell.submit({.gpus = 1});
  BOOST_TEST(cell.pass().empty());
}

// Pairs are joined by NVLink; of two pairs one GPU is held each.
BOOST_AUTO_TEST_CASE(a_task_gets_gpus_that_are_joined_by_every_packing) {
  for (const auto packing : {Packing::best_fit, Packing::pack, Packing::spread,
                             Packing::fragmentation}) {
    TestCell cell;
    cell.scheduler.set_policy("default", policy_of(packing));
    cell.add({.number = 0, .models = devices(8), .joined = 2});
    Proposal held{SessionId(cell.submit({.gpus = 4})), 1, {{NodeId(0)}}};
    for (const auto device : Numbers{0, 3, 6, 7})
      held.tasks[0].devices.push_back({device, 1000, 80 * gib});
    cell.confirm(held);
    cell.submit({.gpus = 2});
    const auto proposals = cell.pass();
    check_nodes(proposals, {0});
    BOOST_TEST(proposals[0].tasks[0].devices[0].device == 4U);
    BOOST_TEST(proposals[0].tasks[0].devices[1].device == 5U);
  }
}

BOOST_AUTO_TEST_CASE(models_match_without_regard_to_case) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1, "T4")});
  cell.add({.number = 1, .models = devices(1, "V100M16")});
  cell.submit({.gpus = 1, .gpu_models = {"a100", "v100m16"}});
  check_nodes(cell.pass(), {1});
  cell.submit({.gpus = 1, .gpu_models = {"a100"}});
  BOOST_TEST(cell.pass().empty());
}

BOOST_AUTO_TEST_CASE(a_node_of_two_models_serves_each_by_itself) {
  TestCell cell;
  cell.add({.number = 0, .models = {"T4", "A100", "A100"}});
  cell.submit({.gpus = 3, .gpu_models = {"a100"}});
  BOOST_TEST(cell.pass().empty());
  cell.submit({.gpus = 2, .gpu_models = {"a100"}});
  const auto proposals = cell.pass();
  check_nodes(proposals, {0});
  BOOST_TEST(proposals[0].tasks[0].devices[0].device == 1U);
  BOOST_TEST(proposals[0].tasks[0].devices[1].device == 2U);
}

BOOST_AUTO_TEST_CASE(a_mig_instance_is_never_given_as_any_gpu) {
  TestCell cell;
  const std::string part = "H100 MIG 1g.10gb";
  cell.add({.number = 0, .models = {part, part}});
  cell.add({.number = 1, .models = {part, "H100"}});
  cell.submit({.gpus = 1});
  const auto whole = cell.pass();
  check_nodes(whole, {1});
  BOOST_TEST(whole[0].tasks[0].devices[0].device == 1U);
  cell.submit({.gpus = 1});
  cell.submit({.gpus = 1, .gpu_milli = 500});
  BOOST_TEST(cell.pass().empty());
  cell.submit({.gpus = 2, .gpu_models = {part}});
  check_nodes(cell.pass(), {0});
  cell.submit({.gpus = 1, .gpu_milli = 500, .gpu_models = {part}});
  const auto share = cell.pass();
  check_nodes(share, {1});
  BOOST_TEST(share[0].tasks[0].devices[0].device == 0U);
}

BOOST_AUTO_TEST_CASE(groups_and_simulated_nodes_are_kept_apart) {
  TestCell cell;
  cell.add({.number = 0, .group = "blue"});
  cell.add({.number = 1, .simulated = true});
  cell.submit({});
  BOOST_TEST(cell.pass().empty());
  cell.submit({.simulated = true});
  check_nodes(cell.pass(), {1});
  cell.submit({.group = "blue"});
  check_nodes(cell.pass(), {0});
  cell.add({.number = 2, .group = "default"});
  check_nodes(cell.pass(), {2});
}

BOOST_AUTO_TEST_CASE(a_named_node_is_the_only_one_asked) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000});
  cell.add({.number = 1});
  cell.submit({.on_node = "n0"});
  check_nodes(cell.pass(), {0});
  const auto waiting = cell.submit({.on_node = "n0"});
  BOOST_TEST(cell.pass().empty());
  cell.end(1);
  BOOST_TEST(cell.started() == std::vector<std::uint64_t>{waiting});
}

BOOST_AUTO_TEST_CASE(a_gang_starts_whole_or_not_at_all) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  cell.add({.number = 1, .models = devices(2)});
  cell.submit({.gpus = 1, .tasks = 5});
  BOOST_TEST(cell.pass().empty());
  cell.submit({.gpus = 2, .tasks = 2});
  check_nodes(cell.pass(), {0, 1});
}

BOOST_AUTO_TEST_CASE(a_gang_that_failed_leaves_everything_free) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  cell.add({.number = 1, .models = devices(4)});
  cell.submit({.cpu_milli = 10000, .gpus = 1, .gpu_milli = 500, .tasks = 17});
  BOOST_TEST(cell.pass().empty());
  cell.submit({.cpu_milli = 64000, .gpus = 4, .tasks = 2});
  check_nodes(cell.pass(), {0, 1});
}

BOOST_AUTO_TEST_CASE(a_gang_that_fits_on_one_node_stays_on_one) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.add({.number = 1, .models = devices(1)});
  cell.add({.number = 2, .models = devices(4)});
  cell.submit({.gpus = 1, .tasks = 3});
  check_nodes(cell.pass(), {2, 2, 2});
}

BOOST_AUTO_TEST_CASE(a_gang_over_given_nodes_is_spread_evenly) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 4; ++i) {
    cell.add({.number = i, .models = devices(8)});
  }
  cell.submit({.gpus = 1, .tasks = 8, .nodes = 3});
  const auto nodes = nodes_of(cell.pass());
  std::multiset<std::uint32_t> all(nodes.begin(), nodes.end());
  std::multiset<std::size_t> sizes;
  for (std::uint32_t i = 0; i < 4; ++i) sizes.insert(all.count(i));
  BOOST_TEST((sizes == std::multiset<std::size_t>{0, 2, 3, 3}));
  BOOST_TEST(std::is_partitioned(nodes.begin(), nodes.end(),
                                 [&](auto n) { return n == nodes[0]; }));
}

BOOST_AUTO_TEST_CASE(a_spread_gang_waits_for_enough_distinct_nodes) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(8)});
  cell.add({.number = 1, .models = devices(2)});
  cell.submit({.gpus = 1, .tasks = 6, .nodes = 2});
  BOOST_TEST(cell.pass().empty());
  cell.add({.number = 2, .models = devices(3)});
  const auto nodes = nodes_of(cell.pass());
  BOOST_TEST(std::count(nodes.begin(), nodes.end(), 0U) == 3);
  BOOST_TEST(std::count(nodes.begin(), nodes.end(), 2U) == 3);
}

BOOST_AUTO_TEST_CASE(several_shares_per_task_leave_room_for_the_most_tasks) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(3)});
  cell.submit({.gpus = 1, .gpu_milli = 500});
  cell.pass();
  cell.submit({.gpus = 1, .gpu_milli = 600});
  cell.pass();
  // Left: 500, 400 and 1000, thus 1, 1 and 2 shares: two tasks of two each.
  cell.submit({.gpus = 2, .gpu_milli = 400, .tasks = 2});
  check_nodes(cell.pass(), {0, 0});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace placement_test

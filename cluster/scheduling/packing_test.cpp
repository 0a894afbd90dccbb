// Where tasks go by each packing: worked examples as data.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace packing_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

// Where the sessions of a cell go, one after the other.
class Placed {
 public:
  Placed(Packing packing, const std::vector<std::uint32_t>& gpus) {
    cell.scheduler.set_policy("default", policy_of(packing));
    for (std::uint32_t i = 0; i < gpus.size(); ++i)
      cell.add({.number = i, .models = devices(gpus[i])});
  }

  // The node, and the device of the first GPU.
  void check(const TestSession& session, std::uint32_t node,
             std::uint32_t device = 0) {
    cell.submit(session);
    const auto proposals = cell.pass();
    BOOST_REQUIRE_EQUAL(proposals.size(), 1);
    const auto& task = proposals[0].tasks[0];
    BOOST_TEST(task.node.value == node);
    if (!task.devices.empty()) BOOST_TEST(task.devices[0].device == device);
  }

  TestCell cell;
};

const TestSession none{};
const TestSession one{.gpus = 1};
const TestSession two{.gpus = 2};
const TestSession half{.gpus = 1, .gpu_milli = 500};
const TestSession third{.gpus = 1, .gpu_milli = 300};

}  // namespace

BOOST_AUTO_TEST_SUITE(packing)

BOOST_AUTO_TEST_CASE(pack_fills_the_node_in_use_before_a_smaller_idle_one) {
  Placed placed(Packing::pack, {8, 2, 8});
  placed.check({.gpus = 4}, 0);
  placed.check(two, 0, 4);
  placed.check(one, 0, 6);
  placed.check(two, 1);
}

BOOST_AUTO_TEST_CASE(pack_takes_the_fullest_of_the_nodes_in_use) {
  Placed placed(Packing::pack, {4, 8, 4});
  placed.check({.gpus = 2, .on_node = "n0"}, 0);
  placed.check({.gpus = 5, .on_node = "n1"}, 1);
  placed.check(one, 1, 5);
  placed.check(third, 1, 6);
  placed.check(half, 1, 6);
  placed.check(half, 1, 7);
}

BOOST_AUTO_TEST_CASE(pack_keeps_tasks_without_gpus_together) {
  Placed placed(Packing::pack, {0, 0, 2});
  placed.check({.on_node = "n1"}, 1);
  placed.check(none, 1);
}

BOOST_AUTO_TEST_CASE(spread_takes_the_node_with_the_largest_free_part) {
  Placed placed(Packing::spread, {8, 2, 4});
  placed.check(one, 0);
  placed.check(one, 1);
  placed.check(one, 2);
  placed.check(one, 0, 1);
}

BOOST_AUTO_TEST_CASE(spread_takes_the_device_with_the_most_room) {
  Placed placed(Packing::spread, {2});
  placed.check(half, 0, 0);
  placed.check(third, 0, 1);
  placed.check(third, 0, 1);
  placed.check(third, 0, 0);
}

BOOST_AUTO_TEST_CASE(spread_puts_tasks_without_gpus_on_the_emptiest_such_node) {
  Placed placed(Packing::spread, {4, 0, 0});
  placed.check(none, 1);
  placed.check(none, 2);
  placed.check({.cpu_milli = 500}, 1);
  placed.check(none, 2);
}

// Two GPUs of each are asked for as often as one: a whole node stays whole.
BOOST_AUTO_TEST_CASE(fragmentation_keeps_room_for_what_usually_comes) {
  Placed placed(Packing::fragmentation, {2, 2});
  placed.check({.gpus = 2, .on_node = "n1"}, 1);
  placed.check({.gpus = 1, .gpu_milli = 600, .on_node = "n0"}, 0);
  placed.cell.end(1);
  placed.check({.gpus = 1, .gpu_milli = 300}, 0);
  placed.check(one, 0, 1);
  placed.check(two, 1);
}

// Half of the requests ask for many CPUs: the node that has them for its GPUs
// is left to those.
BOOST_AUTO_TEST_CASE(fragmentation_sends_few_cpus_to_where_few_are) {
  Placed placed(Packing::fragmentation, {});
  placed.cell.add({.number = 0, .cpu_milli = 64000, .models = devices(4)});
  placed.cell.add({.number = 1, .cpu_milli = 8000, .models = devices(4)});
  const TestSession heavy{.cpu_milli = 15000, .gpus = 1};
  const TestSession light{.cpu_milli = 1000, .gpus = 1};
  placed.check(heavy, 0);
  placed.check(light, 1);
  placed.check(light, 1, 1);
  placed.check(heavy, 0, 1);
}

BOOST_AUTO_TEST_CASE(fragmentation_leaves_a_scarce_model_to_those_who_ask) {
  Placed placed(Packing::fragmentation, {});
  placed.cell.add({.number = 0, .models = devices(2, "rare")});
  placed.cell.add({.number = 1, .models = devices(4, "common")});
  const TestSession wish{.gpus = 1, .gpu_models = {"rare"}};
  placed.check(wish, 0);
  placed.check(one, 1);
  placed.check(one, 1, 1);
  placed.check(one, 1, 2);
  placed.check(wish, 0, 1);
}

// How GPUs are connected decides only between those of one model.
BOOST_AUTO_TEST_CASE(fragmentation_chooses_the_model_before_the_links) {
  Placed placed(Packing::fragmentation, {});
  placed.cell.add({.number = 0,
                   .models = {"rare", "rare", "common", "common", "common"},
                   .joined = 2});
  const TestSession wish{.gpus = 1, .gpu_models = {"rare"}};
  placed.check(wish, 0);
  placed.cell.end(1);
  placed.check(two, 0, 2);
}

BOOST_AUTO_TEST_CASE(a_group_that_comes_to_fragmentation_learns_from_what_is) {
  Placed placed(Packing::best_fit, {2, 2});
  placed.check({.gpus = 2, .on_node = "n0"}, 0);
  placed.check(half, 1);
  placed.cell.scheduler.set_policy("default",
                                   policy_of(Packing::fragmentation));
  placed.cell.end(1);
  placed.check(half, 1);
  placed.check(one, 1, 1);
  placed.check(two, 0);
}

BOOST_AUTO_TEST_CASE(a_full_cell_is_filled_by_every_packing) {
  for (const auto packing :
       {Packing::pack, Packing::spread, Packing::fragmentation}) {
    Placed placed(packing, {4, 2, 1});
    for (int i = 0; i < 14; ++i) placed.cell.submit(half);
    BOOST_TEST(placed.cell.pass().size() == 14U);
    placed.cell.submit(third);
    BOOST_TEST(placed.cell.pass().empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace packing_test

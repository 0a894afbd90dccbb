// What places have free together, beside a recount.
#include "cluster/scheduling/place_index.hpp"

#include <boost/test/unit_test.hpp>
#include <random>

#include "cluster/scheduling/test_cell.hpp"

namespace place_index_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::scheduling;
using scheduling::Node;

namespace {

// Nodes of 8 CPUs, 64 GiB and four devices, of which the first are free.
struct Nodes {
  std::vector<Node> nodes;
  std::vector<std::uint32_t> numbers;
  std::vector<std::string> names;

  explicit Nodes(std::uint32_t count, std::uint32_t each) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& node = nodes.emplace_back();
      node.id = NodeId(i);
      node.known = true;
      node.cpu_capacity_milli = 8000;
      node.memory_capacity_bytes = 64 * gib;
      node.whole_devices = 4;
      numbers.push_back(i);
      names.push_back("r" + std::to_string(i / each));
    }
  }
};

void check_recount(const PlaceIndex& index, const std::vector<Node>& nodes) {
  for (const auto& place : index.places()) {
    std::uint64_t cpu_milli = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t whole = 0;
    for (const auto number : place.nodes) {
      const auto& node = nodes[number];
      if (!node.offered()) continue;
      cpu_milli += node.cpu_free_milli();
      memory_bytes += node.memory_free_bytes();
      whole += node.whole_devices;
    }
    BOOST_REQUIRE(place.cpu_free_milli == cpu_milli);
    BOOST_REQUIRE(place.memory_free_bytes == memory_bytes);
    BOOST_REQUIRE(place.whole_devices == whole);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(place_index)

BOOST_AUTO_TEST_CASE(sums_are_those_of_a_recount_whatever_changes) {
  Nodes all(12, 3);
  PlaceIndex index(all.nodes, all.numbers, all.names);
  BOOST_TEST(index.places().size() == 4U);
  check_recount(index, all.nodes);
  std::mt19937 random(7);
  for (int step = 0; step < 2'000; ++step) {
    auto& node = all.nodes[random() % all.nodes.size()];
    node.cpu_used_milli = random() % 10'000;  // also more than it has
    node.memory_used_bytes = random() % 80 * gib;
    node.whole_devices = random() % 5;
    node.drained = random() % 4 == 0;
    index.changed(node);
    check_recount(index, all.nodes);
  }
}

BOOST_AUTO_TEST_CASE(the_least_place_that_may_do_comes_first) {
  Nodes all(8, 2);
  all.nodes[0].cpu_used_milli = 8000;  // r0: 8 CPUs left
  all.nodes[2].cpu_used_milli = 4000;  // r1: 12
  all.nodes[4].whole_devices = 0;      // r2: 4 devices
  const PlaceIndex index(all.nodes, all.numbers, all.names);
  const auto roomy = [&](const Need& need, std::uint32_t tasks) {
    std::string found;
    for (const auto number : index.roomy(need, tasks))
      found += index.places()[number].name + " ";
    return found;
  };
  BOOST_TEST(roomy({4000, gib, 0, 1000, 0, {}}, 2) == "r0 r1 r2 r3 ");
  BOOST_TEST(roomy({4000, gib, 0, 1000, 0, {}}, 3) == "r1 r2 r3 ");
  BOOST_TEST(roomy({1000, gib, 2, 1000, 0, {}}, 3) == "r0 r1 r3 ");
  BOOST_TEST(roomy({1000, 65 * gib, 0, 1000, 0, {}}, 2).empty());
  BOOST_TEST(roomy({1000, UINT64_MAX / 2, 0, 1000, 0, {}}, 3).empty());
}

BOOST_AUTO_TEST_CASE(a_node_without_the_label_is_in_no_place) {
  Nodes all(3, 3);
  all.names[1].clear();
  PlaceIndex index(all.nodes, all.numbers, all.names);
  BOOST_REQUIRE(index.places().size() == 1U);
  BOOST_TEST(index.places()[0].nodes.size() == 2U);
  all.nodes[1].cpu_used_milli = 1000;
  index.changed(all.nodes[1]);
  check_recount(index, all.nodes);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace place_index_test

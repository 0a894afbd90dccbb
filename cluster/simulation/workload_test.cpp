#include <boost/test/unit_test.hpp>

#include "cluster/simulation/test_workload.hpp"

namespace workload_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using namespace reeve::cluster::simulation::testing;
using Kind = NodeChange::Kind;

namespace {

BOOST_AUTO_TEST_SUITE(workload)

BOOST_AUTO_TEST_CASE(more_nodes_are_of_the_most_common_sort) {
  WorkMaker make;
  make.node(64, 4);
  make.node(8);
  make.node(8, 0, 30);
  BOOST_REQUIRE(add_nodes(make.work, 2));
  const auto all = capacity_of(make.work);
  BOOST_TEST(all.nodes == 5u);
  BOOST_TEST(all.devices == 4u);
  BOOST_TEST(all.cpu_milli == 96'000u);
  // From the beginning on, and numbered as a log would number them.
  for (std::uint32_t i = 0; i < 5; ++i) {
    BOOST_TEST(make.work.changes[i].node.value == i);
    BOOST_TEST((make.work.changes[i].at == at_s(i < 4 ? 0 : 30)));
  }
}

BOOST_AUTO_TEST_CASE(fewer_nodes_are_the_newest_of_the_most_common_sort) {
  WorkMaker make;
  make.node(64, 4);
  const auto kept = make.node(8);
  const auto gone = make.node(8);
  make.change(gone, Kind::drained, 40);
  for (const auto node : {kept, gone}) {
    make.submit({.running_before = true});
    make.work.sessions.back().placed_before = {{node, {}}};
  }
  BOOST_REQUIRE(add_nodes(make.work, -1));
  BOOST_TEST(make.work.changes.size() == 2u);
  BOOST_TEST((make.work.changes.back().node == kept));
  for (const auto& session : make.work.sessions)
    BOOST_TEST(session.placed_before.empty() == (session.id.value == 2));
  const auto none = add_nodes(make.work, -2);
  BOOST_REQUIRE(!none);
  BOOST_TEST((none.error().code == Errc::usage));
  WorkMaker empty;
  BOOST_TEST(!add_nodes(empty.work, 1));
}

BOOST_AUTO_TEST_CASE(a_node_that_was_removed_before_the_window_does_not_count) {
  WorkMaker make;
  const auto gone = make.node(8);
  make.node(8);
  make.change(gone, Kind::removed, 0);
  BOOST_TEST(capacity_of(make.work).nodes == 1u);
  make.work.changes.back().at = at_s(1);
  BOOST_TEST(capacity_of(make.work).nodes == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace workload_test

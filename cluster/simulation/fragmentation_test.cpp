// Idle capacity that the workload's requests cannot use, by hand.
#include "cluster/simulation/fragmentation.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/simulation/test_workload.hpp"
#include "cluster/simulation/virtual_cell.hpp"

namespace fragmentation_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using namespace reeve::cluster::simulation::testing;

namespace {

double share_of(const Workload& work) {
  FragmentationMeter meter(work);
  VirtualCell cell(
      work, {}, [&](const schema::Event& event, auto) { meter.apply(event); });
  while (cell.step()) {
  }
  meter.finish();
  return meter.share();
}

constexpr double close = 1e-9;

BOOST_AUTO_TEST_SUITE(fragmentation)

BOOST_AUTO_TEST_CASE(an_empty_node_that_serves_every_request_has_none) {
  WorkMaker make;
  make.node(8, 2);
  make.submit({.at_s = 2'000, .gpus = 1});
  BOOST_TEST(share_of(make.work) == 0.0);
}

BOOST_AUTO_TEST_CASE(idle_shares_too_small_for_the_requests_are_unusable) {
  WorkMaker make;
  make.node(8, 2);
  // 600 of the first device is held all the time; 400 and 1000 are idle.
  make.submit({.at_s = 0, .lasts_s = 5'000, .gpus = 1, .gpu_milli = 600});
  // A request of 600 cannot use the 400: 400 of 1400.
  BOOST_TEST(share_of(make.work) == 400.0 / 1400,
             boost::test_tools::tolerance(close));
  // For half of the requests even two whole devices are not there.
  make.submit({.at_s = 4'000, .gpus = 2});
  BOOST_TEST(share_of(make.work) == (400.0 + 1400.0) / 2 / 1400,
             boost::test_tools::tolerance(close));
}

BOOST_AUTO_TEST_CASE(a_node_without_free_cpus_leaves_its_devices_unusable) {
  WorkMaker make;
  make.node(2, 2);
  make.submit({.at_s = 0, .lasts_s = 5'000, .cpus = 2});
  make.submit({.at_s = 4'000, .gpus = 1});
  BOOST_TEST(share_of(make.work) == 1.0);
}

BOOST_AUTO_TEST_CASE(nodes_count_while_they_are_offered) {
  WorkMaker make;
  make.node(8, 1);
  const auto other = make.node(0, 1);  // of no use without CPUs
  make.submit({.at_s = 4'000, .gpus = 1});
  BOOST_TEST(share_of(make.work) == 0.5);
  make.change(other, NodeChange::Kind::drained, 500);
  BOOST_TEST(share_of(make.work) == 64.0 / 192,
             boost::test_tools::tolerance(close));
}

BOOST_AUTO_TEST_CASE(devices_count_while_they_are_offered) {
  WorkMaker make;
  make.node(8, 1);
  const auto other = make.node(0, 1);
  make.submit({.at_s = 4'000, .gpus = 1});
  make.change_device(other, NodeChange::Kind::quarantined, 0, 500);
  BOOST_TEST(share_of(make.work) == 64.0 / 192,
             boost::test_tools::tolerance(close));
}

BOOST_AUTO_TEST_CASE(without_idle_devices_or_requests_for_them_there_is_none) {
  WorkMaker make;
  make.node(8, 1);
  make.submit({.at_s = 0});
  BOOST_TEST(share_of(make.work) < 0);
  make.submit({.at_s = 0, .lasts_s = 5'000, .gpus = 1});
  BOOST_TEST(share_of(make.work) < 0);
}

BOOST_AUTO_TEST_CASE(only_the_most_common_requests_count) {
  WorkMaker make;
  make.node(8, 1);
  for (std::uint32_t i = 0; i < typical_requests_max; ++i)
    for (int twice = 0; twice < 2; ++twice)
      make.submit({.at_s = 2'000, .gpus = 1, .gpu_milli = 10 + i});
  make.submit({.at_s = 2'000, .gpus = 2});  // would not fit
  BOOST_TEST(share_of(make.work) == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace fragmentation_test

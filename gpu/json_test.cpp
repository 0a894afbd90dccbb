#include "gpu/json.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <string>

#include "gpu/fake_machine.hpp"

namespace reeve::gpu::json_test {
namespace {

BOOST_FIXTURE_TEST_CASE(an_inventory_as_json_leaves_out_what_is_unknown,
                        FakeMachine) {
  const auto text = boost::json::serialize(to_json(
      read("device major=9 minor_capability=0 ecc=1\ndevice\nnvlink 0 1 4\n")));
  BOOST_TEST(contains(text, "\"compute_capability\":\"9.0\",\"ecc\":true"));
  BOOST_TEST(contains(text, "[[\"X\",\"NV4\"],[\"NV4\",\"X\"]]"));
  BOOST_TEST(!contains(text, "numa_node"));
  BOOST_TEST(!contains(text, "why_none"));
}

BOOST_FIXTURE_TEST_CASE(a_sample_as_json_leaves_out_what_is_unknown,
                        FakeMachine) {
  write(
      "device gpu=7 throttle=4\nprocess 0 12 34\nxid 0 79\n"
      "device uuid=b\nlost 1\n");
  Telemetry telemetry(sources());
  const auto samples = telemetry.sample(Telemetry::Depth::health);
  const auto text = boost::json::serialize(to_json(samples.at(0)));
  BOOST_TEST(contains(text, "\"gpu_percent\":7"));
  BOOST_TEST(contains(text, "\"throttles\":[\"power limit\"]"));
  BOOST_TEST(contains(text, "{\"pid\":12,\"memory_bytes\":34}"));
  BOOST_TEST(contains(text, "\"xids\":[79]"));
  BOOST_TEST(!contains(text, "power_mw"));
  BOOST_TEST(
      contains(boost::json::serialize(to_json(samples.at(1))), "GPU is lost"));
}

}  // namespace
}  // namespace reeve::gpu::json_test

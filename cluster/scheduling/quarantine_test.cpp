// Devices that are offered to nobody: by their uuid, whatever else happens to
// them meanwhile.
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"

namespace quarantine_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(quarantine)

BOOST_AUTO_TEST_CASE(only_the_other_devices_are_offered) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(3)});
  cell.quarantined(0, 1);
  cell.submit({.gpus = 2});
  cell.submit({.gpus = 1});
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1U);
  const auto& grants = proposals[0].tasks[0].devices;
  BOOST_REQUIRE(grants.size() == 2U);
  BOOST_TEST(grants[0].device == 0U);
  BOOST_TEST(grants[1].device == 2U);
  // CPUs are offered as before.
  const auto other = cell.submit({});
  check_started(cell, {other});
  cell.released(0, 1);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(a_device_that_becomes_free_in_quarantine_stays_idle) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.submit({.gpus = 1, .gpu_milli = 500});
  check_started(cell, {1});
  cell.quarantined(0, 0);
  cell.submit({.gpus = 1, .gpu_milli = 500});
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {});
  cell.submit({.gpus = 1});
  check_started(cell, {});
  cell.released(0, 0);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(what_runs_there_counts_when_the_device_is_released) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(1)});
  cell.submit({.gpus = 1, .gpu_milli = 600});
  check_started(cell, {1});
  cell.quarantined(0, 0);
  cell.released(0, 0);
  cell.submit({.gpus = 1, .gpu_milli = 500});
  cell.submit({.gpus = 1, .gpu_milli = 400});
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_card_is_known_again_by_its_uuid) {
  TestCell cell;
  const TestNode two{.number = 0, .models = devices(2)};
  const TestNode one{.number = 0, .models = devices(1)};
  cell.add(two);
  cell.quarantined(0, 1);
  cell.add(one);
  cell.submit({.gpus = 1});
  check_started(cell, {1});
  cell.end(1);
  cell.add(two);
  cell.submit({.gpus = 2});
  check_started(cell, {});
  cell.lost(0);
  cell.returned(0);
  check_started(cell, {});
  // It is forgotten while it is away.
  cell.add(one);
  cell.released(0, 1);
  cell.add(two);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(of_a_card_that_is_cut_no_instance_is_offered) {
  TestCell cell;
  const auto add = [&](std::uint32_t instances) {
    cell.event(schema::EventBody::NodeRegistered, [&](auto& builder) {
      std::vector<flatbuffers::Offset<schema::DeviceSpec>> list;
      for (std::uint32_t i = 0; i < instances; ++i)
        list.push_back(schema::CreateDeviceSpecDirect(
            builder, uuid_of(0, i).c_str(), "a mig 1g", gib, -1, nullptr,
            i < 2 ? "card-0" : "card-1"));
      const auto spec = schema::CreateNodeSpecDirect(builder, "n0", "", 64'000,
                                                     64 * gib, &list);
      const auto agent = builder.CreateString("agent");
      return schema::CreateNodeRegistered(builder, 0, agent, spec).Union();
    });
  };
  add(1);
  cell.event(schema::EventBody::DeviceQuarantined, [](auto& builder) {
    return schema::CreateDeviceQuarantinedDirect(builder, 0, 0, "card-0")
        .Union();
  });
  cell.submit({.gpus = 1, .gpu_models = {"a mig 1g"}});
  check_started(cell, {});
  add(2);
  check_started(cell, {});
  add(3);
  check_started(cell, {1});
}

BOOST_AUTO_TEST_CASE(the_reason_counts_nodes_that_lack_a_released_device) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  cell.add({.number = 1, .models = devices(2)});
  cell.add({.number = 2, .models = devices(1)});
  cell.quarantined(0, 1);
  cell.quarantined(1, 0);
  cell.submit({.gpus = 1, .on_node = "n1"});
  check_started(cell, {1});
  const auto two = cell.submit({.gpus = 2});
  const auto one = cell.submit({.gpus = 1, .on_node = "n1"});
  check_started(cell, {});
  auto answer = cell.scheduler.why(SessionId{two});
  BOOST_TEST((answer.reason == WaitReason::no_room));
  BOOST_TEST(answer.nodes.quarantined == 2U);
  BOOST_TEST(answer.nodes.too_small == 1U);
  answer = cell.scheduler.why(SessionId{one});
  BOOST_TEST(answer.nodes.quarantined == 0U);
  BOOST_TEST(answer.nodes.devices_busy == 1U);
  BOOST_REQUIRE(answer.nearest);
  BOOST_TEST(answer.nearest->name == "n1");
  BOOST_TEST(answer.nearest->gpus_quarantined == 1U);
}

// The place that is kept for the head is on a device that goes into quarantine:
// it is looked for anew, and those behind are not held up by the old one.
BOOST_AUTO_TEST_CASE(a_place_is_kept_on_no_device_in_quarantine) {
  for (const char* policy : {"easy", "conservative"}) {
    TestCell cell;
    cell.scheduler.set_policy("default", *parse_policy(policy));
    cell.add({.number = 0, .models = devices(2)});
    cell.add({.number = 1, .models = devices(2)});
    cell.submit({.gpus = 1, .on_node = "n0", .time_limit_ns = 10 * minute_ns});
    cell.submit({.gpus = 1, .on_node = "n1", .time_limit_ns = 30 * minute_ns});
    check_started(cell, {1, 2});
    const auto head = cell.submit({.gpus = 2, .time_limit_ns = 60 * minute_ns});
    check_started(cell, {});
    const auto start = [&] {
      return cell.scheduler.why(SessionId{head}).expected_start.value -
             cell.now.value;
    };
    BOOST_TEST(start() == 10 * minute_ns);
    cell.quarantined(0, 0);
    const auto behind = cell.submit(
        {.gpus = 1, .on_node = "n0", .time_limit_ns = 100 * minute_ns});
    check_started(cell, {behind});
    BOOST_TEST(start() == 30 * minute_ns);
  }
}

// Nodes that patience keeps for the head are chosen anew.
BOOST_AUTO_TEST_CASE(patience_keeps_no_node_that_does_not_do_any_more) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(2)});
  cell.submit({.gpus = 1});
  check_started(cell, {1});
  cell.submit({.gpus = 2});
  check_started(cell, {});
  cell.now.value += head_patience_ns;
  check_started(cell, {});
  cell.submit({.gpus = 1});
  check_started(cell, {});
  cell.quarantined(0, 0);
  cell.end(1);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace quarantine_test

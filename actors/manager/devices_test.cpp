// Devices in quarantine and tests of them: who may ask, and which orders leave.
#include <boost/test/unit_test.hpp>

#include "actors/manager/core.hpp"
#include "actors/manager/test_harness.hpp"

namespace devices_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;
using cluster::testing::one_task;
using schema::FactKind;
using schema::SessionState;

BOOST_FIXTURE_TEST_SUITE(manager_devices, TwoNodes)

BOOST_AUTO_TEST_CASE(admins_and_the_nodes_agent_quarantine_its_devices) {
  const auto by_eve = quarantine("n0", "0", "eve");
  const auto by_other = quarantine("n0", "0", "agent-n1");
  const auto by_agent = quarantine("n0", "0", "agent-n0");
  const auto by_root = quarantine("n0", "1");
  const auto again = quarantine("n0", "1");
  const auto unknown = quarantine("n0", "2");
  commit();
  BOOST_CHECK_EQUAL(verdict(by_eve), "forbidden device_foreign");
  BOOST_CHECK_EQUAL(verdict(by_other), "forbidden device_foreign");
  BOOST_CHECK(verdict(by_agent).starts_with("accepted"));
  BOOST_CHECK(verdict(by_root).starts_with("accepted"));
  BOOST_CHECK_EQUAL(verdict(again), "wrong_state device_quarantined");
  BOOST_CHECK_EQUAL(verdict(unknown), "not_found device_unknown");
  BOOST_CHECK_EQUAL(state().node("n0")->quarantined.size(), 2);
  const auto refused = release("n0", "0");
  const auto forced = release("n0", "0", "root", true);
  commit();
  BOOST_CHECK_EQUAL(verdict(refused), "wrong_state quarantine_by_agent");
  BOOST_CHECK(verdict(forced).starts_with("accepted"));
  restart();
  BOOST_CHECK_EQUAL(state().node("n0")->quarantined.size(), 1);
}

BOOST_AUTO_TEST_CASE(a_device_that_was_proposed_before_its_quarantine_is_kept) {
  const std::uint64_t running_on = submitted(one_task());
  const std::uint64_t late = submitted(one_task());
  const auto on_device_0 = [](std::uint64_t session) {
    return cluster::Proposal{
        SessionId{session}, 1, {{NodeId{0}, {{0, 300, 7}}}}};
  };
  BOOST_CHECK(core->on_proposals({on_device_0(running_on)}, now).empty());
  quarantine("n0", "0", "agent-n0");
  BOOST_CHECK_EQUAL(core->on_proposals({on_device_0(late)}, now).size(), 1);
  commit();
  // What had its place is launched all the same, and nothing is stopped.
  BOOST_CHECK_EQUAL(orders(), "n0 launch 1.1.0");
  BOOST_CHECK(state_of(late) == SessionState::pending);
}

BOOST_AUTO_TEST_CASE(a_test_is_ordered_until_its_verdict_is_there) {
  const auto by_eve = test("n0", "0", true, "eve");
  const auto full = test("n0", "0");
  const auto other = test("n0", "1", false);
  collect();
  BOOST_CHECK_EQUAL(orders(), "");  // not before it is kept
  commit();
  BOOST_CHECK_EQUAL(verdict(by_eve), "forbidden device_foreign");
  BOOST_CHECK_EQUAL(verdict(full), "accepted");
  BOOST_CHECK_EQUAL(verdict(other), "accepted");
  BOOST_CHECK_EQUAL(orders(), "n0 test GPU-n0-0 (full) GPU-n0-1 (quick)");
  wait(6 * second_ns);
  BOOST_CHECK(orders().starts_with("n0 test GPU-n0-0 (full)"));
  const auto told = tested("n0", "GPU-n0-0", schema::DeviceVerdict::healthy);
  commit();
  BOOST_CHECK_EQUAL(verdict(told), "accepted");
  restart();
  wait(second_ns);
  BOOST_CHECK_EQUAL(orders(), "n0 test GPU-n0-1 (quick)");
  tested("n0", "GPU-n0-1", schema::DeviceVerdict::faulty);
  commit();
  wait(6 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "");
  const auto again = tested("n0", "GPU-n0-1", schema::DeviceVerdict::healthy);
  commit();
  BOOST_CHECK_EQUAL(verdict(again), "not_found test_unknown");
  BOOST_CHECK_EQUAL(state().node("n0")->quarantined.size(), 1);
}

BOOST_AUTO_TEST_CASE(a_lost_node_is_asked_for_no_test) {
  test("n0", "0");
  commit();
  orders();
  for (int i = 0; i < 14; ++i) {
    core->on_heartbeat("n1", now);
    tick(second_ns);
    commit();
  }
  BOOST_REQUIRE(state().node("n0")->lost);
  orders();
  core->on_heartbeat("n1", now);
  tick(6 * second_ns);
  commit();
  BOOST_CHECK_EQUAL(orders(), "");
  BOOST_CHECK_EQUAL(state().node("n0")->testing.size(), 1);
}

BOOST_AUTO_TEST_CASE(a_device_that_joins_is_tested_before_it_is_offered) {
  tests_devices = true;
  join({.name = "n2", .devices = 1});
  BOOST_CHECK(orders().find("n2 test GPU-n2-0 (quick)") != std::string::npos);
  const std::uint64_t waiting = submitted(one_task());
  const cluster::Proposal on_it{
      SessionId{waiting}, 1, {{NodeId{2}, {{0, 300, 7}}}}};
  BOOST_CHECK_EQUAL(core->on_proposals({on_it}, now).size(), 1);
  tested("n2", "GPU-n2-0", schema::DeviceVerdict::healthy);
  BOOST_CHECK(core->on_proposals({on_it}, now).empty());
  commit();
  // What its agent finds unfit later is tested in full, with its registration.
  tick(second_ns);
  quarantine("n2", "0", "agent-n2");
  report("n2", waiting, {.kind = FactKind::start_failed});
  register_nodes("n2", {{.name = "n2", .devices = 1}}, true);
  commit();
  BOOST_CHECK(orders().find("n2 test GPU-n2-0 (full)") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace devices_test

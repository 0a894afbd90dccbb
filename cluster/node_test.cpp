// Nodes join, change, leave and come back.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace node_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

BOOST_FIXTURE_TEST_SUITE(nodes, Cell)

BOOST_AUTO_TEST_CASE(a_new_node_is_registered_once) {
  const NodeOptions node{.name = "n0", .devices = 2, .limits = 1};
  add(node);
  BOOST_CHECK_EQUAL(kinds, "NodeRegistered");
  BOOST_CHECK_EQUAL(verdict(register_node(node)), "accepted");
  BOOST_CHECK_EQUAL(kinds, "");
  BOOST_CHECK_EQUAL(verdict(register_node(node, true)), "accepted");
  BOOST_CHECK_EQUAL(kinds, "");
  BOOST_CHECK_EQUAL(state.nodes().size(), 1);
}

BOOST_AUTO_TEST_CASE(another_inventory_is_taken_over) {
  add({.name = "n0", .devices = 2});
  for (const NodeOptions& changed :
       {NodeOptions{.name = "n0", .devices = 1},
        NodeOptions{.name = "n0", .devices = 3},
        NodeOptions{.name = "n0", .devices = 3, .model = "A100"},
        NodeOptions{.name = "n0", .cpu_milli = 5, .devices = 3},
        NodeOptions{.name = "n0", .cpu_milli = 5, .limits = 2}}) {
    register_node(changed);
    BOOST_CHECK_EQUAL(kinds, "NodeRegistered");
    register_node(changed);
    BOOST_CHECK_EQUAL(kinds, "");
    BOOST_CHECK_EQUAL(state.node("n0")->devices.size(), changed.devices);
    BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
  }
}

BOOST_AUTO_TEST_CASE(a_device_that_a_task_holds_must_stay_what_it_is) {
  add({.name = "n0", .devices = 3});
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 1, .milli = 400}});
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0", .devices = 1})),
                    "wrong_state device_in_use 0 400");
  BOOST_CHECK_EQUAL(
      verdict(register_node({.name = "n0", .devices = 3, .model = "A100"})),
      "wrong_state device_in_use 0 400");
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0", .devices = 2})),
                    "accepted");
  start(id);
  exit(id);
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0"})), "accepted");
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(a_lost_node_comes_back_when_its_agent_has_reconciled) {
  add({.name = "n0"});
  lose("n0");
  BOOST_CHECK(!state.node("n0")->offered());
  register_node({.name = "n0"});
  BOOST_CHECK_EQUAL(kinds, "");
  register_node({.name = "n0", .cpu_milli = 1});
  BOOST_CHECK_EQUAL(kinds, "NodeRegistered");
  BOOST_CHECK(state.node("n0")->lost);
  register_node({.name = "n0"}, true);
  BOOST_CHECK_EQUAL(kinds, "NodeRegistered NodeReturned");
  BOOST_CHECK(state.node("n0")->offered());
}

BOOST_AUTO_TEST_CASE(another_agent_takes_a_node_over_only_when_it_is_lost) {
  add({.name = "n0", .agent = "a"});
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0", .agent = "b"})),
                    "wrong_state node_taken 0 0");
  lose("n0");
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0", .agent = "b"}, true)),
                    "accepted");
  BOOST_CHECK_EQUAL(state.node("n0")->agent, "b");
}

BOOST_AUTO_TEST_CASE(bounds_of_a_node_hold) {
  const auto of = [&](NodeOptions node) {
    return verdict(register_node(node));
  };
  const std::string name(name_bytes_max, 'n');
  BOOST_CHECK_EQUAL(of({.name = name}), "accepted");
  BOOST_CHECK_EQUAL(of({.name = name + 'n'}), "malformed node_name 128 129");
  BOOST_CHECK_EQUAL(of({.name = "", .agent = "a"}),
                    "malformed node_name 128 0");
  BOOST_CHECK_EQUAL(of({.name = "a", .devices = devices_per_node_max}),
                    "accepted");
  BOOST_CHECK_EQUAL(of({.name = "b", .devices = devices_per_node_max + 1}),
                    "over_limit devices_per_node_max 64 65");
  BOOST_CHECK_EQUAL(of({.name = "c", .limits = node_limits_max}), "accepted");
  BOOST_CHECK_EQUAL(of({.name = "d", .limits = node_limits_max + 1}),
                    "over_limit node_limits_max 64 65");
  const std::string model(node_spec_bytes_max - 8, 'm');
  BOOST_CHECK_EQUAL(of({.name = "e", .devices = 1, .model = model}),
                    "accepted");
  BOOST_CHECK_EQUAL(of({.name = "f", .devices = 1, .model = model + "m"}),
                    "over_limit node_spec_bytes_max 65536 65537");
}

BOOST_AUTO_TEST_CASE(no_two_devices_of_a_node_have_one_uuid) {
  add({.name = "a", .devices = 1, .uuid = "GPU-a"});
  BOOST_CHECK_EQUAL(
      verdict(register_node({.name = "a", .devices = 3, .uuid = "GPU-a"})),
      "malformed device_uuid 0 1");
  BOOST_CHECK_EQUAL(state.node("a")->devices.size(), 1);
}

BOOST_AUTO_TEST_CASE(links_go_to_each_device_of_the_node) {
  BOOST_CHECK_EQUAL(
      verdict(register_node({.name = "a", .devices = 2, .links = 2})),
      "accepted");
  BOOST_CHECK_EQUAL(
      verdict(register_node({.name = "b", .devices = 3, .links = 2})),
      "malformed device_links 3 2");
}

BOOST_AUTO_TEST_CASE(a_mig_instance_says_so_in_its_model) {
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "a",
                                           .devices = 2,
                                           .model = "H100 MIG 1g.10gb",
                                           .mig_of = "GPU-x"},
                                          true)),
                    "accepted");
  BOOST_TEST(state.node("a")->devices[1].mig_of == "GPU-x");
  BOOST_CHECK_EQUAL(
      verdict(register_node({.name = "b", .devices = 1, .mig_of = "GPU-x"})),
      "malformed device_mig_model 0 0");
}

BOOST_AUTO_TEST_CASE(a_node_stays_real_or_simulated) {
  add({.name = "n0"});
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0", .simulated = true})),
                    "wrong_state node_kind 0 0");
}

BOOST_AUTO_TEST_CASE(a_draining_node_keeps_its_tasks_until_the_deadline) {
  add({.name = "n0"});
  const SessionId id = running(one_task());
  BOOST_CHECK_EQUAL(verdict(drain("n0", 60 * second_ns)), "accepted");
  BOOST_CHECK_EQUAL(state.node("n0")->drain_deadline.value,
                    now.value + 60 * second_ns);
  BOOST_CHECK_EQUAL(state.node("n0")->drain_reason, "repair");
  BOOST_CHECK(state.session(id)->state == SessionState::running);
  BOOST_CHECK(evict(id));
  BOOST_CHECK_EQUAL(kinds, "SessionStopping");
  BOOST_CHECK(!evict(id));
  exit(id, 0, 1);
  BOOST_CHECK(session(id).reason == EndReason::node_drained);
  resume("n0");
  BOOST_CHECK_EQUAL(kinds, "NodeResumed");
  BOOST_CHECK(state.node("n0")->offered());
  resume("n0");
  BOOST_CHECK_EQUAL(kinds, "");
}

BOOST_AUTO_TEST_CASE(the_deadline_of_a_drain_is_bounded) {
  add({.name = "n0"});
  BOOST_CHECK_EQUAL(verdict(drain("n0", drain_ns_max)), "accepted");
  BOOST_CHECK_EQUAL(
      verdict(drain("n0", drain_ns_max + 1)),
      "over_limit drain_ns_max 31536000000000000 31536000000000001");
}

BOOST_AUTO_TEST_CASE(an_unknown_node_is_said_to_be_unknown) {
  BOOST_CHECK_EQUAL(verdict(drain("n9")), "not_found node_unknown 0 0");
  BOOST_CHECK_EQUAL(verdict(resume("n9")), "not_found node_unknown 0 0");
  BOOST_CHECK_EQUAL(verdict(remove("n9")), "not_found node_unknown 0 0");
}

BOOST_AUTO_TEST_CASE(a_node_is_removed_when_nothing_is_on_it_any_more) {
  const NodeId first = add({.name = "n0"});
  const SessionId id = running(one_task());
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "wrong_state node_in_use 0 1");
  exit(id);
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "accepted");
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "not_found node_removed 0 0");
  BOOST_CHECK(state.node(first)->removed);
  BOOST_CHECK(!state.node("n0"));
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(a_removed_node_stays_out_until_it_is_resumed) {
  const NodeId first = add({.name = "n0"});
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "accepted");
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0"}, true)),
                    "wrong_state node_removed 0 0");
  BOOST_CHECK_EQUAL(verdict(drain("n0")), "not_found node_removed 0 0");
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
  const auto bytes = state.encode_snapshot();
  BOOST_CHECK(State::decode_snapshot(bytes)->barred_node("n0"));
  BOOST_CHECK_EQUAL(verdict(resume("n0")), "accepted");
  BOOST_CHECK_EQUAL(kinds, "NodeResumed");
  BOOST_CHECK(!state.barred_node("n0") && !state.node("n0"));
  BOOST_CHECK_EQUAL(verdict(resume("n0")), "not_found node_unknown 0 0");
  const NodeId second = add({.name = "n0"});
  BOOST_CHECK(first != second);
  BOOST_CHECK(state.node(first)->removed);
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(a_new_node_joins_when_what_it_runs_is_reconciled) {
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0"})), "accepted");
  BOOST_CHECK_EQUAL(kinds, "");
  BOOST_CHECK(!state.node("n0"));
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0"}, true)), "accepted");
  BOOST_CHECK_EQUAL(kinds, "NodeRegistered");
  BOOST_CHECK(state.node("n0")->offered());
  // Users declare simulated ones: there is nothing to reconcile.
  const NodeOptions simulated{.name = "s0", .agent = "sim", .simulated = true};
  BOOST_CHECK_EQUAL(verdict(register_node(simulated)), "accepted");
  BOOST_CHECK(state.node("s0"));
}

BOOST_AUTO_TEST_CASE(the_owner_adds_a_removed_node_again_by_declaring_it) {
  const NodeId first = add({.name = "n0"});
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "accepted");
  BOOST_CHECK_EQUAL(verdict(register_node({.name = "n0"}, true, state.owner())),
                    "accepted");
  BOOST_CHECK(state.node("n0") && !state.barred_node("n0"));
  BOOST_CHECK(!state.node(first)->barred);
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
  BOOST_CHECK_EQUAL(verdict(remove("n0")), "accepted");
  BOOST_CHECK(state.barred_node("n0"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace node_test

// Agents that fall silent: what is lost with their nodes, and when.
#include <boost/test/unit_test.hpp>

#include "actors/manager/core.hpp"
#include "actors/manager/test_harness.hpp"
#include "schema/wire.hpp"

namespace lost_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;
using cluster::testing::one_task;
using cluster::testing::tasks_of;
using schema::EndReason;
using schema::SessionState;

BOOST_FIXTURE_TEST_SUITE(manager_lost, TwoNodes)

BOOST_AUTO_TEST_CASE(a_silent_agent_loses_its_node_and_what_ran_there) {
  Spec again = one_task();
  again.requeue_max = 1;
  const std::uint64_t failing = running(one_task());
  const std::uint64_t requeued = running(again);
  for (int i = 0; i < 12; ++i) {
    core->on_heartbeat("n1", now);
    tick(second_ns);
    commit();
    // Silent for longer than heartbeat_ns_max.
    const auto silent_ns = static_cast<std::uint64_t>(i + 1) * second_ns;
    BOOST_CHECK_EQUAL(state().node("n0")->lost,
                      silent_ns > Options().heartbeat_ns_max);
  }
  BOOST_CHECK(state().node("n1")->offered());
  BOOST_CHECK(state_of(failing) == SessionState::failed);
  BOOST_CHECK(state_of(requeued) == SessionState::running);
  core->on_heartbeat("n0", now);
  wait(2 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  register_nodes("n0", {{.name = "n0", .devices = 2}}, true);
  BOOST_CHECK(state().node("n0")->offered());
  wait(5 * second_ns);
  BOOST_CHECK(state().node("n0")->offered());
}

BOOST_AUTO_TEST_CASE(a_manager_without_its_bus_loses_no_node) {
  core->set_deaf(true);
  for (int i = 0; i < 30; ++i) tick(second_ns);
  BOOST_CHECK(!state().node("n0")->lost);
  // From its return on they have all the time again.
  core->set_deaf(false);
  for (std::uint64_t ns = 0; ns < Options().heartbeat_ns_max; ns += second_ns) {
    tick(second_ns);
    BOOST_CHECK(!state().node("n0")->lost);
  }
  tick(second_ns);
  commit();
  BOOST_CHECK(state().node("n0")->lost);
}

BOOST_AUTO_TEST_CASE(a_silent_agent_loses_its_own_nodes_all_of_them) {
  const std::vector<NodeOptions> both{{.name = "a"}, {.name = "b"}};
  for (const bool by_another_manager : {false, true}) {
    register_nodes("rack", both, true);
    commit();
    if (by_another_manager) restart();
    BOOST_CHECK(state().node("a")->offered());
    for (int i = 0; i < 12; ++i) {
      for (const char* agent : {"n0", "n1"}) core->on_heartbeat(agent, now);
      tick(second_ns);
      commit();
    }
    for (const char* name : {"a", "b"}) BOOST_CHECK(state().node(name)->lost);
    for (const char* name : {"n0", "n1"})
      BOOST_CHECK(state().node(name)->offered());
  }
}

// It may still run what was given up with the node after it had its list.
BOOST_AUTO_TEST_CASE(who_reconciled_before_the_loss_does_not_return_by_it) {
  const std::vector<NodeOptions> node{{.name = "n0", .devices = 2}};
  send_registration("n0", node, false, {});
  commit();
  for (int i = 0; i < 12; ++i) tick(second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  send_registration("n0", node, true, {});
  BOOST_CHECK(state().node("n0")->lost);
  commit();
  // Nor does one whose list was another manager's.
  send_registration("n0", node, false, {});
  restart();
  send_registration("n0", node, true, {});
  BOOST_CHECK(state().node("n0")->lost);
  register_nodes("n0", node, true);
  BOOST_CHECK(state().node("n0")->offered());
}

// A question for the list that was late is answered with a new list, for the
// same registration; the agent may follow the one from before.
BOOST_AUTO_TEST_CASE(who_followed_a_list_from_before_the_loss_gets_another) {
  const std::vector<NodeOptions> node{{.name = "n0", .devices = 2}};
  send_registration("n0", node, false, {});
  commit();
  const std::uint64_t before = core->state().last_sequence().value;
  for (int i = 0; i < 12; ++i) tick(second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  commit();
  send_registration("n0", node, false, {});
  commit();
  orders();
  followed_list = before;
  send_registration("n0", node, true, {});
  commit();
  BOOST_CHECK(state().node("n0")->lost);
  BOOST_CHECK_EQUAL(orders(), "n0 reconcile");
  followed_list = core->state().last_sequence().value;
  send_registration("n0", node, true, {});
  BOOST_CHECK(state().node("n0")->offered());
  commit();
  BOOST_CHECK_EQUAL(orders(), "");
}

BOOST_AUTO_TEST_CASE(a_list_of_an_earlier_epoch_brings_no_node_back) {
  const std::vector<NodeOptions> node{{.name = "n0", .devices = 2}};
  for (int i = 0; i < 12; ++i) tick(second_ns);
  commit();
  BOOST_CHECK(state().node("n0")->lost);
  followed_list = core->state().last_sequence().value + 1'000;
  epoch_seen = core->state().epoch();
  restart();
  send_registration("n0", node, false, {});
  send_registration("n0", node, true, {});
  BOOST_CHECK(state().node("n0")->lost);
  epoch_seen.reset();
  send_registration("n0", node, true, {});
  BOOST_CHECK(state().node("n0")->offered());
}

BOOST_AUTO_TEST_CASE(a_gang_with_a_part_on_a_lost_node_is_stopped_elsewhere) {
  const std::uint64_t session = submitted(tasks_of(2));
  place(session, {"n0", "n1"});
  start(session, 0);
  start(session, 1);
  commit();
  orders();
  for (int i = 0; i < 11; ++i) {
    core->on_heartbeat("n1", now);
    tick(second_ns);
  }
  commit();
  BOOST_CHECK_EQUAL(orders(), "n1 stop 1.1.1");
  report("n1", session, {.rank = 1, .reason = EndReason::signalled});
  BOOST_CHECK(state_of(session) == SessionState::failed);
  BOOST_CHECK(state().session(SessionId{session})->reason ==
              EndReason::node_lost);
}

// ---- those that may be tried again

struct Retried : TwoNodes {
  // On n0, and started there.
  std::uint64_t retried(std::uint32_t requeue_max, std::uint64_t cut_off_ns) {
    Spec spec = one_task();
    spec.requeue_max = requeue_max;
    spec.cut_off_ns = cut_off_ns;
    return running(spec);
  }
  // n1 is heard, and n0 is not.
  void pass(std::uint64_t duration_ns) {
    for (std::uint64_t at = 0; at < duration_ns; at += second_ns) {
      core->on_heartbeat("n1", now);
      tick(second_ns);
      commit();
    }
  }
  const cluster::Session& session(std::uint64_t id) const {
    return *state().session(SessionId{id});
  }
};

constexpr std::uint64_t after_cut_off_ns =
    cluster::cut_off_grace_ns + cluster::cut_off_spare_ns;

BOOST_FIXTURE_TEST_CASE(what_may_run_again_is_given_up_when_it_must_have_ended,
                        Retried) {
  const std::uint64_t id = retried(1, 0);
  core->on_heartbeat("n0", now);
  pass(12 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  BOOST_CHECK(session(id).state == SessionState::running);
  pass(cluster::cut_off_ns_default + after_cut_off_ns - 13 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::running);
  pass(2 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::pending);
  BOOST_CHECK_EQUAL(session(id).attempt, 2u);
}

BOOST_FIXTURE_TEST_CASE(a_session_says_how_long_it_may_be_cut_off, Retried) {
  const std::uint64_t brief = retried(1, cluster::cut_off_ns_min);
  const std::uint64_t patient = retried(0, 5 * minute_ns);
  const std::uint64_t plain = retried(0, 0);
  pass(12 * second_ns);
  BOOST_CHECK(session(plain).state == SessionState::failed);
  BOOST_CHECK(session(brief).state == SessionState::running);
  pass(cluster::cut_off_ns_min + after_cut_off_ns - 11 * second_ns);
  BOOST_CHECK(session(brief).state == SessionState::pending);
  BOOST_CHECK(session(patient).state == SessionState::running);
  pass(5 * minute_ns);
  BOOST_CHECK(session(patient).state == SessionState::failed);
}

BOOST_FIXTURE_TEST_CASE(the_last_attempt_is_waited_for_by_nobody, Retried) {
  const std::uint64_t id = retried(1, 0);
  report("n0", id, {.exit_code = 1});
  wait(3 * second_ns);
  place(id, {"n0"});
  start(id, 0);
  commit();
  BOOST_REQUIRE(session(id).state == SessionState::running);
  pass(12 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::failed);
}

// It ends by the GPU that was unclean, and is tried again. What is left of it
// runs on where the cell is not heard: nobody told it to end there in time.
BOOST_FIXTURE_TEST_CASE(a_gang_that_a_gpu_stops_is_not_given_up_at_once,
                        Retried) {
  const std::uint64_t id = submitted(tasks_of(2));
  place(id, {"n0", "n1"});
  start(id, 0);
  commit();
  pass(9 * second_ns);
  report("n1", id,
         {.kind = schema::FactKind::start_failed,
          .rank = 1,
          .reason = EndReason::device_unclean});
  commit();
  pass(3 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  BOOST_CHECK(session(id).state == SessionState::stopping);
  pass(20 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::stopping);
  // A cancel makes an end of it.
  cancel(id);
  commit();
  BOOST_CHECK(session(id).state == SessionState::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_node_that_is_back_in_time_goes_on_with_its_tasks,
                        Retried) {
  const std::uint64_t id = retried(1, 0);
  pass(40 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  register_nodes("n0", {{.name = "n0", .devices = 2}}, true);
  commit();
  BOOST_CHECK(orders().find("n0 reconcile 1.1.0") != std::string::npos);
  wait(2 * minute_ns);
  BOOST_CHECK(session(id).state == SessionState::running);
  BOOST_CHECK_EQUAL(session(id).attempt, 1u);
}

// It may be heard again without knowing that its node was lost.
BOOST_FIXTURE_TEST_CASE(a_lost_host_that_is_heard_gets_a_list_and_nothing_else,
                        Retried) {
  retried(1, cluster::cut_off_ns_min);
  send_registration("n0", {{.name = "n0", .devices = 2}});
  commit();
  pass(12 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  core->take_effects();
  orders();
  for (unsigned i = 0; i < 5; ++i) {
    core->on_heartbeat("n0", now, {1, 700 + i});
    core->on_heartbeat("n1", now);
    tick(second_ns);
    commit();
  }
  BOOST_REQUIRE_EQUAL(sent.size(), 1u);
  BOOST_CHECK(sent[0].order().body_as_ReconcileOrder());
  BOOST_CHECK_EQUAL(sent[0].order().heard(), 0u);
}

BOOST_FIXTURE_TEST_CASE(a_list_from_before_it_is_given_up_brings_no_node_back,
                        Retried) {
  const std::uint64_t id = retried(1, cluster::cut_off_ns_min);
  send_registration("n0", {{.name = "n0", .devices = 2}});
  commit();
  pass(12 * second_ns);
  core->on_heartbeat("n0", now, {1, 700});
  commit();
  followed_list = state().last_sequence().value;
  pass(cluster::cut_off_ns_min + after_cut_off_ns);
  BOOST_REQUIRE(session(id).state == SessionState::pending);
  send_registration("n0", {{.name = "n0", .devices = 2}}, true);
  BOOST_CHECK(state().node("n0")->lost);
  commit();
  followed_list = state().last_sequence().value;
  send_registration("n0", {{.name = "n0", .devices = 2}}, true);
  BOOST_CHECK(!state().node("n0")->lost);
}

BOOST_FIXTURE_TEST_CASE(what_is_simulated_waits_for_no_lost_node, Retried) {
  register_nodes("sim", {{.name = "s0", .simulated = true}}, false, "root");
  commit();
  Spec spec = one_task();
  spec.simulated = true;
  spec.sim_duration_ns = 3600 * second_ns;
  spec.requeue_max = 1;
  const std::uint64_t id = submitted(spec);
  place(id, {"s0"});
  report("sim", id, {.kind = schema::FactKind::started}, "agent-sim");
  commit();
  pass(12 * second_ns);
  BOOST_CHECK(state().node("s0")->lost);
  BOOST_CHECK(session(id).state == SessionState::pending);
}

BOOST_FIXTURE_TEST_CASE(who_cancels_waits_for_no_lost_node, Retried) {
  const std::uint64_t id = retried(1, 0);
  pass(12 * second_ns);
  cancel(id);
  commit();
  BOOST_CHECK(session(id).state == SessionState::cancelled);
}

// Its stop is over before its node must have ended it: it is not called lost.
BOOST_FIXTURE_TEST_CASE(one_that_is_stopped_to_run_again_waits_as_long,
                        Retried) {
  const std::uint64_t id = retried(1, 5 * minute_ns);
  pass(12 * second_ns);
  drain("n0", second_ns);
  pass(3 * minute_ns);
  BOOST_CHECK(session(id).state == SessionState::stopping);
  pass(3 * minute_ns);
  BOOST_CHECK(session(id).state == SessionState::pending);
}

BOOST_FIXTURE_TEST_CASE(another_manager_counts_from_its_own_start, Retried) {
  const std::uint64_t id = retried(1, 0);
  pass(50 * second_ns);
  restart();
  pass(cluster::cut_off_ns_default + after_cut_off_ns - 2 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::running);
  pass(4 * second_ns);
  BOOST_CHECK(session(id).state == SessionState::pending);
}

BOOST_FIXTURE_TEST_CASE(a_clock_that_jumps_gives_nothing_up, Retried) {
  const std::uint64_t id = retried(1, 0);
  pass(12 * second_ns);
  now.value += 3600 * second_ns;
  core->on_heartbeat("n1", now);
  tick(second_ns);
  BOOST_CHECK(session(id).state == SessionState::running);
  pass(cluster::cut_off_ns_default + after_cut_off_ns);
  BOOST_CHECK(session(id).state == SessionState::pending);
}

BOOST_FIXTURE_TEST_CASE(why_tells_when_a_session_is_given_up, Retried) {
  const std::uint64_t id = retried(1, 0);
  pass(12 * second_ns);
  const auto* answer = ask<schema::WhyQuery>(
      [&](auto& builder) { return schema::CreateWhyQuery(builder, id); });
  const std::string text = answer->body_as_WhyAnswer()->summary()->str();
  BOOST_CHECK(text.find("node n0 is lost") != std::string::npos);
  BOOST_CHECK(text.find("heard nothing of the cell for 1m") !=
              std::string::npos);
}

// ---- that they are heard

BOOST_AUTO_TEST_CASE(an_agent_with_tasks_is_told_which_heartbeat_was_heard) {
  for (unsigned i = 0; i < 10; ++i) {
    core->on_heartbeat("n0", now, {1, 500 + i});
    core->on_heartbeat("n1", now, {0, 9});
    core->on_tick(now);
    now.value += second_ns;
  }
  std::vector<std::uint64_t> told;
  for (const auto& effect : core->take_effects())
    if (const auto* order = std::get_if<SendOrder>(&effect)) {
      BOOST_CHECK_EQUAL(order->agent, "n0");
      const auto* message = schema::verified<schema::AgentOrder>(order->bytes);
      BOOST_REQUIRE(message && message->body_as_HeardOrder());
      told.push_back(message->heard());
    }
  BOOST_CHECK((told == std::vector<std::uint64_t>{500, 502, 504, 506, 508}));
}

// An agent would obey nobody else any more.
BOOST_AUTO_TEST_CASE(nobody_is_told_of_an_epoch_that_may_be_set_aside) {
  const auto told = [&] {
    core->on_heartbeat("n0", now, {1, 500});
    const auto effects = core->take_effects();
    return std::count_if(effects.begin(), effects.end(), [](const auto& one) {
      return std::holds_alternative<SendOrder>(one);
    });
  };
  BOOST_CHECK_EQUAL(told(), 1);
  now.value += heard_order_ns;
  core->on_heartbeat("n0", now, {1, 501, false});
  BOOST_CHECK(core->take_effects().empty());
  epoch_seen = Epoch{state().epoch().value + 2};
  send_registration("n1", {{.name = "n1"}});
  BOOST_CHECK_EQUAL(told(), 0);
  commit();
  BOOST_CHECK_EQUAL(told(), 1);
}

BOOST_AUTO_TEST_CASE(a_launch_tells_from_when_on_its_host_may_be_cut_off) {
  Spec spec = one_task();
  spec.requeue_max = 1;
  core->on_heartbeat("n0", now, {0, 77});
  const std::uint64_t id = submitted(spec);
  place(id, {"n0"});
  commit();
  // What the newest launch tells: what was heard, and the limit.
  using Told = std::pair<std::uint64_t, std::uint64_t>;
  const auto told = [&]() -> std::optional<Told> {
    std::optional<Told> found;
    for (const Sent& one : std::exchange(sent, {}))
      if (const auto* launch = one.order().body_as_LaunchOrder())
        found = {one.order().heard(), launch->tasks()->Get(0)->cut_off_ns()};
    return found;
  };
  BOOST_CHECK((told() == Told{77, cluster::cut_off_ns_default}));
  // A manager that has not heard of the host has nothing to tell.
  restart();
  commit();
  BOOST_CHECK(!told());
  core->on_heartbeat("n0", now, {0, 88});
  tick(second_ns);
  commit();
  BOOST_CHECK((told() == Told{88, cluster::cut_off_ns_default}));
}

// ---- heartbeats that come late

BOOST_AUTO_TEST_CASE(whose_heartbeats_come_late_is_waited_for_longer) {
  const auto silent = [&](std::uint64_t duration_ns) {
    for (std::uint64_t at = 0; at < duration_ns; at += second_ns) {
      core->on_heartbeat("n1", now);
      tick(second_ns);
    }
  };
  core->on_heartbeat("n0", now);
  silent(8 * second_ns);
  core->on_heartbeat("n0", now);
  silent(15 * second_ns);
  BOOST_CHECK(!state().node("n0")->lost);
  silent(5 * second_ns);
  BOOST_CHECK(state().node("n0")->lost);
}

BOOST_AUTO_TEST_CASE(that_they_came_late_is_forgotten_in_time) {
  core->on_heartbeat("n0", now);
  for (int i = 0; i < 8; ++i) {
    core->on_heartbeat("n1", now);
    tick(second_ns);
  }
  wait(3 * minute_ns);
  for (int i = 0; i < 13; ++i) {
    core->on_heartbeat("n1", now);
    tick(second_ns);
  }
  BOOST_CHECK(state().node("n0")->lost);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace lost_test

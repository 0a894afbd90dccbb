#include <boost/test/unit_test.hpp>

#include "actors/agent/test_agent.hpp"

namespace reeve::agent::core_simulated_test {
namespace {

BOOST_FIXTURE_TEST_CASE(a_simulated_task_lasts_its_time, Simulated) {
  order(Orders(1).launch_simulated({one}, 3 * second_ns));
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::started));
  answer_report();
  tick(2 * second_ns);
  BOOST_TEST(heard.facts.size() == 1u);
  BOOST_TEST(core.wait_ns() <= 1 * second_ns);
  tick(1 * second_ns);
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 2u);
  BOOST_TEST((heard.facts[1].kind == FactKind::exited));
  BOOST_TEST(heard.facts[1].exit_code == 0);
  BOOST_TEST(heard.facts[1].ended_at == noon.value + 3 * second_ns);
  answer_report();
  BOOST_TEST(core.tasks() == 0u);
  BOOST_TEST(forgotten.empty());
}

BOOST_FIXTURE_TEST_CASE(a_simulated_task_of_no_time_is_one_report, Simulated) {
  order(Orders(1).launch_simulated({one, two}, 0));
  BOOST_TEST(heard.reports == 1);
  BOOST_TEST(heard.facts.size() == 4u);
  BOOST_TEST(launched.empty());
}

BOOST_AUTO_TEST_CASE(simulated_tasks_over_the_bound_are_dropped_and_counted) {
  BOOST_TEST(Options().simulated_tasks_max == simulated_tasks_max);
  Options few = Agent::options(true);
  few.simulated_tasks_max = 2;
  Agent agent(few);
  agent.ready();
  agent.answer_registration();
  agent.order(Orders(1).launch_simulated({one, two}, second_ns));
  BOOST_TEST(agent.core.tasks() == 2u);
  BOOST_TEST(agent.core.counters().launches_dropped == 0u);
  agent.order(Orders(1).launch_simulated({{7, 1, 0}}, second_ns));
  BOOST_TEST(agent.core.tasks() == 2u);
  BOOST_TEST(agent.core.counters().launches_dropped == 1u);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_told_once_however_often_it_comes) {
  Agent agent;
  agent.ready();
  for (int i = 0; i < 3; ++i) {
    const auto bytes = testing::make_reply(agent.heard.registration_id, false);
    agent.core.on_reply(testing::reply_of(bytes), agent.now);
    const auto said = agent.core.take_effects(agent.now).messages;
    BOOST_TEST(said.size() == (i == 0 ? 1u : 0u));
    agent.tick(retry_longest_ns);
  }
}

BOOST_FIXTURE_TEST_CASE(a_resumed_simulated_task_goes_on_with_its_rest,
                        Simulated) {
  const std::uint64_t started = noon.value - 2 * second_ns;
  order(Orders(1).launch_simulated({one}, 3 * second_ns, started));
  BOOST_TEST(heard.facts.empty());  // its start is known
  order(Orders(1).launch_simulated({one}, 3 * second_ns, started));
  BOOST_TEST(heard.facts.empty());
  tick(1 * second_ns);
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::exited));
  order(Orders(1).launch_simulated({two}, 3 * second_ns,
                                   noon.value - 9 * second_ns));
  answer_report();
  BOOST_TEST(heard.facts.size() == 2u);  // over long ago
}

BOOST_FIXTURE_TEST_CASE(a_simulated_task_is_not_longer_for_a_clock_set_back,
                        Simulated) {
  const std::uint64_t started = noon.value + 86'400 * second_ns;
  order(Orders(1).launch_simulated({one}, 3 * second_ns, started));
  tick(2 * second_ns);
  BOOST_TEST(heard.facts.empty());
  tick(1 * second_ns);
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::exited));
}

BOOST_FIXTURE_TEST_CASE(a_stopped_simulated_task_ends_at_once_and_once,
                        Simulated) {
  order(Orders(1).launch_simulated({one}, ~0ull));
  answer_report();
  order(Orders(1).stop({one}));
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 2u);
  BOOST_TEST((heard.facts[1].reason == EndReason::signalled));
  BOOST_TEST(heard.facts[1].exit_code == 143);
  answer_report();
  tick(10 * second_ns);
  BOOST_TEST(heard.facts.size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(an_agent_of_simulated_nodes_declares_none, Simulated) {
  BOOST_TEST(heard.registrations == 1);
  BOOST_TEST(heard.node.empty());
  BOOST_TEST(core.registered());
  order(Orders(1).launch_simulated({one}, 3 * second_ns));
  answer_report();
  order(Orders(1).list(heard.boot, {}));
  tick(1 * second_ns);
  BOOST_TEST(!core.ended(one));
}

BOOST_AUTO_TEST_CASE(a_simulated_task_whose_launch_is_lost_is_asked_for_again) {
  // It ran under an agent that crashed; the launch that goes with the list of
  // this one does not arrive.
  Agent agent(true);
  agent.ready();
  agent.answer_registration();
  agent.order(Orders(1).list(agent.heard.boot, {one}));
  BOOST_TEST(!agent.core.registered());
  agent.tick(list_ns_max);
  BOOST_TEST(agent.heard.registrations == 2);
  agent.order(Orders(1).launch_simulated({one}, 3 * second_ns, 1));
  agent.order(Orders(1).list(agent.heard.boot, {one}));
  BOOST_TEST(agent.core.registered());
}

}  // namespace
}  // namespace reeve::agent::core_simulated_test

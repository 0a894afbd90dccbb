// Registration and reconciling, heartbeats.
#include <boost/test/unit_test.hpp>

#include "actors/agent/test_agent.hpp"

namespace reeve::agent::core_registration_test {
namespace {

BOOST_FIXTURE_TEST_CASE(the_node_is_declared_with_what_it_does_not_give,
                        Agent) {
  ready();
  BOOST_TEST(heard.registrations == 1);
  BOOST_TEST(heard.node == "n1");
  BOOST_TEST(!heard.reconciled);
  BOOST_REQUIRE_EQUAL(heard.limits.size(), 1u);
  BOOST_TEST(heard.limits[0] == "no cgroups");
  BOOST_TEST(heard.labels == "rack=r1 ");
  tick(retry_first_ns);
  BOOST_TEST(heard.registrations == 2);
  answer_registration();
  order(Orders(1).list(heard.boot, {}));
  BOOST_TEST(heard.reconciled);
}

keeper::TaskStatus running(const TaskKey& key) {
  keeper::TaskStatus status;
  status.key = key;
  status.state = keeper::TaskState::running;
  status.pid = 9;
  status.started_at = 10;
  return status;
}

BOOST_FIXTURE_TEST_CASE(adopted_tasks_are_told_before_the_node_registers,
                        Agent) {
  keeper::TaskStatus over = running(two);
  over.state = keeper::TaskState::exited;
  over.exit = exited_with(3);
  ready({running(one), over});
  BOOST_TEST(heard.registrations == 0);
  BOOST_TEST(heard.facts.size() == 3u);  // two starts, one end
  answer_report();
  BOOST_TEST(heard.registrations == 1);
  BOOST_REQUIRE_EQUAL(forgotten.size(), 1u);
  BOOST_TEST((forgotten[0] == two));
  order(Orders(1).list(heard.boot, {one}));
  BOOST_TEST(stopped.empty());
  BOOST_TEST(heard.reconciled);
}

BOOST_FIXTURE_TEST_CASE(what_is_not_listed_ends_before_the_node_is_reconciled,
                        Agent) {
  ready({running(one), running(two)});
  answer_report();
  answer_registration();
  order(Orders(1).list(heard.boot, {two}));
  BOOST_REQUIRE_EQUAL(stopped.size(), 1u);
  BOOST_TEST((stopped[0].key == one));
  BOOST_TEST(!heard.reconciled);
  core.on_exited(one, exited_with(143));
  step();
  BOOST_TEST(heard.reconciled);
}

BOOST_FIXTURE_TEST_CASE(what_is_listed_but_not_here_is_unknown, Agent) {
  ready();
  order(Orders(1).list(heard.boot, {one}));
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::unknown));
}

BOOST_FIXTURE_TEST_CASE(
    a_list_does_not_stop_what_was_launched_after_it_was_asked, Agent) {
  ready();
  order(Orders(1).at(3).launch({one}));
  core.on_started(one, 1, 10, "");
  step();
  answer_report();
  order(Orders(1).at(2).list(heard.boot, {}));
  BOOST_TEST(stopped.empty());
  BOOST_TEST(heard.reconciled);
}

BOOST_FIXTURE_TEST_CASE(a_launch_from_before_the_list_comes_to_nothing, Ready) {
  core.on_reconnected(now);
  step();
  order(Orders(1).at(9).list(heard.boot, {}));
  // The manager has given it up meanwhile.
  order(Orders(1).at(8).launch({one}));
  BOOST_TEST(launched.empty());
  BOOST_TEST(core.counters().launches_void == 1u);
  order(Orders(1).at(9).launch({two}));
  BOOST_TEST(launched.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_that_the_list_has_overtaken_is_carried_out,
                        Agent) {
  ready();
  order(Orders(1).list(heard.boot, {}, {one}));
  BOOST_TEST(heard.facts.empty());
  BOOST_TEST(heard.reconciled);
  order(Orders(1).launch({one}));
  BOOST_REQUIRE_EQUAL(launched.size(), 1u);
  BOOST_TEST((launched[0].key == one));
}

BOOST_FIXTURE_TEST_CASE(a_launch_from_before_the_list_and_not_in_it_is_stopped,
                        Agent) {
  // It was on its way when the manager gave the node up.
  core.on_runtime_ready({}, {}, {}, now);
  order(Orders(1).launch({one}));
  order(Orders(1).list(heard.boot, {}));
  BOOST_REQUIRE_EQUAL(stopped.size(), 1u);
  BOOST_TEST((stopped[0].key == one));
  BOOST_TEST(!heard.reconciled);
  core.on_start_failed(one, "stopped before it was started");
  step();
  BOOST_TEST(heard.reconciled);
}

// Its node was lost after the list before.
BOOST_FIXTURE_TEST_CASE(a_later_list_for_the_same_registration_is_followed,
                        Agent) {
  ready({running(one), running(two)});
  answer_report();
  order(Orders(1).at(5).list(heard.boot, {one, two}));
  BOOST_TEST(heard.reconciled);
  BOOST_TEST(heard.list == 5u);
  order(Orders(1).at(9).list(heard.boot, {two}));
  BOOST_REQUIRE_EQUAL(stopped.size(), 1u);
  BOOST_TEST((stopped[0].key == one));
  const int before = heard.registrations;
  core.on_exited(one, exited_with(143));
  step();
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST(heard.reconciled);
  BOOST_TEST(heard.list == 9u);
  // The manager was content with it, and no older list counts any more.
  answer_registration();
  order(Orders(1).at(8).list(heard.boot, {}));
  BOOST_TEST(stopped.size() == 1u);
  // But a later one does, whenever it comes.
  order(Orders(1).at(12).list(heard.boot, {}));
  BOOST_REQUIRE_EQUAL(stopped.size(), 2u);
  BOOST_TEST((stopped[1].key == two));
}

BOOST_FIXTURE_TEST_CASE(a_list_for_an_earlier_registration_is_ignored, Agent) {
  ready({running(one)});
  answer_report();
  const schema::Id128 earlier = heard.boot;
  core.on_reconnected(now);
  step();
  BOOST_TEST(heard.boot.low() != earlier.low());
  order(Orders(1).list(earlier, {}));
  BOOST_TEST(stopped.empty());
  BOOST_TEST(core.counters().lists_stale == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_list_that_never_comes_is_asked_for_again, Agent) {
  ready();
  answer_registration();
  const auto first = heard.boot.low();
  tick(list_ns_max);
  BOOST_TEST(heard.boot.low() == first + 1);
}

BOOST_FIXTURE_TEST_CASE(a_new_manager_and_a_stall_register_the_node_again,
                        Ready) {
  const int before = heard.registrations;
  order(Orders(2).launch({one}));
  BOOST_TEST(heard.registrations == before + 1);
  answer_registration();
  order(Orders(2).list(heard.boot, {}));
  answer_registration();
  tick(1 * second_ns);
  const int quiet = heard.registrations;
  tick(stall_ns_max + 1);
  BOOST_TEST(heard.registrations == quiet + 1);
}

// The manager goes on with an older copy of its log.
BOOST_FIXTURE_TEST_CASE(a_newer_epoch_may_count_from_less_than_the_last,
                        Ready) {
  core.on_reconnected(now);
  step();
  order(Orders(1).at(90).list(heard.boot, {}));
  answer_registration();
  order(Orders(1).at(91).launch({one}));
  core.on_started(one, 1, 10, "");
  step();
  answer_report();
  order(Orders(2).at(50).launch({two}));
  BOOST_TEST(core.counters().launches_void == 0u);
  BOOST_TEST(launched.size() == 2u);
  answer_registration();
  order(Orders(2).at(51).list(heard.boot, {}, {two}));
  BOOST_REQUIRE_EQUAL(stopped.size(), 1u);
  BOOST_TEST((stopped[0].key == one));
}

BOOST_FIXTURE_TEST_CASE(a_runtime_that_comes_back_empty_lost_its_tasks, Ready) {
  order(Orders(1).launch({one, two}));
  core.on_started(one, 1, 10, "");
  step();
  answer_report();
  core.on_runtime_lost();
  ready();
  // What ran is lost; what was on its way may be launched again.
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 2u);
  BOOST_TEST((heard.facts[1].kind == FactKind::unknown));
  BOOST_TEST(heard.facts[1].session == one.session);
  order(Orders(1).launch({two}));
  BOOST_TEST(launched.size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_not_yet_handed_over_is_not_for_the_next_keeper,
                        Ready) {
  core.on_order(testing::order_of(Orders(1).launch({one})), now);
  core.on_runtime_lost();
  ready();
  BOOST_TEST(launched.empty());
  BOOST_TEST(core.tasks() == 0u);
}

BOOST_FIXTURE_TEST_CASE(heartbeats_come_each_second, Ready) {
  heartbeats = 0;
  for (int i = 0; i < 20; ++i) tick(heartbeat_ns / 2);
  BOOST_TEST(heartbeats == 10);
  BOOST_TEST(core.wait_ns() <= heartbeat_ns);
}

BOOST_FIXTURE_TEST_CASE(heartbeats_tell_the_newest_event_that_orders_rest_on,
                        Ready) {
  using Seen = std::pair<std::uint64_t, std::uint64_t>;
  const auto told = [&] {
    tick(heartbeat_ns);
    return seen;
  };
  order(Orders(4).at(70).launch({one}));
  BOOST_TEST((told() == Seen{4, 70}));
  // Late, or of a manager that leads no more.
  order(Orders(4).at(60).stop({one}));
  order(Orders(3).at(90).stop({one}));
  BOOST_TEST((told() == Seen{4, 70}));
  // A later epoch may know less of the log.
  order(Orders(5).at(65).stop({one}));
  BOOST_TEST((told() == Seen{5, 65}));
}

BOOST_FIXTURE_TEST_CASE(an_agent_that_restarts_tells_the_epoch_of_its_launches,
                        Agent) {
  core.on_runtime_ready({}, {Epoch{9}, SessionId{4}}, {}, now);
  tick(heartbeat_ns);
  BOOST_TEST(seen.first == 9u);
  BOOST_TEST(seen.second == 0u);
}

BOOST_FIXTURE_TEST_CASE(heartbeats_go_on_when_the_clock_is_set_back, Ready) {
  heartbeats = 0;
  now.value -= 500 * second_ns;
  for (int i = 0; i < 20; ++i) tick(heartbeat_ns / 2);
  // At half the speed of the clock, until that has caught up.
  BOOST_TEST(heartbeats == 5);
  BOOST_TEST(core.wait_ns() <= heartbeat_ns);
}

BOOST_FIXTURE_TEST_CASE(a_list_tells_where_the_managers_are, Ready) {
  const auto told = [&](const std::vector<std::string>& hosts) {
    core.on_order(testing::order_of(Orders(1).list(heard.boot, {}, {}, hosts)),
                  now);
    return core.take_effects(now).managers;
  };
  const std::vector<std::string> three{"10.0.0.1", "m2", "m3"};
  BOOST_TEST(told(three) == three, boost::test_tools::per_element());
  BOOST_TEST(told({}).empty());
  BOOST_TEST(told(std::vector<std::string>(managers_told_max, "m")).size() ==
             managers_told_max);
  BOOST_TEST(
      told(std::vector<std::string>(managers_told_max + 1, "m")).size() ==
      managers_told_max);
}

}  // namespace
}  // namespace reeve::agent::core_registration_test

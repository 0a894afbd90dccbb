#include <boost/test/unit_test.hpp>
#include <set>

#include "actors/agent/test_agent.hpp"

namespace reeve::agent::core_test {
namespace {

std::string value_of(const TaskSpec& spec, const std::string& name) {
  for (const std::string& line : spec.env)
    if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
  return "(unset)";
}

// ---- launches

BOOST_FIXTURE_TEST_CASE(a_launch_is_started_once_however_often_it_comes,
                        Ready) {
  order(Orders(1).launch({one}));
  order(Orders(1).launch({one}));
  BOOST_TEST(launched.size() == 1u);
  BOOST_TEST(heard.facts.empty());
}

BOOST_FIXTURE_TEST_CASE(a_start_is_reported_at_once, Ready) {
  order(Orders(1).launch({one}));
  core.on_started(one, 42, 123, "");
  step();
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::started));
  BOOST_TEST(heard.facts[0].pid == 42);
  BOOST_TEST(heard.facts[0].started_at == 123u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_of_a_running_task_tells_its_start_again,
                        Ready) {
  order(Orders(1).launch({one}));
  core.on_started(one, 42, 123, "");
  step();
  answer_report();
  order(Orders(1).launch({one}));
  BOOST_TEST(launched.size() == 1u);
  BOOST_TEST(heard.facts.size() == 2u);
  BOOST_TEST((heard.facts[1].kind == FactKind::started));
}

BOOST_FIXTURE_TEST_CASE(an_order_of_an_older_epoch_is_refused, Ready) {
  order(Orders(4).launch({one}));
  order(Orders(3).launch({two}));
  order(Orders(3).stop({one}));
  BOOST_TEST(launched.size() == 1u);
  BOOST_TEST(stopped.empty());
  BOOST_TEST(core.counters().orders_stale == 2u);
}

BOOST_FIXTURE_TEST_CASE(the_runtimes_epoch_counts_as_seen, Agent) {
  core.on_runtime_ready({}, {Epoch{9}, SessionId{4}}, {}, now);
  order(Orders(8).launch({one}));
  BOOST_TEST(launched.empty());
  BOOST_TEST(core.counters().orders_stale == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_registration_tells_the_newest_that_was_named, Agent) {
  core.on_runtime_ready({}, {Epoch{9}, SessionId{4}}, {}, now);
  step();
  BOOST_TEST(heard.newest_epoch == 9u);
  BOOST_TEST(heard.newest_session == 4u);
  order(Orders(10).launch({one}));
  tick(registration_ns);
  BOOST_TEST(heard.newest_epoch == 10u);
  BOOST_TEST(heard.newest_session == one.session);
}

// Of those that lost the bus at one moment, so that they registered at one.
BOOST_AUTO_TEST_CASE(agents_do_not_register_again_at_one_moment) {
  std::set<std::uint64_t> moments;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Options options = Agent::options(false);
    options.seed = seed;
    Agent agent(options);
    agent.registered();
    BOOST_TEST(agent.core.counters().registrations == 1u);
    const auto before = agent.heard.registrations;
    while (agent.heard.registrations == before &&
           agent.now <= Time{noon.value + registration_ns})
      agent.tick(second_ns);
    const std::uint64_t waited = agent.now.value - noon.value;
    BOOST_TEST(waited >= registration_ns / 2);
    BOOST_TEST(waited <= registration_ns);
    moments.insert(waited / second_ns);
  }
  BOOST_TEST(moments.size() > 10u);
}

// Its facts come first, and nobody takes them: it says which program it is.
BOOST_AUTO_TEST_CASE(a_program_that_is_not_understood_registers_all_the_same) {
  Agent agent;
  keeper::TaskStatus ended;
  ended.key = one;
  ended.state = keeper::TaskState::exited;
  agent.ready({ended});
  const auto refuse = [&](const schema::Id128& id) {
    const auto bytes = testing::make_refusal(
        id, schema::RejectCode::wrong_state, cluster::protocol_rule);
    agent.core.on_reply(testing::reply_of(bytes), agent.now);
    agent.step();
  };
  BOOST_TEST(agent.heard.registrations == 0u);
  refuse(agent.heard.report_id);
  BOOST_TEST(agent.heard.registrations == 1u);
  refuse(agent.heard.registration_id);
  BOOST_TEST(!agent.core.registered());
  // Once it is understood, the facts still come first.
  agent.answer_registration();
  const auto before = agent.heard.registrations;
  agent.tick(2 * retry_longest_ns);
  agent.answer_report();
  BOOST_TEST(agent.heard.registrations == before + 1);
  agent.answer_registration();
  agent.order(Orders(1).list(agent.heard.boot, {}));
  agent.answer_registration();
  BOOST_TEST(agent.core.registered());
}

BOOST_FIXTURE_TEST_CASE(the_first_order_of_an_older_epoch_is_told, Ready) {
  order(Orders(4).launch({one}));
  core.on_order(testing::order_of(Orders(3).launch({two})), now);
  core.on_order(testing::order_of(Orders(3).stop({one})), now);
  const Effects effects = core.take_effects(now);
  BOOST_REQUIRE_EQUAL(effects.messages.size(), 1u);
  BOOST_TEST(effects.messages[0].starts_with(
      "an order of epoch 3 is not obeyed: this node has seen epoch 4"));
}

BOOST_FIXTURE_TEST_CASE(orders_before_the_runtime_is_there_are_dropped, Agent) {
  order(Orders(1).launch({one}));
  BOOST_TEST(core.tasks() == 0u);
  BOOST_TEST(core.counters().orders_early == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_of_the_other_kind_fails, Ready) {
  order(Orders(1).launch_simulated({one}, 5));
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::start_failed));
}

BOOST_FIXTURE_TEST_CASE(launches_over_the_bound_are_dropped_and_counted,
                        Ready) {
  std::vector<TaskKey> keys;
  for (std::uint64_t id = 1; id <= tasks_max; ++id) keys.push_back({id, 1, 0});
  for (std::size_t at = 0; at < keys.size(); at += 256)
    order(Orders(1).launch(
        {keys.begin() + static_cast<long>(at),
         keys.begin() + static_cast<long>(std::min(at + 256, keys.size()))}));
  order(Orders(1).launch({{tasks_max + 1, 1, 0}}));
  BOOST_TEST(launched.size() == tasks_max);
  BOOST_TEST(core.counters().launches_dropped == 1u);
}

BOOST_AUTO_TEST_CASE(who_asked_for_no_cpu_gets_the_least_and_not_all) {
  Ready agent;
  agent.order(Orders(3).with_cpus(0).launch({{12, 1, 0}}));
  agent.order(Orders(3).launch({{13, 1, 0}}));
  BOOST_REQUIRE_EQUAL(agent.launched.size(), 2u);
  BOOST_TEST(agent.launched[0].cpu_milli == keeper::cpu_milli_min);
  BOOST_TEST(agent.launched[1].cpu_milli == 1500u);
}

BOOST_AUTO_TEST_CASE(a_task_gets_what_distributed_programs_expect) {
  Ready agent;
  agent.order(Orders(3).launch({{12, 2, 1}}));
  BOOST_REQUIRE_EQUAL(agent.launched.size(), 1u);
  const TaskSpec& spec = agent.launched[0];
  BOOST_TEST(spec.epoch == 3u);
  BOOST_TEST(spec.argv[0] == "true");
  BOOST_TEST(spec.uid == 1000u);
  const std::pair<const char*, const char*> expected[] = {
      {"RANK", "1"},
      {"WORLD_SIZE", "2"},
      {"LOCAL_RANK", "1"},
      {"MASTER_ADDR", "127.0.0.1"},
      {"MASTER_PORT", "20012"},
      {"CUDA_VISIBLE_DEVICES", "GPU-a"},
      {"REEVE_SESSION_ID", "s-12"},
      {"REEVE_SESSION_NAME", "job"},
      {"REEVE_ATTEMPT", "2"},
      {"REEVE_RANK", "1"},
      {"REEVE_TASKS", "2"},
      {"REEVE_NODE", "n1"},
      {"REEVE_USER", "ann"},
      {"REEVE_CPUS", "1.500"},
      {"REEVE_MEMORY_BYTES", "67108864"},
      {"GIVEN", "1"},
      {"PATH", search_path_default},
  };
  for (const auto& [name, value] : expected)
    BOOST_TEST(value_of(spec, name) == value, name);
  BOOST_TEST(std::count_if(spec.env.begin(), spec.env.end(), [](auto& line) {
               return line.starts_with("RANK=");
             }) == 1);
  const std::vector<std::string> paths = {"/dev/nvidiactl", "/dev/nvidia3"};
  BOOST_TEST(spec.device_paths == paths, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_master_is_named_where_it_is_another_node) {
  Ready agent;
  agent.order(Orders(1).on_master("n2").launch({one}));
  BOOST_TEST(value_of(agent.launched.at(0), "MASTER_ADDR") == "n2");
}

BOOST_AUTO_TEST_CASE(a_task_whose_device_is_gone_does_not_start) {
  Ready agent;
  agent.order(Orders(1).with_device("GPU-z").launch({one}));
  BOOST_TEST(agent.launched.empty());
  BOOST_REQUIRE_EQUAL(agent.heard.facts.size(), 1u);
  BOOST_TEST((agent.heard.facts[0].kind == FactKind::start_failed));
  BOOST_TEST(agent.heard.facts[0].detail.find("GPU-z") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(master_ports_stay_in_their_range) {
  for (const std::uint64_t session : {0ull, 1ull, 9'999ull, 10'000ull, ~0ull}) {
    BOOST_TEST(master_port(session) >= 20'000u);
    BOOST_TEST(master_port(session) <= 29'999u);
  }
}

// ---- ends

struct EndCase {
  const char* name;
  keeper::ExitFacts facts;
  FactKind kind;
  EndReason reason;
};

BOOST_AUTO_TEST_CASE(each_way_to_end_is_told_as_it_was) {
  keeper::ExitFacts killed = exited_with(137);
  killed.signal = 9;
  keeper::ExitFacts hog = killed;
  hog.memory_killed = true;
  keeper::ExitFacts lost;
  lost.lost = true;
  const EndCase cases[] = {
      {"by itself", exited_with(3), FactKind::exited, EndReason::exited},
      {"by a signal", killed, FactKind::exited, EndReason::signalled},
      {"by its memory limit", hog, FactKind::exited, EndReason::memory_limit},
      {"unknown", lost, FactKind::unknown, EndReason::none},
  };
  for (const EndCase& each : cases) {
    BOOST_TEST_CONTEXT(each.name) {
      Ready agent;
      agent.order(Orders(1).launch({one}));
      agent.core.on_started(one, 42, 10, "");
      agent.core.on_exited(one, each.facts);
      agent.step();
      BOOST_REQUIRE_EQUAL(agent.heard.facts.size(), 2u);
      BOOST_TEST((agent.heard.facts[1].kind == each.kind));
      BOOST_TEST((agent.heard.facts[1].reason == each.reason));
      BOOST_TEST(agent.heard.facts[1].exit_code == each.facts.exit_code);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(an_end_is_forgotten_only_once_it_was_accepted, Ready) {
  order(Orders(1).launch({one}));
  core.on_started(one, 42, 10, "");
  core.on_exited(one, exited_with(0));
  step();
  BOOST_TEST(forgotten.empty());
  BOOST_TEST(core.tasks() == 1u);
  answer_report();
  BOOST_REQUIRE_EQUAL(forgotten.size(), 1u);
  BOOST_TEST((forgotten[0] == one));
  BOOST_TEST(core.tasks() == 0u);
  BOOST_TEST(core.ended(one));
}

BOOST_FIXTURE_TEST_CASE(a_rejected_report_is_sent_again_later, Ready) {
  order(Orders(1).launch({one}));
  core.on_exited(one, exited_with(0));
  step();
  const auto first = heard.report_id;
  answer(first, false);
  BOOST_TEST(forgotten.empty());
  tick(retry_longest_ns);
  BOOST_TEST(heard.reports == 2);
  BOOST_TEST(heard.report_id.low() == first.low());
  answer_report();
  BOOST_TEST(forgotten.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(one_report_is_in_flight_and_the_rest_is_gathered,
                        Ready) {
  order(Orders(1).launch({one, two}));
  core.on_started(one, 1, 10, "");
  step();
  core.on_started(two, 2, 10, "");
  step();
  core.on_exited(two, exited_with(0));
  step();
  BOOST_TEST(heard.reports == 1);
  answer_report();
  BOOST_TEST(heard.reports == 2);
  BOOST_TEST(heard.facts.size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(a_report_holds_a_bounded_number_of_facts, Ready) {
  std::vector<TaskKey> keys;
  for (std::uint64_t id = 1; id <= facts_per_report_max + 1; ++id)
    keys.push_back({id, 1, 0});
  order(Orders(1).stop(keys));
  BOOST_TEST(heard.facts.size() == facts_per_report_max);
  answer_report();
  BOOST_TEST(heard.facts.size() == facts_per_report_max + 1);
}

BOOST_FIXTURE_TEST_CASE(a_report_of_long_details_stays_a_valid_command, Ready) {
  const std::string novel(10'000, 'x');
  std::vector<TaskKey> keys;
  for (std::uint64_t id = 1; id <= 900; ++id) keys.push_back({id, 1, 0});
  order(Orders(1).launch(keys));
  for (const TaskKey& key : keys) core.on_start_failed(key, novel);
  step();  // Heard verifies each command
  BOOST_TEST(heard.facts.size() < 900u);
  // It is closed by the fact that reaches the bound.
  BOOST_TEST(command_bytes > report_bytes_max);
  constexpr std::size_t offset_bytes = 4;
  BOOST_TEST(command_bytes < report_bytes_max + 2 * fact_detail_bytes_max +
                                 offset_bytes * facts_per_report_max);
  BOOST_TEST(heard.facts[0].detail.size() == fact_detail_bytes_max);
  for (int i = 0; i < 8; ++i) answer_report();
  BOOST_TEST(heard.facts.size() == 900u);
  BOOST_TEST(core.tasks() == 0u);
}

BOOST_FIXTURE_TEST_CASE(an_unanswered_report_is_sent_again_with_the_same_id,
                        Ready) {
  order(Orders(1).launch({one}));
  core.on_started(one, 1, 10, "");
  step();
  const auto first = heard.report_id;
  tick(retry_first_ns);
  BOOST_TEST(heard.reports == 2);
  BOOST_TEST(heard.report_id.low() == first.low());
  answer_report();
  tick(retry_longest_ns);
  BOOST_TEST(heard.reports == 2);
}

// ---- stops

BOOST_FIXTURE_TEST_CASE(a_stop_goes_to_the_runtime_with_its_grace, Ready) {
  order(Orders(1).launch({one}));
  order(Orders(1).stop({one}, 2 * second_ns));
  BOOST_REQUIRE_EQUAL(stopped.size(), 1u);
  BOOST_TEST(stopped[0].grace_ms == 2'000u);
}

BOOST_FIXTURE_TEST_CASE(a_task_that_runs_gets_each_signal_once, Ready) {
  order(Orders(1).signal({one}, 10));
  order(Orders(1).launch({one}));
  order(Orders(1).signal({one}, 10));
  BOOST_TEST(signalled.empty());
  core.on_started(one, 4, now.value, {});
  step();
  for (const std::uint8_t signo : {10, 10, 12, 64, 0, 65, 10})
    order(Orders(1).signal({one}, signo));
  BOOST_REQUIRE_EQUAL(signalled.size(), 3u);
  BOOST_TEST((signalled[0].key == one));
  BOOST_TEST(signalled[0].signo == 10);
  BOOST_TEST(signalled[1].signo == 12);
  BOOST_TEST(signalled[2].signo == 64);
  keeper::ExitFacts facts;
  core.on_exited(one, facts);
  order(Orders(1).signal({one}, 15));
  BOOST_TEST(signalled.size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(a_stop_of_an_unknown_task_bars_a_late_launch, Ready) {
  order(Orders(1).stop({one}));
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::unknown));
  order(Orders(1).launch({one}));
  answer_report();
  order(Orders(1).launch({one}));
  BOOST_TEST(launched.empty());
  BOOST_TEST(core.counters().launches_late == 1u);
  BOOST_TEST(heard.facts.size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_stop_of_an_ended_task_tells_its_end_again, Ready) {
  order(Orders(1).launch({one}));
  core.on_exited(one, exited_with(4));
  step();
  order(Orders(1).stop({one}));
  BOOST_TEST(stopped.empty());
  BOOST_TEST(heard.facts.size() == 1u);  // it is on its way already
}

BOOST_FIXTURE_TEST_CASE(tombstones_are_bounded_oldest_first, Ready) {
  for (std::uint64_t id = 1; id <= tombstones_max + 1; ++id) {
    core.on_order(testing::order_of(Orders(1).stop({{id, 1, 0}})), now);
    if (id % 500 == 0) {
      step();
      answer_report();
    }
  }
  step();
  while (core.facts_waiting() > 0) answer_report();
  order(Orders(1).launch({{2, 1, 0}}));
  BOOST_TEST(launched.empty());
  order(Orders(1).launch({{1, 1, 0}}));
  BOOST_TEST(launched.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(what_the_runtime_refuses_is_told, Ready) {
  order(Orders(1).launch({one, two}));
  core.on_refused(one, Errc::usage, "no command");
  core.on_refused(two, Errc::rejected, "it has ended");
  step();
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 2u);
  BOOST_TEST((heard.facts[0].kind == FactKind::start_failed));
  BOOST_TEST((heard.facts[1].kind == FactKind::unknown));
}

// Else the next session would be placed there, and fail as well.
BOOST_FIXTURE_TEST_CASE(a_launch_without_room_waits_to_be_ordered_again,
                        Ready) {
  for (const Errc code : {Errc::no_space, Errc::busy}) {
    launched.clear();
    order(Orders(1).launch({one}));
    core.on_refused(one, code, "no room");
    step();
    BOOST_TEST(heard.facts.empty());
    BOOST_TEST(launched.size() == 1u);
    order(Orders(1).launch({one}));
    BOOST_TEST(launched.size() == 2u);
    core.on_refused(one, code, "no room");
  }
  order(Orders(1).launch({one}));
  core.on_started(one, 42, 123, "");
  step();
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::started));
  BOOST_TEST(heard.facts[0].detail.empty());
  BOOST_TEST(core.counters().launches_refused == 4u);
}

BOOST_FIXTURE_TEST_CASE(what_is_stopped_while_it_waits_for_room_says_why,
                        Ready) {
  order(Orders(1).launch({one}));
  core.on_refused(one, Errc::no_space, "the disk is full");
  order(Orders(1).stop({one}));
  BOOST_TEST(stopped.empty());
  BOOST_REQUIRE_EQUAL(heard.facts.size(), 1u);
  BOOST_TEST((heard.facts[0].kind == FactKind::start_failed));
  BOOST_TEST(heard.facts[0].detail == "the disk is full");
  answer_report();
  BOOST_TEST(core.tasks() == 0u);
  order(Orders(1).launch({one}));
  BOOST_TEST(launched.size() == 1u);
}

// A stop of what is no longer wanted is on its way to the runtime already.
BOOST_FIXTURE_TEST_CASE(surplus_that_finds_no_room_is_over, Ready) {
  order(Orders(1).launch({one}));
  tick(registration_ns);
  order(Orders(1).list(heard.boot, {}));
  BOOST_TEST(stopped.size() == 1u);
  core.on_refused(one, Errc::no_space, "the disk is full");
  step();
  answer_report();
  answer_registration();
  BOOST_TEST(core.registered());
  BOOST_TEST(core.counters().registrations == 2u);
}

BOOST_FIXTURE_TEST_CASE(want_of_room_is_told_once_in_a_while, Ready) {
  const auto told = [&] {
    core.on_order(testing::order_of(Orders(1).launch({one, two})), now);
    core.on_refused(one, Errc::no_space, "writing /d/tasks: no space left");
    core.on_refused(two, Errc::no_space, "writing /d/tasks: no space left");
    return core.take_effects(now).messages;
  };
  const auto first = told();
  BOOST_REQUIRE_EQUAL(first.size(), 1u);
  BOOST_TEST(
      first[0].ends_with("until there is room: writing /d/tasks: no "
                         "space left"));
  BOOST_TEST(told().empty());
  tick(refusal_told_ns);
  BOOST_TEST(told().size() == 1u);
}

// ---- heard by the cell, or cut off

BOOST_FIXTURE_TEST_CASE(the_keeper_is_told_which_heartbeat_was_heard, Ready) {
  core.set_host_time(700);
  tick(heartbeat_ns);
  BOOST_TEST(beat_sent == 700u);
  order(Orders(1).heard(700).nothing_else());
  BOOST_TEST((heard_at == std::vector<std::uint64_t>{700}));
  order(Orders(1).heard(600).nothing_else());
  order(Orders(1).nothing_else());
  // An order of an earlier manager, which nobody has to obey any more.
  order(Orders(2).nothing_else());
  order(Orders(1).heard(690).nothing_else());
  BOOST_TEST((heard_at == std::vector<std::uint64_t>{700, 600}));
}

// The clock began anew with the host.
BOOST_FIXTURE_TEST_CASE(a_heartbeat_of_an_earlier_boot_counts_for_nothing,
                        Ready) {
  core.set_host_time(50);
  order(Orders(1).heard(9'000).nothing_else());
  BOOST_TEST(heard_at.empty());
}

BOOST_FIXTURE_TEST_CASE(a_launch_tells_how_long_it_may_be_cut_off, Ready) {
  core.set_host_time(700);
  order(Orders(1).heard(650).cut_off(60 * second_ns).launch({one}));
  BOOST_REQUIRE_EQUAL(launched.size(), 1u);
  BOOST_TEST(launched[0].cut_off_ns == 60 * second_ns);
  BOOST_TEST((heard_at == std::vector<std::uint64_t>{650}));
}

}  // namespace
}  // namespace reeve::agent::core_test

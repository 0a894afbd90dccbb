// The manager, decision by decision: what leaves, when, and to whom.
#include "actors/manager/core.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/manager/messages.hpp"
#include "actors/manager/test_harness.hpp"

namespace core_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;
using cluster::testing::one_task;
using cluster::testing::tasks_of;
using schema::EndReason;
using schema::FactKind;
using schema::SessionState;

BOOST_FIXTURE_TEST_SUITE(manager_core, TwoNodes)

// ---- answers

BOOST_AUTO_TEST_CASE(an_answer_leaves_only_after_its_commit) {
  const auto id = submit(one_task());
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "none");
  begin_commit();
  BOOST_CHECK_EQUAL(verdict(id), "none");
  finish_commit();
  BOOST_CHECK_EQUAL(verdict(id), "accepted s-1");
}

BOOST_AUTO_TEST_CASE(an_answer_waits_for_its_own_commit_not_for_an_earlier) {
  const auto first = submit(one_task());
  begin_commit();
  const auto second = submit(one_task());
  finish_commit();
  BOOST_CHECK_EQUAL(verdict(first), "accepted s-1");
  BOOST_CHECK_EQUAL(verdict(second), "none");
  commit();
  BOOST_CHECK_EQUAL(verdict(second), "accepted s-2");
}

BOOST_AUTO_TEST_CASE(a_rejection_waits_for_what_it_was_decided_on) {
  submit(one_task());
  Spec wrong = one_task();
  wrong.group = "none";
  const auto id = submit(wrong);
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "none");
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "not_found group_unknown");
  const auto alone = submit(wrong);
  collect();
  BOOST_CHECK_EQUAL(verdict(alone), "not_found group_unknown");
  BOOST_CHECK_EQUAL(core->counters().rejections, 2);
}

BOOST_AUTO_TEST_CASE(a_rejected_command_is_not_accepted_when_it_comes_again) {
  const auto id = next_id();
  Spec later = one_task();
  later.after.emplace_back(state().next_session().value,
                           schema::DependencyKind::any);
  submit(later, "root", id);
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "not_found dependency_unknown");
  // What it was rejected for is there now.
  submitted(one_task());
  const auto sessions = state().live_sessions();
  submit(later, "root", id);
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "not_found dependency_unknown");
  BOOST_CHECK_EQUAL(state().live_sessions(), sessions);
  // The oldest of them are forgotten.
  for (std::size_t i = 0; i < rejections_kept_max; ++i) cancel(99'999);
  submit(later, "root", id);
  commit();
  BOOST_CHECK_EQUAL(state().live_sessions(), sessions + 1);
}

BOOST_AUTO_TEST_CASE(a_repeated_command_gets_its_first_answer) {
  const auto id = submit(one_task());
  commit();
  const Bytes first = replies.at(text_of(id));
  replies.clear();
  submit(tasks_of(3), "root", id);
  collect();
  BOOST_CHECK(replies.at(text_of(id)) == first);
  BOOST_CHECK_EQUAL(state().count(SessionState::pending), 1);
  BOOST_CHECK_EQUAL(core->counters().repeats, 1);
  restart();
  replies.clear();
  submit(one_task(), "root", id);
  commit();
  BOOST_CHECK(replies.at(text_of(id)) == first);
}

BOOST_AUTO_TEST_CASE(without_room_on_the_disk_nobody_waits_for_an_answer) {
  const std::uint64_t first = submitted(one_task());
  const std::uint64_t second = submitted(one_task());
  const auto before = cancel(first);
  begin_commit();
  core->set_no_room("the disk is full");
  collect();
  BOOST_CHECK_EQUAL(verdict(before), "no_space not_kept");
  const auto meanwhile = cancel(second);
  collect();
  BOOST_CHECK_EQUAL(verdict(meanwhile), "no_space no_room");
  BOOST_CHECK(state_of(second) == SessionState::pending);
  replies.clear();
  cancel(first, "root", before);
  collect();
  BOOST_CHECK_EQUAL(verdict(before), "no_space not_kept");
  // There is room again.
  core->set_no_room("");
  finish_commit();
  BOOST_CHECK(state_of(first) == SessionState::cancelled);
  replies.clear();
  cancel(first, "root", before);
  commit();
  BOOST_CHECK_EQUAL(verdict(before), "accepted s-1");
  // What was refused meanwhile is not carried out now.
  cancel(second, "root", meanwhile);
  commit();
  BOOST_CHECK_EQUAL(verdict(meanwhile), "no_space no_room");
  BOOST_CHECK(state_of(second) == SessionState::pending);
  const auto again = cancel(second);
  commit();
  BOOST_CHECK_EQUAL(verdict(again), "accepted s-2");
}

// A leader that was silent may not be one any more: the next one may have taken
// the command whose answer was lost.
BOOST_AUTO_TEST_CASE(who_may_lead_no_more_does_not_say_that_nothing_was_done) {
  const auto rejected = cancel(99'999);
  commit();
  BOOST_CHECK_EQUAL(verdict(rejected), "not_found session_unknown");
  core->set_leads(false);
  replies.clear();
  cancel(99'999, "root", rejected);
  const auto other = cancel(99'998);
  commit();
  BOOST_CHECK_EQUAL(verdict(rejected), "try_again not_kept");
  BOOST_CHECK_EQUAL(verdict(other), "try_again not_kept");
  core->set_no_room("the disk is full");
  const auto full = submit(one_task());
  collect();
  BOOST_CHECK_EQUAL(verdict(full), "try_again not_kept");
  // What it refused once it does not do now, whatever has become of the reason.
  core->set_no_room("");
  core->set_leads(true);
  Spec later = one_task();
  later.after.emplace_back(state().next_session().value,
                           schema::DependencyKind::any);
  const auto early = submit(later);
  commit();
  BOOST_CHECK_EQUAL(verdict(early), "not_found dependency_unknown");
  core->set_leads(false);
  submitted(one_task());
  const auto sessions = state().live_sessions();
  submit(later, "root", early);
  commit();
  BOOST_CHECK_EQUAL(verdict(early), "try_again not_kept");
  BOOST_CHECK_EQUAL(state().live_sessions(), sessions);
  // Sure again, it stands by what it said then, and decides the others.
  core->set_no_room("");
  core->set_leads(true);
  replies.clear();
  cancel(99'999, "root", rejected);
  cancel(99'998, "root", other);
  submit(one_task(), "root", full);
  commit();
  BOOST_CHECK_EQUAL(verdict(rejected), "not_found session_unknown");
  BOOST_CHECK_EQUAL(verdict(other), "not_found session_unknown");
  BOOST_CHECK_EQUAL(verdict(full), "accepted s-2");
}

BOOST_AUTO_TEST_CASE(a_repeat_before_the_commit_waits_for_it_too) {
  const auto id = submit(one_task());
  submit(one_task(), "root", id);
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "none");
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "accepted s-1");
  BOOST_CHECK_EQUAL(state().count(SessionState::pending), 1);
}

BOOST_AUTO_TEST_CASE(only_the_owner_changes_nodes) {
  const auto id = drain("n0", 0, "eve");
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "forbidden owner_only");
  BOOST_CHECK(!state().node("n0")->draining);
}

BOOST_AUTO_TEST_CASE(an_agent_speaks_for_itself_only) {
  const auto nodes = register_nodes("n0", {{.name = "n0"}}, true, "agent-n1");
  const auto facts = report("n0", 1, {}, "agent-n1");
  const auto by_owner = report("n0", 1, {}, "root");
  collect();
  BOOST_CHECK_EQUAL(verdict(nodes), "forbidden agent_foreign");
  BOOST_CHECK_EQUAL(verdict(facts), "forbidden agent_foreign");
  BOOST_CHECK_EQUAL(verdict(by_owner), "forbidden agent_foreign");
}

BOOST_AUTO_TEST_CASE(a_registration_is_taken_whole_or_not_at_all) {
  const auto id =
      register_nodes("n5", {{.name = "n5"}, {.name = "n0"}, {.name = "n6"}});
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "wrong_state node_taken");
  BOOST_CHECK(!state().node("n5"));
  std::vector<NodeOptions> many(cluster::nodes_per_command_max + 1,
                                {.name = "s"});
  const auto over = register_nodes("n5", many);
  collect();
  BOOST_CHECK_EQUAL(verdict(over), "over_limit nodes_per_command_max");
}

BOOST_AUTO_TEST_CASE(a_stopping_cell_admits_and_places_nothing) {
  const std::uint64_t waiting = submitted(one_task());
  const std::uint64_t session = running(one_task());
  core->stop_all(now);
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 2.1.0");
  const auto id = submit(one_task());
  collect();
  BOOST_CHECK_EQUAL(verdict(id), "stopping cell_stopping");
  Proposal proposal{SessionId{waiting}, 1, {{NodeId{0}, {}}}};
  BOOST_CHECK_EQUAL(core->on_proposals({proposal}, now).size(), 1);
  BOOST_CHECK_EQUAL(core->real_tasks(), 1);
  report("n0", session, {.exit_code = 1});
  BOOST_CHECK_EQUAL(core->real_tasks(), 0);
}

BOOST_AUTO_TEST_CASE(a_stopping_cell_gives_no_long_grace_and_revives_nothing) {
  Spec spec = one_task();
  spec.grace_ns = 600 * second_ns;
  spec.requeue_max = 3;
  const std::uint64_t session = running(spec);
  cancel(session);
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0");
  // Now, and when it is told again.
  for (int i = 0; i < 2; ++i) {
    sent.clear();
    if (i == 0) core->stop_all(now);
    wait(Options().resend_ns);
    std::size_t stops = 0;
    for (const Sent& one : sent) {
      const auto* stop = one.order().body_as_StopOrder();
      if (!stop) continue;
      ++stops;
      BOOST_CHECK_EQUAL(stop->grace_ns(), cluster::cell_stop_grace_ns);
    }
    BOOST_CHECK(stops > 0);
  }
  report("n0", session, {.exit_code = 1});
  BOOST_CHECK(state_of(session) == SessionState::cancelled);
}

// ---- orders

BOOST_AUTO_TEST_CASE(a_launch_follows_its_placement_after_the_commit) {
  const std::uint64_t session = submitted(tasks_of(3));
  place(session, {"n0", "n1", "n0"});
  begin_commit();
  BOOST_CHECK_EQUAL(orders(), "");
  finish_commit();
  BOOST_CHECK_EQUAL(orders(), "n0 launch 1.1.0 1.1.2; n1 launch 1.1.1");
}

BOOST_AUTO_TEST_CASE(a_launch_tells_all_that_a_task_needs) {
  Spec spec = tasks_of(2);
  spec.env = {{"A", "b"}};
  spec.workdir = "/tmp";
  spec.uid = 5;
  const std::uint64_t session = submitted(spec);
  Proposal proposal{SessionId{session},
                    1,
                    {{NodeId{0}, {{1, 500, 7}}}, {NodeId{0}, {{0, 1000, 9}}}}};
  BOOST_CHECK(core->on_proposals({proposal}, now).empty());
  commit();
  BOOST_REQUIRE_EQUAL(sent.size(), 1);
  const auto& order = sent[0].order();
  BOOST_CHECK_EQUAL(order.epoch(), 1);
  const auto& task = *order.body_as_LaunchOrder()->tasks()->Get(1);
  BOOST_CHECK_EQUAL(task.world_size(), 2);
  BOOST_CHECK_EQUAL(task.local_rank(), 1);
  BOOST_CHECK_EQUAL(task.node()->str(), "n0");
  BOOST_CHECK_EQUAL(task.master_node()->str(), "n0");
  BOOST_CHECK_EQUAL(task.argv()->Get(0)->str(), "/bin/true");
  BOOST_CHECK_EQUAL(task.env()->Get(0)->key()->str(), "A");
  BOOST_CHECK_EQUAL(task.uid(), 5);
  BOOST_CHECK_EQUAL(task.cpu_milli(), 1000);
  BOOST_CHECK_EQUAL(task.devices()->Get(0)->uuid()->str(), "GPU-n0-0");
  BOOST_CHECK_EQUAL(task.devices()->Get(0)->milli(), 1000);
}

BOOST_AUTO_TEST_CASE(what_was_not_heard_is_sent_again) {
  const std::uint64_t session = submitted(tasks_of(2));
  place(session, {"n0", "n1"});
  commit();
  orders();
  wait(4 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "");
  wait(second_ns);
  BOOST_CHECK_EQUAL(orders(), "n0 launch 1.1.0; n1 launch 1.1.1");
  start(session, 0);
  wait(5 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "n1 launch 1.1.1");
  start(session, 1);
  wait(30 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "");
}

BOOST_AUTO_TEST_CASE(a_starting_gang_is_sent_again_once_per_interval) {
  const std::uint64_t session = submitted(tasks_of(8));
  place(session, std::vector<std::string>(8, "n0"));
  for (std::uint32_t rank = 0; rank < 7; ++rank) start(session, rank);
  commit();
  orders();
  const std::uint64_t before = core->counters().orders;
  wait(20 * second_ns);
  BOOST_CHECK_EQUAL(core->counters().orders - before, 4);
}

BOOST_AUTO_TEST_CASE(a_cancel_stops_the_tasks_until_they_have_ended) {
  const std::uint64_t session = running(tasks_of(2));
  cancel(session);
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0 1.1.1");
  report("n0", session, {.rank = 0, .reason = EndReason::signalled});
  wait(5 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.1");
  report("n0", session, {.rank = 1, .reason = EndReason::signalled});
  wait(30 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "");
  BOOST_CHECK(state_of(session) == SessionState::cancelled);
}

BOOST_AUTO_TEST_CASE(orders_that_wait_for_a_slow_disk_are_sent_once) {
  const std::uint64_t session = running(one_task());
  cancel(session);
  begin_commit();
  for (int i = 0; i < 20; ++i) {
    core->on_heartbeat("n0", now);
    core->on_heartbeat("n1", now);
    tick(second_ns);
  }
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0; n0 stop 1.1.0");
}

BOOST_AUTO_TEST_CASE(a_task_that_starts_while_it_is_stopped_is_stopped_again) {
  const std::uint64_t session = submitted(one_task());
  place(session, {"n0"});
  cancel(session);
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0");
  start(session);
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0");
}

BOOST_AUTO_TEST_CASE(a_failing_task_stops_its_peers) {
  const std::uint64_t session = running(tasks_of(3));
  report("n0", session, {.rank = 1, .exit_code = 1});
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0 1.1.2");
}

BOOST_AUTO_TEST_CASE(a_start_that_nobody_ordered_is_stopped) {
  report("n0", 77, {.kind = FactKind::started});
  report("n0", 78, {.kind = FactKind::exited});
  commit();
  BOOST_CHECK_EQUAL(orders(), "n0 stop 77.1.0");
  BOOST_CHECK_EQUAL(core->counters().facts_foreign, 2);
}

BOOST_AUTO_TEST_CASE(orders_are_cut_at_their_bound) {
  restart();
  commit();
  Harness small({.tasks_per_order_max = 2});
  small.commit();
  small.join({.name = "n0"});
  const auto id = small.submit(tasks_of(5));
  small.commit();
  small.orders();
  small.place(small.session_of(id), std::vector<std::string>(5, "n0"));
  small.commit();
  BOOST_CHECK_EQUAL(small.orders(),
                    "n0 launch 1.1.0 1.1.1; n0 launch 1.1.2 1.1.3; "
                    "n0 launch 1.1.4");
  small.cancel(small.session_of(id));
  small.commit();
  BOOST_CHECK_EQUAL(small.orders(),
                    "n0 stop 1.1.0 1.1.1; n0 stop 1.1.2 1.1.3; n0 stop 1.1.4");
}

// ---- agents

BOOST_AUTO_TEST_CASE(a_registration_is_answered_with_all_that_should_run) {
  const std::uint64_t session = running(tasks_of(2));
  const std::uint64_t placed = submitted(one_task());
  place(placed, {"n0"});
  const std::uint64_t elsewhere = submitted(one_task());
  place(elsewhere, {"n1"});
  report("n0", session, {.rank = 0});
  commit();
  orders();
  register_nodes("n0", {{.name = "n0", .devices = 2}});
  commit();
  BOOST_CHECK_EQUAL(orders(),
                    "n0 launch 2.1.0; n0 reconcile 1.1.1 unstarted 2.1.0");
}

BOOST_AUTO_TEST_CASE(the_list_answers_the_boot_that_asked) {
  register_nodes("n0", {{.name = "n0", .devices = 2}});
  commit();
  const auto* list = sent.back().order().body_as_ReconcileOrder();
  BOOST_REQUIRE(list);
  BOOST_CHECK_EQUAL(list->boot()->high(), 5);
  BOOST_CHECK_EQUAL(list->boot()->low(), 6);
}

BOOST_AUTO_TEST_CASE(the_list_tells_where_the_managers_are) {
  const auto told = [](Harness& cell) {
    cell.register_nodes("m1", {{.name = "m1"}});
    cell.commit();
    BOOST_REQUIRE(!cell.sent.empty());
    const auto* list = cell.sent.back().order().body_as_ReconcileOrder();
    BOOST_REQUIRE(list);
    std::string hosts;
    for (const auto* host : *list->managers()) hosts += host->str() + " ";
    return hosts;
  };
  BOOST_CHECK_EQUAL(told(*this), "");  // one keeps the log alone
  Options options;
  options.managers = {{"m1", "10.0.0.1"}};
  Harness one(options);
  BOOST_CHECK_EQUAL(told(one), "");
  options.managers = {{"m1", "10.0.0.1"}, {"m2", "m2.lab"}};
  Harness several(options);
  BOOST_CHECK_EQUAL(told(several), "10.0.0.1 m2.lab ");
}

BOOST_AUTO_TEST_CASE(an_order_of_large_tasks_goes_in_parts) {
  Spec large = tasks_of(10);
  const std::string word(100'000, 'w');
  large.argv = {word};
  const std::uint64_t session = submitted(large);
  place(session, std::vector<std::string>(10, "n0"));
  sent.clear();
  commit();
  std::size_t tasks = 0;
  for (const Sent& one : sent) {
    // It is closed by the task that reaches the bound.
    BOOST_CHECK_LT(one.bytes.size(),
                   LaunchBuilder::launch_bytes_max + word.size() + 1'000);
    tasks += one.order().body_as_LaunchOrder()->tasks()->size();
  }
  BOOST_CHECK_GE(sent.size(), 3);
  BOOST_CHECK_EQUAL(tasks, 10);
}

BOOST_AUTO_TEST_CASE(a_stop_leaves_the_grace_between_its_two_signals) {
  const std::uint64_t session = running(one_task());
  cancel(session);
  commit();
  const auto* stop = sent.back().order().body_as_StopOrder();
  BOOST_REQUIRE(stop);
  BOOST_CHECK_EQUAL(stop->grace_ns(), cluster::stop_grace_ns);
}

BOOST_AUTO_TEST_CASE(a_manager_that_slept_does_not_lose_its_nodes) {
  const std::uint64_t session = running(one_task());
  wait(second_ns);
  tick(1'000 * second_ns);
  commit();
  BOOST_CHECK(state().node("n0")->offered());
  BOOST_CHECK(state_of(session) == SessionState::running);
  for (int i = 0; i < 11; ++i) tick(second_ns);
  BOOST_CHECK(state().node("n0")->lost);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_set_back_loses_no_node_and_no_deadline) {
  Spec limited = one_task();
  limited.time_limit_ns = 10 * second_ns;
  const std::uint64_t session = running(limited);
  const Time before = state().last_time();
  now.value -= 900 * second_ns;
  for (int i = 0; i < 15; ++i) {
    core->on_heartbeat("n0", now);
    core->on_heartbeat("n1", now);
    tick(second_ns);
  }
  commit();
  // Time goes on at half the clock's speed.
  BOOST_CHECK(state_of(session) == SessionState::running);
  BOOST_CHECK(state().node("n0")->offered());
  wait(6 * second_ns);
  BOOST_CHECK(state_of(session) == SessionState::stopping);
  BOOST_CHECK(state().last_time() > before);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_behind_the_log_at_a_start_moves_on) {
  const Time before = state().last_time();
  now.value -= 900 * second_ns;
  restart();
  const std::uint64_t session = submitted(one_task());
  place(session, {"n0"});
  start(session);
  report("n0", session, {.exit_code = 1});
  BOOST_CHECK(state().session(SessionId{session})->ended_at >= before);
}

BOOST_AUTO_TEST_CASE(simulated_nodes_come_back_with_their_agent) {
  join({.name = "s0", .agent = "sim", .simulated = true});
  core->on_heartbeat("sim", now);
  wait(12 * second_ns);
  BOOST_CHECK(state().node("s0")->lost);
  wait(5 * second_ns);
  BOOST_CHECK(state().node("s0")->lost);
  core->on_heartbeat("sim", now);
  wait(second_ns);
  BOOST_CHECK(state().node("s0")->offered());
}

BOOST_AUTO_TEST_CASE(a_drain_stops_what_is_left_at_its_deadline) {
  const std::uint64_t session = running(one_task());
  drain("n0", 3 * second_ns);
  wait(2 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "");
  BOOST_CHECK(state_of(session) == SessionState::running);
  wait(2 * second_ns);
  BOOST_CHECK_EQUAL(orders(), "n0 stop 1.1.0");
  report("n0", session, {.reason = EndReason::signalled});
  BOOST_CHECK(state().session(SessionId{session})->reason ==
              EndReason::node_drained);
}

// ---- time and dependencies

BOOST_AUTO_TEST_CASE(every_deadline_is_noticed) {
  Spec limited = one_task();
  limited.time_limit_ns = 7 * second_ns;
  const std::uint64_t session = running(limited);
  wait(6 * second_ns);
  BOOST_CHECK(state_of(session) == SessionState::running);
  wait(second_ns);
  BOOST_CHECK(state_of(session) == SessionState::stopping);
  wait(cluster::stopping_ns_max);
  BOOST_CHECK(state_of(session) == SessionState::lost);
  BOOST_CHECK(state().node("n0")->draining);
}

BOOST_AUTO_TEST_CASE(the_end_of_one_decides_those_that_wait_for_it) {
  const std::uint64_t first = running(one_task());
  Spec spec = one_task();
  spec.after = {{first, schema::DependencyKind::ok}};
  const std::uint64_t second = submitted(spec);
  spec.after = {{second, schema::DependencyKind::ok}};
  const std::uint64_t third = submitted(spec);
  spec.after = {{first, schema::DependencyKind::failed}};
  const std::uint64_t other = submitted(spec);
  report("n0", first, {.exit_code = 1});
  commit();
  BOOST_CHECK(state_of(second) == SessionState::cancelled);
  BOOST_CHECK(state_of(third) == SessionState::cancelled);
  BOOST_CHECK(state_of(other) == SessionState::pending);
}

// ---- a new manager

BOOST_AUTO_TEST_CASE(what_was_not_committed_never_was) {
  const auto id = submit(one_task());
  begin_commit();
  restart();
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "none");
  BOOST_CHECK_EQUAL(state().live_sessions(), 0);
}

BOOST_AUTO_TEST_CASE(a_new_manager_begins_an_epoch_and_takes_up_the_rest) {
  join({.name = "s0", .agent = "sim", .simulated = true});
  Spec simulated = one_task();
  simulated.simulated = true;
  simulated.sim_duration_ns = second_ns;
  const std::uint64_t sim = submitted(simulated);
  place(sim, {"s0"});
  start(sim);
  const std::uint64_t real = running(one_task());
  const std::uint64_t placed = submitted(one_task());
  place(placed, {"n0"});
  const std::uint64_t stopping = running(one_task());
  cancel(stopping);
  commit();
  restart();
  commit();
  BOOST_CHECK_EQUAL(state().epoch().value, 2);
  BOOST_CHECK_EQUAL(sent[0].order().epoch(), 2);
  BOOST_CHECK_EQUAL(orders(),
                    "n0 launch 3.1.0; sim launch 1.1.0; n0 stop 4.1.0");
  BOOST_CHECK(state_of(real) == SessionState::running);
}

// Agent n0 registers, and says which epoch and session are the newest that it
// was ever told of.
schema::Id128 register_seen(TwoNodes& cell, std::uint64_t epoch,
                            std::uint64_t session) {
  Builder builder;
  const schema::Id128 id = cell.next_id();
  const schema::Id128 boot{5, 6};
  const auto nodes = builder.CreateVector(
      std::vector<flatbuffers::Offset<schema::NodeSpec>>{});
  const auto agent = builder.CreateString("n0");
  cell.core->on_command(
      command_of(builder, id,
                 schema::CreateRegisterNodes(builder, agent, &boot, nodes,
                                             false, epoch, session)),
      "agent-n0", text_of(id), cell.now);
  cell.commit();
  return id;
}

BOOST_AUTO_TEST_CASE(an_older_log_put_in_place_is_made_the_newest) {
  const std::uint64_t known = submitted(one_task());
  const std::size_t copied = log.size();
  restart();
  commit();
  BOOST_CHECK_EQUAL(running(one_task()), known + 1);
  log.resize(copied);
  restart();
  place(known, {"n0"});
  commit();
  orders();
  const auto id = register_seen(*this, 7, known + 1);
  BOOST_CHECK_EQUAL(verdict(id), "accepted");
  BOOST_CHECK_EQUAL(state().epoch().value, 8);
  BOOST_REQUIRE(!sent.empty());
  for (const Sent& one : sent) BOOST_CHECK_EQUAL(one.order().epoch(), 8);
  BOOST_CHECK(orders().starts_with("n0 launch 1.1.0"));
  const auto said = core->take_messages();
  BOOST_REQUIRE_EQUAL(said.size(), 1);
  BOOST_CHECK(said[0].find("an older copy of it was put in place") !=
              std::string::npos);
  // The number of a session that a task out there may have is not used again.
  BOOST_CHECK_EQUAL(submitted(one_task()), known + 2);
  BOOST_CHECK_EQUAL(replayed().digest_hex(), state().digest_hex());
  register_seen(*this, 8, known + 2);
  BOOST_CHECK_EQUAL(state().epoch().value, 8);
  BOOST_CHECK(core->take_messages().empty());
}

// Agents that heard of nothing else, and of fewer sessions, do not tell it.
BOOST_AUTO_TEST_CASE(an_older_log_is_known_by_the_epoch_that_was_begun) {
  const std::uint64_t known = submitted(one_task());
  BOOST_TEST(core->next_epoch().value == 2u);
  const Epoch begun{5};
  begin_again({.begun = begun});
  commit();
  BOOST_TEST(state().epoch().value == 6u);
  BOOST_TEST(submitted(one_task()) == known + 1 + lost_sessions_max);
  const auto said = core->take_messages();
  BOOST_REQUIRE(said.size() == 1u);
  BOOST_TEST(said[0].find("an older copy of it was put in place") !=
             std::string::npos);
  BOOST_TEST(replayed().digest_hex() == state().digest_hex());
}

BOOST_AUTO_TEST_CASE(an_epoch_is_begun_when_its_beginning_is_on_disk) {
  BOOST_TEST(core->begun().value == 1u);
  restart();
  BOOST_TEST(core->begun().value == 0u);
  begin_commit();
  BOOST_TEST(core->begun().value == 0u);
  finish_commit();
  BOOST_TEST(core->begun().value == 2u);
}

BOOST_AUTO_TEST_CASE(the_epoch_that_the_log_ends_with_is_no_older_one) {
  const std::uint64_t known = submitted(one_task());
  begin_again({.begun = state().epoch()});
  commit();
  BOOST_TEST(state().epoch().value == 2u);
  BOOST_TEST(submitted(one_task()) == known + 1);
  BOOST_TEST(core->take_messages().empty());
}

BOOST_AUTO_TEST_CASE(a_session_that_the_log_does_not_know_is_enough) {
  register_seen(*this, 1, 5);
  BOOST_CHECK_EQUAL(state().epoch().value, 2);
  BOOST_CHECK_EQUAL(submitted(one_task()), 6);
}

BOOST_AUTO_TEST_CASE(a_log_that_is_far_too_old_is_not_gone_on_with) {
  const auto epoch = register_seen(*this, 1 + seen_ahead_max + 1, 0);
  BOOST_CHECK_EQUAL(verdict(epoch), "over_limit seen_ahead_max");
  const auto session = register_seen(*this, 1, ~0ull);
  BOOST_CHECK_EQUAL(verdict(session), "over_limit seen_ahead_max");
  BOOST_CHECK_EQUAL(state().epoch().value, 1);
  BOOST_CHECK_EQUAL(state().next_session().value, 1);
  const auto last = register_seen(*this, 1 + seen_ahead_max, seen_ahead_max);
  BOOST_CHECK_EQUAL(verdict(last), "accepted");
  BOOST_CHECK_EQUAL(state().epoch().value, 2 + seen_ahead_max);
}

BOOST_AUTO_TEST_CASE(a_new_manager_keeps_the_deadlines) {
  Spec limited = one_task();
  limited.time_limit_ns = 7 * second_ns;
  const std::uint64_t session = running(limited);
  wait(5 * second_ns);
  restart();
  wait(second_ns);
  BOOST_CHECK(state_of(session) == SessionState::running);
  wait(2 * second_ns);
  BOOST_CHECK(state_of(session) == SessionState::stopping);
}

// Nobody told the agent meanwhile, so its node is not to blame.
BOOST_AUTO_TEST_CASE(a_new_manager_gives_who_is_to_stop_a_session_its_time) {
  const std::uint64_t session = running(one_task());
  cancel(session);
  commit();
  now.value += 86'400 * second_ns;
  restart();
  tick(second_ns);
  BOOST_CHECK(state_of(session) == SessionState::stopping);
  BOOST_CHECK(!state().node("n0")->draining);
  wait(cluster::stopping_ns_max - 2 * second_ns);
  BOOST_CHECK(state_of(session) == SessionState::stopping);
  wait(2 * second_ns);
  BOOST_CHECK(state_of(session) == SessionState::lost);
  BOOST_CHECK(state().node("n0")->draining);
}

BOOST_AUTO_TEST_CASE(a_new_manager_loses_who_is_silent_from_then_on) {
  const std::uint64_t session = running(one_task());
  now.value += 100 * second_ns;
  restart();
  for (int i = 0; i < 10; ++i) tick(second_ns);
  BOOST_CHECK(state().node("n0")->offered());
  tick(second_ns);
  BOOST_CHECK(state().node("n0")->lost);
  BOOST_CHECK(state_of(session) == SessionState::failed);
}

BOOST_AUTO_TEST_CASE(live_and_replayed_state_are_the_same) {
  running(one_task());
  cancel(running(tasks_of(2)));
  wait(3 * second_ns);
  BOOST_CHECK_EQUAL(replayed().digest_hex(), state().digest_hex());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace core_test

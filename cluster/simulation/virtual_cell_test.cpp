// When sessions of a virtual cell start and end. The random workloads at the
// end go through the real fold, which checks that nothing is over-committed;
// repeat one with REEVE_SEED=<n>, REEVE_RUNS is how many.
#include "cluster/simulation/virtual_cell.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/accounts/quota.hpp"
#include "cluster/decide.hpp"
#include "cluster/simulation/random_work.hpp"
#include "cluster/simulation/test_workload.hpp"
#include "cluster/state.hpp"
#include "schema/wire.hpp"

namespace virtual_cell_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using namespace reeve::cluster::simulation::testing;
using Kind = NodeChange::Kind;

namespace {

std::string seconds(Time at) {
  if (at.value == 0) return "-";
  return fmt::format("{:g}",
                     static_cast<double>(at.value - beginning.value) / 1e9);
}

// "0-10 10-20": when each began and ended; a word where it did not.
std::string run(const Workload& work, const CellOptions& options = {}) {
  VirtualCell cell(work, options);
  while (cell.step()) {
  }
  std::string out;
  for (const Outcome& outcome : cell.outcomes()) {
    if (!out.empty()) out += ' ';
    switch (outcome.fate) {
      case Outcome::Fate::waiting: out += "waits"; break;
      case Outcome::Fate::refused: out += "refused"; break;
      case Outcome::Fate::running:
      case Outcome::Fate::ended:
        out += seconds(outcome.started_at) + "-" + seconds(outcome.ended_at);
    }
    if (outcome.attempts > 1) out += fmt::format("({})", outcome.attempts);
  }
  return out;
}

BOOST_AUTO_TEST_SUITE(virtual_cell)

BOOST_AUTO_TEST_CASE(a_device_in_quarantine_takes_nobody_until_its_release) {
  WorkMaker make;
  const auto node = make.node(8, 2);
  make.change_device(node, Kind::quarantined, 1, 5);
  make.change_device(node, Kind::released, 1, 40);
  make.submit({.at_s = 0, .lasts_s = 10, .gpus = 2});
  make.submit({.at_s = 1, .lasts_s = 10, .gpus = 1});
  make.submit({.at_s = 2, .lasts_s = 10, .gpus = 1});
  make.submit({.at_s = 3, .lasts_s = 10, .gpus = 2});
  // What ran there ran on; the two after it share the other device by turns.
  BOOST_TEST(run(make.work) == "0-10 10-20 20-30 40-50");
}

BOOST_AUTO_TEST_CASE(sessions_start_when_there_is_room_in_order_of_submission) {
  WorkMaker make;
  make.node(2);
  make.submit({.at_s = 0, .lasts_s = 10, .cpus = 2});
  make.submit({.at_s = 3, .lasts_s = 5, .cpus = 2});
  make.submit({.at_s = 4, .lasts_s = 1, .cpus = 1});
  make.submit({.at_s = 30, .lasts_s = 2, .cpus = 1});
  BOOST_TEST(run(make.work) == "0-10 10-15 15-16 30-32");
}

BOOST_AUTO_TEST_CASE(a_higher_priority_goes_first) {
  WorkMaker make;
  make.node(1);
  make.submit({.at_s = 0, .lasts_s = 10});
  make.submit({.at_s = 1, .lasts_s = 10});
  make.submit({.at_s = 2, .lasts_s = 10, .priority = 5});
  BOOST_TEST(run(make.work) == "0-10 20-30 10-20");
}

BOOST_AUTO_TEST_CASE(a_session_of_no_length_frees_its_place_at_once) {
  WorkMaker make;
  make.node(1);
  make.submit({.lasts_s = 0});
  make.submit({.lasts_s = 0});
  make.submit({.lasts_s = 4});
  BOOST_TEST(run(make.work) == "0-0 0-0 0-4");
}

BOOST_AUTO_TEST_CASE(rounds_start_sessions_at_their_multiples_only) {
  WorkMaker make;
  make.node(1);
  make.submit({.at_s = 0, .lasts_s = 10});
  make.submit({.at_s = 1, .lasts_s = 10});
  make.submit({.at_s = 100, .lasts_s = 80});
  make.submit({.at_s = 120, .lasts_s = 5});
  BOOST_TEST(run(make.work, {.round_ns = 60 * second_ns}) ==
             "0-10 60-70 120-200 240-245");
}

BOOST_AUTO_TEST_CASE(a_session_waits_for_its_time_and_for_others) {
  WorkMaker make;
  make.node(8);
  make.submit({.at_s = 0, .lasts_s = 10, .not_before_s = 7});
  const auto first = make.submit({.at_s = 1, .lasts_s = 10});
  using enum schema::DependencyKind;
  make.submit({.at_s = 2, .lasts_s = 1, .after = {{first.value, ok}}});
  make.submit({.at_s = 2, .lasts_s = 1, .after = {{first.value, failed}}});
  make.submit({.at_s = 30, .lasts_s = 1, .after = {{first.value, any}}});
  make.submit({.at_s = 31, .lasts_s = 1, .after = {{first.value, failed}}});
  BOOST_TEST(run(make.work) == "7-17 1-11 11-12 refused 30-31 refused");
}

BOOST_AUTO_TEST_CASE(one_that_waits_for_a_refused_one_is_refused_with_it) {
  WorkMaker make;
  make.node(2);
  using enum schema::DependencyKind;
  const auto giant = make.submit({.cpus = 3});
  const auto next = make.submit({.after = {{giant.value, ok}}});
  make.submit({.after = {{next.value, ok}}});
  make.submit({.lasts_s = 4, .after = {{giant.value, any}}});
  BOOST_TEST(run(make.work) == "refused refused refused 0-4");
}

BOOST_AUTO_TEST_CASE(what_fits_on_a_later_node_waits_for_it) {
  WorkMaker make;
  make.node(2);
  make.node(8, 0, 50);
  make.submit({.at_s = 0, .lasts_s = 10, .cpus = 8});
  make.submit({.at_s = 0, .lasts_s = 10, .cpus = 9});
  make.submit({.at_s = 0, .lasts_s = 10, .on_node = "n1"});
  make.submit({.at_s = 0, .lasts_s = 10, .on_node = "n7"});
  BOOST_TEST(run(make.work) == "50-60 refused 60-70 refused");
}

BOOST_AUTO_TEST_CASE(tasks_that_exit_earlier_make_room_earlier) {
  WorkMaker make;
  make.node(2);
  make.submit({.lasts_s = 10, .tasks = 2, .task_s = {3, 10}});
  make.submit({.at_s = 1, .lasts_s = 2});
  BOOST_TEST(run(make.work) == "0-10 3-5");
}

BOOST_AUTO_TEST_CASE(a_lost_node_ends_its_sessions_or_sends_them_back) {
  WorkMaker make;
  const auto node = make.node(2);
  make.change(node, Kind::lost, 5);
  make.change(node, Kind::returned, 20);
  make.submit({.lasts_s = 10});
  make.submit({.lasts_s = 10, .requeue_max = 1});
  make.submit({.at_s = 6, .lasts_s = 10});
  BOOST_TEST(run(make.work) == "0-5 0-31(2) 20-30");
}

BOOST_AUTO_TEST_CASE(a_requeued_session_is_held_back_as_in_the_real_cell) {
  WorkMaker make;
  const auto node = make.node(1);
  make.node(1, 0, 4);
  make.change(node, Kind::lost, 5);
  make.submit({.lasts_s = 10, .requeue_max = 3});
  BOOST_TEST(run(make.work) == "0-81(2)");
}

// The node may be only cut off, with the session alive on it.
BOOST_AUTO_TEST_CASE(what_may_be_tried_again_waits_until_it_is_given_up) {
  WorkMaker make;
  const auto node = make.node(4);
  make.node(4, 0, 4);
  make.change(node, Kind::lost, 5);
  make.submit({.lasts_s = 10, .requeue_max = 3});
  make.submit({.lasts_s = 10, .requeue_max = 3});
  make.submit({.lasts_s = 10});
  make.submit({.lasts_s = 10});
  make.work.sessions[1].cut_off_ns = 20 * second_ns;
  make.work.sessions[3].cut_off_ns = 20 * second_ns;
  BOOST_TEST(run(make.work) == "0-81(2) 0-41(2) 0-5 0-30");
  // A removed node does not come back.
  make.change(node, Kind::removed, 8);
  BOOST_TEST(run(make.work) == "0-19(2) 0-19(2) 0-5 0-8");
}

BOOST_AUTO_TEST_CASE(a_drained_node_takes_nothing_and_is_emptied_in_time) {
  WorkMaker make;
  const auto node = make.node(4);
  make.change(node, Kind::drained, 5, 8);
  make.change(node, Kind::resumed, 40);
  make.submit({.lasts_s = 7});
  make.submit({.lasts_s = 20});
  make.submit({.at_s = 6, .lasts_s = 1});
  BOOST_TEST(run(make.work) == "0-7 0-8 40-41");
  // Resumed before the deadline, nothing is emptied.
  make.work.changes.back().at = at_s(7);
  BOOST_TEST(run(make.work) == "0-7 0-20 7-8");
}

BOOST_AUTO_TEST_CASE(what_ran_before_the_window_keeps_its_place) {
  WorkMaker make;
  make.node(1);
  make.submit({.lasts_s = 10, .running_before = true});
  make.submit({.at_s = 0, .lasts_s = 5, .priority = 9});
  BOOST_TEST(run(make.work) == "0-10 10-15");
}

BOOST_AUTO_TEST_CASE(what_ran_on_a_known_node_goes_on_there) {
  WorkMaker make;
  const auto drained = make.node(2);
  make.node(1);
  make.change(drained, Kind::drained, 0);
  make.change(drained, Kind::resumed, 20);
  make.submit({.lasts_s = 10, .cpus = 2, .running_before = true});
  make.work.sessions[0].placed_before = {{drained, {}}};
  make.submit({.at_s = 1, .lasts_s = 5, .cpus = 2});
  BOOST_TEST(run(make.work) == "0-10 20-25");
}

BOOST_AUTO_TEST_CASE(where_nothing_may_wait_what_does_not_fit_is_refused) {
  WorkMaker make;
  make.node(0, 2);
  for (int i = 0; i < 4; ++i)
    make.submit({.at_s = 1, .cpus = 0, .gpus = 1, .gpu_milli = 600});
  for (auto& session : make.work.sessions) session.duration_ns = for_ever_ns;
  make.submit({.at_s = 2, .cpus = 0, .gpus = 1, .gpu_milli = 400});
  BOOST_TEST(run(make.work, {.unplaced = Unplaced::is_refused}) ==
             "1-- 1-- refused refused 2-12");
}

BOOST_AUTO_TEST_CASE(a_quota_holds_from_its_time_on) {
  WorkMaker make;
  make.node(8);
  Quota one_session;
  one_session.sessions = 1;
  make.logged(5, [&](flatbuffers::FlatBufferBuilder& builder) {
    const auto name = builder.CreateString("ann");
    const auto limits = build_quota(builder, one_session);
    return schema::CreateQuotaSet(builder, schema::AccountKind::user, name,
                                  limits);
  });
  make.submit({.at_s = 0, .lasts_s = 10});
  make.submit({.at_s = 1, .lasts_s = 10});
  make.submit({.at_s = 6, .lasts_s = 10});
  make.submit({.at_s = 6, .lasts_s = 10, .user = "bob"});
  BOOST_TEST(run(make.work) == "0-10 1-11 11-21 6-16");
}

BOOST_AUTO_TEST_CASE(the_scheduler_is_told_the_length_that_was_chosen) {
  WorkMaker make;
  make.node(1);
  make.submit({.lasts_s = 7, .limit_s = 3600});
  for (const auto estimates : {Estimates::limit, Estimates::exact}) {
    std::uint64_t told = 0;
    VirtualCell cell(make.work, {.estimates = estimates},
                     [&](const schema::Event& event, auto) {
                       if (const auto* body = event.body_as_SessionSubmitted())
                         told = body->spec()->time_limit_ns();
                     });
    while (cell.step()) {
    }
    BOOST_TEST(told ==
               (estimates == Estimates::exact ? 7u : 3600u) * second_ns);
  }
}

// ---- what a session may ask for

const Labels r1 = {{"rack", "r1"}};
const Labels r2 = {{"rack", "r2"}};

// The node of each session's first task, in the order of placement.
std::string places(const Workload& work) {
  std::string out;
  VirtualCell cell(work, {}, [&](const schema::Event& event, auto) {
    if (const auto* body = event.body_as_SessionPlaced())
      out += fmt::format("{}s-{}:n{}", out.empty() ? "" : " ", body->session(),
                         body->tasks()->Get(0)->node());
  });
  while (cell.step()) {
  }
  return out;
}

BOOST_AUTO_TEST_CASE(a_constraint_says_which_nodes_will_do) {
  WorkMaker make;
  make.node(2, 0, 0, r1);
  make.node(2, 0, 0, r2);
  make.submit({.cpus = 2, .constraint = "rack=r2"});
  make.submit({.cpus = 2, .constraint = "rack=r2"});
  make.submit({.cpus = 2, .constraint = "node=n0 && cpus>=2"});
  make.submit({.constraint = "rack=r9"});
  make.submit({.constraint = "cpus>2 || gpus>0"});
  make.submit({.constraint = "rack"});
  BOOST_TEST(run(make.work) == "0-10 10-20 0-10 refused refused 10-20");
  BOOST_TEST(places(make.work) == "s-1:n1 s-3:n0 s-2:n1 s-6:n0");
}

BOOST_AUTO_TEST_CASE(a_node_that_comes_later_may_be_the_one_that_will_do) {
  WorkMaker make;
  make.node(2, 0, 0, r1);
  make.node(2, 0, 30, r2);
  make.submit({.constraint = "rack=r2"});
  BOOST_TEST(run(make.work) == "30-40");
}

BOOST_AUTO_TEST_CASE(what_is_preferred_is_taken_while_it_lasts) {
  WorkMaker make;
  make.node(2, 0, 0, r1);
  make.node(2, 0, 0, r2);
  for (int i = 0; i < 2; ++i) make.submit({.cpus = 2, .prefer = {"rack=r2"}});
  BOOST_TEST(run(make.work) == "0-10 0-10");
  BOOST_TEST(places(make.work) == "s-1:n1 s-2:n0");
}

BOOST_AUTO_TEST_CASE(a_gang_within_a_rack_waits_for_one_rack) {
  WorkMaker make;
  make.node(2, 0, 0, r1);
  make.node(2, 0, 0, r2);
  make.node(2, 0, 0, r2);
  make.submit({.lasts_s = 5, .cpus = 2, .on_node = "n2"});
  make.submit({.cpus = 2, .tasks = 2, .within = "rack"});
  make.submit({.cpus = 2, .tasks = 3, .within = "rack"});
  make.submit({.cpus = 2, .tasks = 3});
  make.submit({.within = "room"});
  BOOST_TEST(run(make.work) == "0-5 5-15 refused 15-25 refused");
}

BOOST_AUTO_TEST_CASE(company_is_kept_and_avoided) {
  WorkMaker make;
  make.node(4, 0, 0, r1);
  make.node(4, 0, 0, r2);
  for (int i = 0; i < 3; ++i) make.submit({.lasts_s = 10, .apart = "db"});
  BOOST_TEST(run(make.work) == "0-10 0-10 10-20");
  WorkMaker together;
  together.node(4);
  together.node(4);
  for (int i = 0; i < 2; ++i)
    together.submit({.lasts_s = 10, .cpus = 3, .together = "pair"});
  together.submit(
      {.lasts_s = 10, .cpus = 3, .user = "bob", .together = "pair"});
  BOOST_TEST(run(together.work) == "0-10 10-20 0-10");
}

BOOST_AUTO_TEST_CASE(of_an_array_so_many_run_as_may) {
  WorkMaker make;
  make.node(8);
  for (std::uint64_t i = 0; i < 5; ++i)
    make.submit({.lasts_s = 10 + i, .array = 1, .array_running_max = 2});
  make.submit({.lasts_s = 10});
  BOOST_TEST(run(make.work) == "0-10 0-11 10-22 11-24 22-36 0-10");
}

BOOST_AUTO_TEST_CASE(what_would_run_into_a_reservation_waits) {
  WorkMaker make;
  const auto node = make.node(8);
  make.reserve("demo", node, "ann", 20, 40);
  make.submit({.lasts_s = 5, .limit_s = 30, .user = "bob"});
  make.submit({.lasts_s = 5, .limit_s = 15, .user = "bob"});
  make.submit({.lasts_s = 5, .reservation = "demo"});
  make.submit({.lasts_s = 5, .user = "ann", .reservation = "demo"});
  make.submit({.lasts_s = 5, .reservation = "other"});
  BOOST_TEST(run(make.work) == "40-45 0-5 20-25 20-25 refused");
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_reservation_that_goes_is_refused) {
  WorkMaker make;
  const auto node = make.node(2);
  make.reserve("demo", node, "ann", 20, 40);
  make.unreserve("demo", 30);
  make.submit({.lasts_s = 5, .cpus = 2, .reservation = "demo"});
  make.submit({.lasts_s = 8, .cpus = 2, .reservation = "demo"});
  make.submit({.lasts_s = 5, .cpus = 2, .reservation = "demo"});
  make.submit({.lasts_s = 5, .after = {{3, schema::DependencyKind::ok}}});
  BOOST_TEST(run(make.work) == "20-25 25-33 refused refused");
}

BOOST_AUTO_TEST_CASE(company_in_a_place_that_no_node_has_is_refused) {
  WorkMaker make;
  make.node(4, 0, 0, r1);
  make.submit({.together = "a@row"});
  make.submit({.apart = "a@row"});
  make.submit({.tasks = 5, .together = "a"});
  make.submit({.tasks = 4, .together = "a@rack"});
  BOOST_TEST(run(make.work) == "refused refused refused 0-10");
}

BOOST_AUTO_TEST_CASE(maintenance_that_repeats_begins_and_ends_by_time) {
  WorkMaker make;
  const auto node = make.node(1);
  make.reserve("patch", node, "", 50, 70, 100);
  make.submit({.at_s = 15, .lasts_s = 10, .limit_s = 40});
  make.submit({.at_s = 120, .lasts_s = 10, .limit_s = 40});
  // Longer than what is ever left: it waits, and the cell comes to an end.
  make.submit({.at_s = 120, .lasts_s = 10, .limit_s = 90});
  BOOST_TEST(run(make.work) == "70-80 170-180 waits");
}

// ---- who makes room

BOOST_AUTO_TEST_CASE(one_that_makes_room_begins_anew) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  make.node(1);
  make.submit({.lasts_s = 100});
  make.submit({.at_s = 10, .lasts_s = 10, .priority = 5});
  BOOST_TEST(run(make.work) == "0-120(2) 10-20");
  // At once, or as long as it took it.
  make.work.sessions[0].leaving_ns = 3 * second_ns;
  BOOST_TEST(run(make.work) == "0-123(2) 13-23");
  make.work.sessions[0].on_preempt = schema::OnPreempt::end;
  BOOST_TEST(run(make.work) == "0-13 13-23");
  BOOST_TEST(run(make.work, {.policy = Policy{}}) == "0-100 100-110");
}

BOOST_AUTO_TEST_CASE(nobody_makes_room_for_one_that_would_not_fit) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  make.node(2);
  make.submit({.lasts_s = 100, .priority = 9});
  make.submit({.lasts_s = 100});
  make.submit({.at_s = 10, .lasts_s = 10, .cpus = 2, .priority = 5});
  BOOST_TEST(run(make.work) == "0-100 0-100 100-110");
}

BOOST_AUTO_TEST_CASE(making_room_uses_up_no_retry) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  const auto node = make.node(1);
  make.change(node, Kind::lost, 30);
  make.change(node, Kind::returned, 40);
  make.submit({.lasts_s = 100, .requeue_max = 1});
  make.submit({.at_s = 10, .lasts_s = 10, .priority = 5});
  BOOST_TEST(run(make.work) == "0-141(3) 10-20");
}

BOOST_AUTO_TEST_CASE(one_that_leaves_a_lost_node_waits_again) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  const auto node = make.node(1);
  make.change(node, Kind::lost, 12);
  make.change(node, Kind::returned, 40);
  make.submit({.lasts_s = 100, .leaving_s = 20});
  make.submit({.at_s = 10, .lasts_s = 10, .priority = 5});
  BOOST_TEST(run(make.work) == "0-150(2) 40-50");
}

BOOST_AUTO_TEST_CASE(a_head_that_never_fits_does_not_hold_the_clock) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  make.node(1);
  make.submit({.lasts_s = 0});
  make.submit({.at_s = 1, .priority = 1});
  make.work.sessions[0].duration_ns = for_ever_ns;
  make.work.sessions[0].priority = 1;
  BOOST_TEST(run(make.work) == "0-- waits");
}

BOOST_AUTO_TEST_CASE(what_leaves_when_the_window_begins_leaves_in_it) {
  WorkMaker make;
  make.policy("preemption=priority,preempt_after=5s");
  const auto node = make.node(1);
  make.submit({.lasts_s = 100, .running_before = true});
  make.work.sessions[0].placed_before = {{node, {}}};
  make.work.sessions[0].leaves_at = at_s(4);
  make.submit({.at_s = 0, .lasts_s = 10, .priority = 5});
  BOOST_TEST(run(make.work) == "0-114(2) 4-14");
}

// What is passed on as it was logged has the number that it had there.
std::vector<std::byte> numbered(std::span<const std::byte> bytes,
                                std::uint64_t sequence) {
  std::vector<std::byte> out(bytes.begin(), bytes.end());
  auto* event = const_cast<schema::Event*>(&schema::event_of(out));
  auto* table = reinterpret_cast<flatbuffers::Table*>(event);
  BOOST_REQUIRE(table->SetField<std::uint64_t>(schema::Event::VT_SEQ, sequence,
                                               std::uint64_t{0}));
  return out;
}

// As the manager of the real cell would look at it: it is accepted, and no
// more of an array run than may.
Status accepted(const State& state, const schema::Event& event) {
  EventWriter writer(Sequence{state.last_sequence().value + 1}, state.epoch());
  const Origin origin{Time{event.time_at()}, {}, {}};
  if (const auto* body = event.body_as_SessionStopping()) {
    const Preemption one{SessionId{body->session()}, body->attempt(),
                         SessionId{body->for_session()}};
    if (!decide_preempt(state, one, origin, writer))
      return fail(Errc::internal,
                  fmt::format("s-{} need not go for s-{}", body->session(),
                              body->for_session()));
  }
  const auto* body = event.body_as_SessionPlaced();
  if (!body) return {};
  Proposal proposal{SessionId{body->session()}, body->attempt(), {}};
  for (const auto* placed : *body->tasks()) {
    auto& task = proposal.tasks.emplace_back();
    task.node = NodeId{placed->node()};
    for (const auto* share : *placed->devices())
      task.devices.push_back(
          {share->device(), share->milli(), share->memory_bytes()});
  }
  const auto decision = decide_place(state, proposal, origin, writer);
  if (!decision) return fail(Errc::internal, decision.error().text);
  const Spec spec = state.spec(*state.session(proposal.session));
  if (spec.array_running_max == 0) return {};
  std::uint32_t holding = 1;
  state.visit_sessions(SessionId{}, [&](const cluster::Session& session) {
    holding += state.spec(session).array_session == spec.array_session &&
               !has_ended(session.state) &&
               session.state != SessionState::pending;
    return true;
  });
  if (holding <= spec.array_running_max) return {};
  return fail(Errc::internal,
              fmt::format("{} of {} of the array s-{}", holding,
                          spec.array_running_max, spec.array_session));
}

std::uint64_t setting(const char* name, std::uint64_t without) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : without;
}

BOOST_AUTO_TEST_CASE(random_workloads_fold_into_whole_states_the_same_twice) {
  const auto first = setting("REEVE_SEED", 1);
  const auto runs = setting("REEVE_RUNS", std::getenv("REEVE_SEED") ? 1 : 60);
  std::uint64_t placements = 0, requeues = 0, refused = 0, stops = 0;
  for (auto seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("REEVE_SEED=" << seed) {
      std::mt19937_64 random(seed);
      const Workload work = random_work([&] { return random(); });
      State state;
      std::vector<std::string> kinds;
      Status good;
      VirtualCell cell(work, {.round_ns = seed % 3 * 7 * second_ns},
                       [&](const schema::Event& told, const auto& bytes) {
                         const auto copy =
                             numbered(bytes, state.last_sequence().value + 1);
                         const schema::Event& event = schema::event_of(copy);
                         BOOST_TEST(event.time_at() == told.time_at());
                         if (good) good = accepted(state, event);
                         stops += event.body_as_SessionStopping() != nullptr;
                         if (good) good = state.apply(event);
                         if (good) good = state.check_invariants();
                         kinds.push_back(fmt::format(
                             "{} {}", event.time_at(),
                             schema::EnumNameEventBody(event.body_type())));
                       });
      while (cell.step()) {
      }
      BOOST_REQUIRE_MESSAGE(good, good.error().text);
      std::size_t settled = 0;
      for (std::size_t i = 0; i < cell.outcomes().size(); ++i) {
        const Outcome& outcome = cell.outcomes()[i];
        const auto* session = state.session(work.sessions[i].id);
        BOOST_REQUIRE(session != nullptr);
        const bool over = outcome.fate == Outcome::Fate::ended ||
                          outcome.fate == Outcome::Fate::refused;
        BOOST_TEST(over == has_ended(session->state));
        settled += over;
        if (outcome.started_at.value > 0)
          BOOST_TEST((outcome.started_at >= work.sessions[i].submitted_at));
        if (outcome.fate == Outcome::Fate::ended)
          BOOST_TEST((outcome.ended_at >= outcome.started_at));
        requeues += outcome.attempts > 1;
        refused += outcome.fate == Outcome::Fate::refused;
        // Where nodes are left, only what has no room for ever waits.
        BOOST_TEST((outcome.fate != Outcome::Fate::running));
      }
      BOOST_TEST(cell.settled() == settled);
      placements += cell.placements();

      std::vector<std::string> again;
      VirtualCell other(work, {.round_ns = seed % 3 * 7 * second_ns},
                        [&](const schema::Event& event, auto) {
                          again.push_back(fmt::format(
                              "{} {}", event.time_at(),
                              schema::EnumNameEventBody(event.body_type())));
                        });
      while (other.step()) {
      }
      BOOST_TEST((kinds == again));
      BOOST_TEST((cell.outcomes() == other.outcomes()));
    }
  // The workloads do what they are there for.
  if (runs < 10) return;
  BOOST_TEST(placements > 10 * runs);
  BOOST_TEST(requeues > 0u);
  BOOST_TEST(refused > 0u);
  BOOST_TEST(stops > runs / 10);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace virtual_cell_test

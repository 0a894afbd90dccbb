// When sessions of a virtual cell start and end. The random workloads at the
// end go through the real fold, which checks that nothing is over-committed;
// repeat one with REEVE_SEED=<n>, REEVE_RUNS is how many.
#include "cluster/simulation/virtual_cell.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/accounts/quota.hpp"
#include "cluster/event_writer.hpp"
#include "cluster/simulation/random_work.hpp"
#include "cluster/simulation/test_workload.hpp"
#include "cluster/state.hpp"

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
  BOOST_TEST(run(make.work) == "0-5 0-30(2) 20-30");
}

BOOST_AUTO_TEST_CASE(a_requeued_session_is_held_back_as_in_the_real_cell) {
  WorkMaker make;
  const auto node = make.node(1);
  make.node(1, 0, 4);
  make.change(node, Kind::lost, 5);
  make.submit({.lasts_s = 10, .requeue_max = 3});
  BOOST_TEST(run(make.work) == "0-16(2)");
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
  EventWriter writer(Sequence{1}, Epoch{1});
  writer.begin({at_s(5), {}, {}});
  Quota one_session;
  one_session.sessions = 1;
  auto& builder = writer.builder();
  const auto name = builder.CreateString("ann");
  const auto limits = build_quota(builder, one_session);
  writer.add(
      schema::CreateQuotaSet(builder, schema::AccountKind::user, name, limits),
      Sequence{});
  make.work.accounts.push_back({at_s(5), writer.take().bytes});
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

std::uint64_t setting(const char* name, std::uint64_t without) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : without;
}

BOOST_AUTO_TEST_CASE(random_workloads_fold_into_whole_states_the_same_twice) {
  const auto first = setting("REEVE_SEED", 1);
  const auto runs = setting("REEVE_RUNS", std::getenv("REEVE_SEED") ? 1 : 60);
  std::uint64_t placements = 0, requeues = 0, refused = 0;
  for (auto seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("REEVE_SEED=" << seed) {
      std::mt19937_64 random(seed);
      const Workload work = random_work([&] { return random(); });
      State state;
      std::vector<std::string> kinds;
      Status good;
      VirtualCell cell(work, {.round_ns = seed % 3 * 7 * second_ns},
                       [&](const schema::Event& event, auto) {
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
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

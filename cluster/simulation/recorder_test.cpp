// What is taken of a log: lengths, times and what is left out. The last test
// records what a virtual cell did and does it again; REEVE_SEED=<n> repeats
// one workload, REEVE_RUNS is how many.
#include "cluster/simulation/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/project.hpp"
#include "cluster/simulation/measure.hpp"
#include "cluster/simulation/random_work.hpp"
#include "cluster/simulation/virtual_cell.hpp"
#include "cluster/testing.hpp"

namespace recorder_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using cluster::testing::Cell;
using cluster::testing::one_task;
using cluster::testing::tasks_of;

namespace {

constexpr Time begun{1'000 * second_ns};

Time after_s(std::uint64_t seconds) {
  return Time{begun.value + seconds * second_ns};
}

// Of the window, and of a log that ends at `end_s`, or with the window.
Recorded recorded(const Cell& cell, std::uint64_t from_s, std::uint64_t to_s,
                  std::uint64_t end_s = 0) {
  Recorder recorder(after_s(from_s), after_s(to_s));
  end_s = std::max(end_s, to_s);
  for (std::uint64_t i = 1; i <= cell.state.last_sequence().value; ++i) {
    const auto& event = cell.event(Sequence{i});
    if (Time{event.time_at()} > after_s(end_s)) break;
    const auto good = recorder.apply(event, {});
    BOOST_REQUIRE_MESSAGE(good, good.error().text);
  }
  return recorder.finish(after_s(end_s));
}

// "s-1 at 0: 5-15", seconds; "r" where it ran before, "c" where it was cut.
std::string told(const Recorded& recorded) {
  const auto seconds = [](Time at) {
    return at.value == 0
               ? std::string("-")
               : fmt::format("{:g}",
                             static_cast<double>(at.value) / 1e9 - 1000);
  };
  std::string out;
  for (std::size_t i = 0; i < recorded.outcomes.size(); ++i) {
    const auto& session = recorded.work.sessions[i];
    const auto& outcome = recorded.outcomes[i];
    out += fmt::format(
        "{}s-{} at {} lasts {:g}: {} to {}{}{}", i == 0 ? "" : "; ",
        session.id.value, seconds(session.submitted_at),
        static_cast<double>(session.duration_ns) / 1e9,
        seconds(outcome.started_at), seconds(outcome.ended_at),
        session.running_before ? " r" : "", session.cut ? " c" : "");
  }
  return out;
}

void pass_s(Cell& cell, std::uint64_t seconds) {
  cell.pass(seconds * second_ns);
}

BOOST_AUTO_TEST_SUITE(recorder)

BOOST_AUTO_TEST_CASE(a_session_lasts_from_its_placement_to_its_end) {
  Cell cell;
  cell.add({});
  const auto one = cell.submit(one_task());
  pass_s(cell, 5);
  cell.place(one, {"n0"});
  pass_s(cell, 1);
  cell.start(one);
  pass_s(cell, 9);
  cell.exit(one);
  BOOST_TEST(told(recorded(cell, 0, 100)) == "s-1 at 0 lasts 10: 5 to 15");
  BOOST_TEST(recorded(cell, 0, 100).work.changes.size() == 1u);
}

BOOST_AUTO_TEST_CASE(quarantines_are_taken_with_the_uuids_they_go_by) {
  Cell cell;
  cell.add({.devices = 2});
  pass_s(cell, 5);
  cell.quarantine("n0", "1");
  pass_s(cell, 5);
  cell.release("n0", "1");
  const auto seen = recorded(cell, 7, 100);
  const auto& changes = seen.work.changes;
  BOOST_REQUIRE(changes.size() == 3u);
  BOOST_TEST((changes[1].kind == NodeChange::Kind::quarantined));
  BOOST_TEST((changes[1].at == after_s(7)));
  BOOST_TEST(changes[1].device == 1u);
  BOOST_TEST(changes[1].uuid == "GPU-n0-1");
  BOOST_TEST((changes[2].kind == NodeChange::Kind::released));
  BOOST_TEST((changes[2].at == after_s(10)));
  BOOST_TEST(seen.work.inventories[0].devices[1].uuid == "GPU-n0-1");
}

BOOST_AUTO_TEST_CASE(tasks_that_exit_apart_keep_their_own_lengths) {
  Cell cell;
  cell.add({});
  const auto gang = cell.submit(tasks_of(2));
  cell.place(gang, {"n0", "n0"});
  cell.start(gang, 0);
  cell.start(gang, 1);
  pass_s(cell, 3);
  cell.exit(gang, 1);
  pass_s(cell, 4);
  cell.exit(gang, 0);
  const auto seen = recorded(cell, 0, 100);
  BOOST_TEST(told(seen) == "s-1 at 0 lasts 7: 0 to 7");
  BOOST_REQUIRE(seen.work.sessions[0].task_ns.size() == 2u);
  BOOST_TEST(seen.work.sessions[0].task_ns[0] == 7 * second_ns);
  BOOST_TEST(seen.work.sessions[0].task_ns[1] == 3 * second_ns);
}

BOOST_AUTO_TEST_CASE(what_ran_before_the_window_goes_on_in_it) {
  Cell cell;
  cell.add({});
  const auto over = cell.running(one_task());
  const auto one = cell.running(one_task());
  const auto waits = cell.submit(one_task());
  pass_s(cell, 10);
  cell.exit(over);
  pass_s(cell, 20);
  cell.exit(one);
  pass_s(cell, 5);
  cell.place(waits, {"n0"});
  cell.start(waits);
  BOOST_TEST(
      recorded(cell, 20, 40).work.sessions[0].placed_before.at(0).node.value ==
      0u);
  // The one that was over is not told of; the one that waited keeps its time.
  BOOST_TEST(told(recorded(cell, 20, 40)) ==
             "s-2 at 0 lasts 10: 0 to 30 r; s-3 at 0 lasts 5: 35 to - c");
}

BOOST_AUTO_TEST_CASE(what_the_log_knows_after_the_window_counts) {
  Cell cell;
  cell.add({});
  const auto one = cell.submit(one_task());
  const auto other = cell.submit(one_task());
  pass_s(cell, 10);
  cell.place(one, {"n0"});
  cell.start(one);
  pass_s(cell, 20);
  cell.place(other, {"n0"});
  cell.start(other);
  const auto later = cell.running(one_task());
  pass_s(cell, 5);
  cell.exit(one);
  cell.exit(later);
  pass_s(cell, 5);
  const auto seen = recorded(cell, 0, 20, 40);
  BOOST_TEST(told(seen) ==
             "s-1 at 0 lasts 25: 10 to 35; s-2 at 0 lasts 10: 30 to - c; "
             "s-3 at 30 lasts 5: 30 to 35");
  BOOST_TEST(seen.work.sessions[1].counted);
  BOOST_TEST(!seen.work.sessions[2].counted);  // submitted after the window
}

BOOST_AUTO_TEST_CASE(what_waits_at_the_end_lasts_as_long_as_its_limit) {
  Cell cell;
  cell.add({});
  auto limited = one_task();
  limited.time_limit_ns = 60 * second_ns;
  cell.submit(limited);
  cell.submit(one_task());
  auto simulated = one_task();
  simulated.simulated = true;
  simulated.sim_duration_ns = 7 * second_ns;
  cell.add({.name = "sim", .simulated = true});
  cell.submit(simulated);
  pass_s(cell, 1);
  const auto cancelled = cell.submit(one_task());
  cell.cancel(cancelled);
  const auto seen = recorded(cell, 0, 100);
  BOOST_TEST(told(seen) ==
             "s-1 at 0 lasts 60: - to - c; s-3 at 0 lasts 7: - to - c");
  BOOST_TEST(seen.unknown_length == 1u);
  BOOST_TEST(seen.withdrawn == 1u);
}

BOOST_AUTO_TEST_CASE(a_requeued_session_lasts_as_long_as_its_last_attempt) {
  Cell cell;
  cell.add({});
  auto spec = one_task();
  spec.requeue_max = 1;
  const auto one = cell.submit(spec);
  cell.place(one, {"n0"});
  cell.start(one);
  pass_s(cell, 2);
  cell.lose("n0");
  cell.task_lost(one);
  cell.register_node({}, true);
  pass_s(cell, 10);
  cell.place(one, {"n0"});
  cell.start(one);
  pass_s(cell, 6);
  cell.exit(one);
  const auto seen = recorded(cell, 0, 100);
  BOOST_TEST(told(seen) == "s-1 at 0 lasts 6: 0 to 18");
  BOOST_TEST(seen.outcomes[0].attempts == 2u);
  // A window between the attempts begins with the second.
  const auto later = recorded(cell, 5, 100);
  BOOST_TEST(told(later) == "s-1 at 2 lasts 6: 12 to 18");
  BOOST_TEST(later.work.sessions[0].requeue_max == 0u);
}

// s-1 runs from 0 on and makes room for s-2 from 5 to 7.
struct MadeRoom {
  Cell cell;
  SessionId victim;
  SessionId head;

  explicit MadeRoom(const Spec& spec) {
    cell.add({});
    victim = cell.running(spec);
    head = cell.submit(one_task());
    pass_s(cell, 5);
    BOOST_REQUIRE(cell.preempt(victim, head));
    pass_s(cell, 2);
    cell.exit(victim, 0, 143);
    cell.place(head, {"n0"});
    cell.start(head);
  }
};

BOOST_AUTO_TEST_CASE(one_that_made_room_lasts_as_long_as_its_last_attempt) {
  auto spec = one_task();
  spec.requeue_max = 2;
  MadeRoom made(spec);
  Cell& cell = made.cell;
  pass_s(cell, 3);
  cell.exit(made.head);
  cell.place(made.victim, {"n0"});
  cell.start(made.victim);
  pass_s(cell, 20);
  cell.exit(made.victim);
  const auto seen = recorded(cell, 0, 100);
  BOOST_TEST(told(seen) ==
             "s-1 at 0 lasts 20: 0 to 30; s-2 at 0 lasts 3: 7 to 10");
  BOOST_TEST(seen.outcomes[0].attempts == 2u);
  BOOST_TEST(seen.work.sessions[0].leaving_ns == 2 * second_ns);
  // It was no retry: a window after it has all of them.
  const auto later = recorded(cell, 8, 100);
  BOOST_TEST(later.work.sessions[1].requeue_max == 2u);
  // One that begins while it leaves lets it leave.
  const auto within = recorded(cell, 6, 100);
  BOOST_TEST(within.work.sessions[0].running_before);
  BOOST_TEST((within.work.sessions[0].leaves_at == after_s(7)));
}

BOOST_AUTO_TEST_CASE(a_gpu_that_was_unclean_is_no_try_of_the_session) {
  Cell cell;
  cell.add({});
  auto spec = one_task();
  spec.requeue_max = 2;
  const auto one = cell.submit(spec);
  cell.place(one, {"n0"});
  cell.fact(one, {.kind = schema::FactKind::start_failed,
                  .reason = schema::EndReason::device_unclean});
  pass_s(cell, 10);
  cell.place(one, {"n0"});
  cell.start(one);
  pass_s(cell, 1);
  cell.exit(one, 0, 1);
  pass_s(cell, 10);
  cell.place(one, {"n0"});
  cell.start(one);
  pass_s(cell, 1);
  cell.exit(one);
  for (const auto& [from_s, left] : {std::pair{5u, 2u}, std::pair{15u, 1u}}) {
    const auto seen = recorded(cell, from_s, 100);
    const auto& sessions = seen.work.sessions;
    BOOST_REQUIRE(!sessions.empty());
    BOOST_TEST(sessions[0].requeue_max == left);
  }
}

BOOST_AUTO_TEST_CASE(one_that_made_room_for_ever_would_have_lasted_longer) {
  auto spec = one_task();
  spec.on_preempt = schema::OnPreempt::end;
  const auto seen = recorded(MadeRoom(spec).cell, 0, 100);
  BOOST_TEST(seen.work.sessions[0].duration_ns == 7 * second_ns + 1);
  BOOST_TEST(seen.work.sessions[0].cut);
  BOOST_TEST(seen.work.sessions[0].succeeds);
  spec.time_limit_ns = 60 * second_ns;
  BOOST_TEST(told(recorded(MadeRoom(spec).cell, 0, 100)) ==
             "s-1 at 0 lasts 60: 0 to 7 c; s-2 at 0 lasts 93: 7 to - c");
}

BOOST_AUTO_TEST_CASE(what_a_session_asks_of_its_place_is_kept) {
  Cell cell;
  cell.add({.labels = {{"rack", "r1"}}});
  cell.now.value += second_ns;
  const auto kept = cluster::testing::a_reservation(cell);
  BOOST_REQUIRE(cell.set_reservation(kept));
  auto spec = one_task();
  spec.name = "step";
  spec.time_limit_ns = 9 * second_ns;
  spec.constraint = "rack=r1";
  spec.prefer = {"rack=r2"};
  spec.within = "rack";
  spec.together = "a";
  spec.apart = "b@rack";
  spec.array_running_max = 2;
  spec.on_preempt = schema::OnPreempt::end;
  BOOST_REQUIRE(cell.try_submit_array(spec, {3, 5}));
  spec.reservation = kept.name;
  cell.submit(spec);
  pass_s(cell, 10);
  BOOST_REQUIRE(cell.remove_reservation(kept.name));
  const auto seen = recorded(cell, 0, 100);
  BOOST_REQUIRE(seen.work.sessions.size() == 4u);
  const auto& last = seen.work.sessions[2];
  BOOST_TEST(last.array.value == 1u);
  BOOST_TEST(last.array_index == 5u);
  BOOST_TEST(last.array_running_max == 2u);
  BOOST_TEST((last.on_preempt == schema::OnPreempt::end));
  BOOST_TEST(seen.work.names.all()[last.name] == "step");
  const Request& asked = seen.work.requests[last.request];
  BOOST_TEST(asked.constraint == "rack=r1");
  BOOST_TEST((asked.prefer == std::vector<std::string>{"rack=r2"}));
  BOOST_TEST(asked.within == "rack");
  BOOST_TEST(asked.together == "a");
  BOOST_TEST(asked.apart == "b@rack");
  BOOST_TEST(seen.work.requests[seen.work.sessions[3].request].reservation ==
             kept.name);
  BOOST_TEST((seen.work.inventories[0].labels == Labels{{"rack", "r1"}}));
  // Set and removed, at their times.
  BOOST_REQUIRE(seen.work.accounts.size() >= 2u);
  BOOST_TEST(
      (seen.work.accounts[seen.work.accounts.size() - 2].at == after_s(1)));
  BOOST_TEST((seen.work.accounts.back().at == after_s(11)));
}

BOOST_AUTO_TEST_CASE(a_dependency_that_is_left_out_holds_until_its_end) {
  Cell cell;
  cell.add({});
  const auto first = cell.submit(one_task());
  auto spec = one_task();
  spec.after.emplace_back(first.value, schema::DependencyKind::any);
  const auto second = cell.submit(spec);
  pass_s(cell, 8);
  cell.cancel(first);
  pass_s(cell, 1);
  cell.place(second, {"n0"});
  cell.start(second);
  pass_s(cell, 1);
  cell.exit(second);
  const auto seen = recorded(cell, 0, 100);
  BOOST_REQUIRE(seen.work.sessions.size() == 1u);
  BOOST_TEST(seen.work.sessions[0].after.empty());
  BOOST_TEST((seen.work.sessions[0].not_before == after_s(8)));
}

BOOST_AUTO_TEST_CASE(an_event_about_nobody_is_damage) {
  Cell cell;
  cell.add({});
  const auto one = cell.submit(one_task());
  cell.place(one, {"n0"});
  Recorder recorder(begun, after_s(10));
  const auto good = recorder.apply(cell.event(cell.state.last_sequence()), {});
  BOOST_REQUIRE(!good);
  BOOST_TEST((good.error().code == Errc::damaged));
}

BOOST_AUTO_TEST_CASE(a_range_has_a_bounded_number_of_sessions) {
  Cell cell;
  cell.add({});
  BOOST_TEST(recorded_sessions_max >= 1'000'000u);
  for (int i = 0; i < 3; ++i) cell.submit(one_task());
  for (const std::size_t most : {3u, 2u}) {
    Recorder recorder(begun, after_s(10), most);
    Status good;
    for (std::uint64_t i = 1; i <= cell.state.last_sequence().value; ++i)
      if (good) good = recorder.apply(cell.event(Sequence{i}), {});
    BOOST_TEST(good.has_value() == (most == 3));
    if (!good) BOOST_TEST((good.error().code == Errc::usage));
  }
}

std::uint64_t setting(const char* name, std::uint64_t without) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : without;
}

BOOST_AUTO_TEST_CASE(what_was_recorded_happens_again) {
  const auto first = setting("REEVE_SEED", 1);
  const auto runs = setting("REEVE_RUNS", std::getenv("REEVE_SEED") ? 1 : 60);
  std::size_t compared = 0;
  for (auto seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("REEVE_SEED=" << seed) {
      std::mt19937_64 random(seed);
      auto work = simulation::testing::random_work([&] { return random(); });
      // A second attempt may be cut shorter than the first was: no length
      // makes both.
      // What waits to the end is known by its limit.
      for (auto& session : work.sessions) {
        session.requeue_max = 0;
        if (session.time_limit_ns == 0) session.time_limit_ns = 60 * second_ns;
      }
      Recorder recorder(work.from, Time{work.from.value + 100'000 * second_ns});
      Status good;
      VirtualCell cell(work, {},
                       [&](const schema::Event& event, const auto& bytes) {
                         if (good) good = recorder.apply(event, bytes);
                       });
      while (cell.step()) {
      }
      BOOST_REQUIRE_MESSAGE(good, good.error().text);
      const Recorded seen = recorder.finish(cell.moment());
      VirtualCell again(seen.work, {});
      while (again.step()) {
      }
      for (std::size_t i = 0; i < seen.work.sessions.size(); ++i) {
        if (seen.work.sessions[i].cut) continue;
        const Outcome& was = seen.outcomes[i];
        const Outcome& is = again.outcomes()[i];
        BOOST_TEST_CONTEXT("s-" << seen.work.sessions[i].id.value) {
          BOOST_TEST((was.started_at == is.started_at));
          BOOST_TEST((was.ended_at == is.ended_at));
        }
        ++compared;
      }
    }
  BOOST_TEST(compared > 20 * runs);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace recorder_test

#include "cluster/accounting/timeline.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace timeline_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::accounting;
using namespace reeve::cluster::testing;

namespace {

void watch(const Cell& cell, Timeline& timeline) {
  Window window({Time{cell.event(Sequence{1}).time_at()}, cell.now}, timeline);
  for (std::uint64_t i = 1; i <= cell.state.last_sequence().value; ++i)
    BOOST_REQUIRE(window.apply(cell.event(Sequence{i})));
  window.finish();
  timeline.finish(window.ledger());
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(timeline, Cell)

BOOST_AUTO_TEST_CASE(each_attempt_is_a_run_with_its_own_end) {
  add({.name = "n0"});
  add({.name = "n1"});
  Spec spec = tasks_of(2);
  spec.user = "ann";
  spec.requeue_max = 1;
  const SessionId id = submit(spec);
  place(id, {"n0", "n1"});
  pass(second_ns);
  lose("n0");
  while (task_lost(id)) {
  }
  exit(id, 1, 1);
  pass(60 * second_ns);
  place(id, {"n1", "n1"});
  start(id, 0);
  pass(second_ns);
  const SessionId failed = submit(one_task());
  place(failed, {"n1"});
  pass(second_ns);
  exit(failed, 0, 7);

  Timeline seen;
  watch(*this, seen);
  BOOST_REQUIRE_EQUAL(seen.runs.size(), 3);
  BOOST_TEST(seen.allocations.size() == 5);
  BOOST_TEST(seen.users.all().at(seen.runs[0].user) == "ann");
  const auto run_of = [&](SessionId session, std::uint32_t attempt) {
    for (const auto& run : seen.runs)
      if (run.session == session && run.attempt == attempt) return run;
    BOOST_FAIL("no such run");
    return TimelineRun{};
  };
  BOOST_TEST((run_of(id, 1).state == SessionState::pending));
  BOOST_TEST((run_of(id, 1).reason == EndReason::node_lost));
  BOOST_TEST((run_of(id, 2).state == SessionState::starting));
  BOOST_TEST((run_of(failed, 1).state == SessionState::failed));
  BOOST_TEST(run_of(failed, 1).exit_code == 7);
}

BOOST_AUTO_TEST_CASE(only_wanted_nodes_are_kept) {
  add({.name = "n0"});
  const NodeId wanted = add({.name = "n1", .devices = 2});
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n1"});
  pass(second_ns);
  Timeline seen([&](NodeId node) { return node == wanted; });
  watch(*this, seen);
  BOOST_REQUIRE_EQUAL(seen.allocations.size(), 1);
  BOOST_TEST((seen.allocations[0].node == wanted));
  BOOST_TEST(!seen.allocations[0].ended);
  BOOST_REQUIRE_EQUAL(seen.spans.size(), 1);
  BOOST_TEST(seen.spans[0].devices == 2);
}

BOOST_AUTO_TEST_CASE(more_than_a_picture_may_have_is_not_kept) {
  Timeline seen;
  Holding holding;
  holding.to = Time{1};
  for (std::size_t i = 0; i < timeline_allocations_max; ++i) {
    holding.session = SessionId{1 + i / 100};
    seen.held(holding);
  }
  BOOST_TEST(!seen.overflowed());
  seen.held(holding);
  BOOST_TEST(seen.overflowed());
  BOOST_TEST(seen.allocations.size() == timeline_allocations_max);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace timeline_test

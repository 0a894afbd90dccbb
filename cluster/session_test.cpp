// The life of a session, decision by decision.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"
#include "schema/wire.hpp"

namespace boost::test_tools::tt_detail {
template <>
struct print_log_value<reeve::schema::SessionState> {
  void operator()(std::ostream& out, reeve::schema::SessionState state) {
    out << reeve::schema::EnumNameSessionState(state);
  }
};
template <>
struct print_log_value<reeve::schema::EndReason> {
  void operator()(std::ostream& out, reeve::schema::EndReason reason) {
    out << reeve::schema::EnumNameEndReason(reason);
  }
};
}  // namespace boost::test_tools::tt_detail

namespace session_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;
using schema::EventBody;
using schema::FactKind;

namespace {

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 4}); }

  void expect(SessionId id, SessionState want, EndReason reason) {
    BOOST_CHECK_EQUAL(state_of(id), want);
    BOOST_CHECK_EQUAL(session(id).reason, reason);
    BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
  }
  std::size_t holders(std::string_view node) const {
    return state.node(node)->holders.size();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(session_life, Fixture)

BOOST_AUTO_TEST_CASE(a_session_goes_from_pending_to_succeeded) {
  const SessionId id = submit(one_task());
  BOOST_CHECK_EQUAL(kinds, "SessionSubmitted");
  BOOST_CHECK_EQUAL(state_of(id), SessionState::pending);
  BOOST_CHECK_EQUAL(holders("n0"), 0);
  place(id, {"n0"});
  BOOST_CHECK_EQUAL(kinds, "SessionPlaced");
  BOOST_CHECK_EQUAL(state_of(id), SessionState::placed);
  BOOST_CHECK_EQUAL(state.node("n0")->used_cpu_milli, 1000);
  start(id);
  BOOST_CHECK_EQUAL(kinds, "TaskStarted");
  BOOST_CHECK_EQUAL(state_of(id), SessionState::running);
  exit(id);
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionEnded");
  expect(id, SessionState::succeeded, EndReason::exited);
  BOOST_CHECK_EQUAL(holders("n0"), 0);
  BOOST_CHECK_EQUAL(state.node("n0")->used_cpu_milli, 0);
}

BOOST_AUTO_TEST_CASE(causes_lead_from_the_end_back_to_the_submission) {
  const SessionId id = running(one_task());
  exit(id);
  std::string chain;
  for (Sequence at = state.last_sequence(); at.value != 0;
       at = Sequence{event(at).cause()}) {
    chain += schema::EnumNameEventBody(event(at).body_type());
    chain += ' ';
  }
  BOOST_CHECK_EQUAL(chain,
                    "SessionEnded TaskExited TaskStarted SessionPlaced "
                    "SessionSubmitted ");
}

BOOST_AUTO_TEST_CASE(a_failing_exit_code_fails_the_session) {
  const SessionId id = running(one_task());
  exit(id, 0, 3);
  expect(id, SessionState::failed, EndReason::exited);
  BOOST_CHECK_EQUAL(session(id).exit_code, 3);
}

BOOST_AUTO_TEST_CASE(an_exit_without_a_start_ends_the_session_too) {
  const SessionId id = submit(one_task());
  place(id, {"n0"});
  BOOST_CHECK(fact(id, {.kind = FactKind::start_failed,
                        .reason = EndReason::start_failed,
                        .detail = "no such file"}) == FactOutcome::recorded);
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionEnded");
  expect(id, SessionState::failed, EndReason::start_failed);
  BOOST_CHECK_EQUAL(*session(id).detail, "no such file");
}

BOOST_AUTO_TEST_CASE(what_an_agent_says_is_cut_at_its_bound) {
  for (const std::size_t bytes : {detail_bytes_max, detail_bytes_max + 1}) {
    const std::string novel(bytes, 'x');
    const SessionId id = submit(one_task());
    place(id, {"n0"});
    fact(id, {.kind = FactKind::started, .detail = novel});
    BOOST_CHECK_EQUAL(session(id).detail->size(), detail_bytes_max);
    fact(id, {.kind = FactKind::start_failed,
              .reason = EndReason::start_failed,
              .detail = novel});
    BOOST_CHECK_EQUAL(session(id).detail->size(), detail_bytes_max);
  }
}

BOOST_AUTO_TEST_CASE(what_a_start_differs_in_is_kept_until_the_end_says_more) {
  const SessionId id = submit(one_task());
  place(id, {"n0"});
  BOOST_CHECK(fact(id, {.kind = FactKind::started, .detail = "elsewhere"}) ==
              FactOutcome::recorded);
  BOOST_CHECK_EQUAL(kinds, "TaskStarted");
  BOOST_CHECK_EQUAL(*session(id).detail, "elsewhere");
  exit(id);
  BOOST_CHECK_EQUAL(*session(id).detail, "elsewhere");
  BOOST_CHECK_EQUAL(state.digest_hex(), replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(an_exit_that_tells_its_start_first_starts_the_task) {
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n0"});
  BOOST_CHECK(fact(id, {.rank = 0, .started_at = now.value}) ==
              FactOutcome::recorded);
  BOOST_CHECK_EQUAL(kinds, "TaskStarted TaskExited");
  start(id, 1);
  BOOST_CHECK_EQUAL(state_of(id), SessionState::running);
  exit(id, 1);
  expect(id, SessionState::succeeded, EndReason::exited);
}

BOOST_AUTO_TEST_CASE(a_gang_runs_when_all_have_started_and_ends_with_the_last) {
  const SessionId id = submit(tasks_of(3));
  place(id, {"n0", "n0", "n0"});
  start(id, 1);
  BOOST_CHECK_EQUAL(state_of(id), SessionState::starting);
  start(id, 0);
  start(id, 2);
  BOOST_CHECK_EQUAL(state_of(id), SessionState::running);
  exit(id, 2);
  exit(id, 0);
  BOOST_CHECK_EQUAL(state_of(id), SessionState::running);
  BOOST_CHECK_EQUAL(holders("n0"), 1);
  exit(id, 1);
  expect(id, SessionState::succeeded, EndReason::exited);
}

BOOST_AUTO_TEST_CASE(one_failing_task_stops_its_peers_and_speaks_for_all) {
  const SessionId id = running(tasks_of(3));
  pass(second_ns);
  exit(id, 1, 7);
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionStopping");
  expect(id, SessionState::stopping, EndReason::peer_failed);
  pass(second_ns);
  fact(id, {.rank = 0,
            .reason = EndReason::signalled,
            .detail = "stopped by order"});
  BOOST_CHECK_EQUAL(kinds, "TaskExited");
  fact(id, {.rank = 2,
            .reason = EndReason::signalled,
            .detail = "stopped by order"});
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionEnded");
  BOOST_CHECK_EQUAL(*session(id).detail, "task 1 failed");
  expect(id, SessionState::failed, EndReason::exited);
  BOOST_CHECK_EQUAL(session(id).exit_code, 7);
  BOOST_CHECK(first_failed(session(id)) == 1U);
}

BOOST_AUTO_TEST_CASE(a_gang_ends_with_what_its_first_failed_task_told) {
  const SessionId id = running(tasks_of(2));
  fact(id, {.rank = 1,
            .reason = EndReason::memory_limit,
            .detail = "it wanted more than 1 GiB"});
  pass(second_ns);
  fact(id, {.rank = 0,
            .reason = EndReason::signalled,
            .detail = "stopped by order"});
  expect(id, SessionState::failed, EndReason::memory_limit);
  const std::string told = "task 1 failed: it wanted more than 1 GiB";
  BOOST_CHECK_EQUAL(*session(id).detail, told);
  // Who follows the events has it from there.
  const auto* ended = event(state.last_sequence()).body_as_SessionEnded();
  BOOST_CHECK_EQUAL(schema::text(ended->detail()), told);
}

BOOST_AUTO_TEST_CASE(a_first_failed_task_that_is_told_of_last_speaks) {
  const SessionId id = running(tasks_of(2));
  const std::uint64_t at = now.value;
  fact(id, {.rank = 1, .exit_code = 3, .ended_at = at + 2});
  fact(id, {.rank = 0,
            .reason = EndReason::memory_limit,
            .ended_at = at + 1,
            .detail = "it wanted more than 1 GiB"});
  expect(id, SessionState::failed, EndReason::memory_limit);
  BOOST_CHECK_EQUAL(*session(id).detail,
                    "task 0 failed: it wanted more than 1 GiB");
}

BOOST_AUTO_TEST_CASE(a_task_that_starts_late_tells_nothing_over_a_failure) {
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n0"});
  fact(id, {.kind = FactKind::start_failed,
            .rank = 0,
            .reason = EndReason::start_failed,
            .detail = "its directory is missing"});
  expect(id, SessionState::stopping, EndReason::peer_failed);
  fact(id, {.kind = FactKind::started, .rank = 1, .detail = "without a limit"});
  BOOST_CHECK_EQUAL(kinds, "TaskStarted");
  BOOST_CHECK_EQUAL(*session(id).detail,
                    "task 0 failed: its directory is missing");
}

BOOST_AUTO_TEST_CASE(what_a_failed_task_told_keeps_its_bound) {
  const SessionId id = running(tasks_of(2));
  fact(id, {.kind = FactKind::start_failed,
            .rank = 0,
            .reason = EndReason::start_failed,
            .detail = std::string(detail_bytes_max, 'x')});
  BOOST_CHECK_EQUAL(session(id).detail->size(), detail_bytes_max);
}

BOOST_AUTO_TEST_CASE(tasks_that_run_or_ended_well_have_not_failed) {
  const SessionId id = running(tasks_of(3));
  BOOST_CHECK(!first_failed(session(id)));
  exit(id, 0);
  BOOST_CHECK(!first_failed(session(id)));
  pass(second_ns);
  exit(id, 2, 7);
  pass(second_ns);
  exit(id, 1);
  expect(id, SessionState::failed, EndReason::exited);
  BOOST_CHECK(first_failed(session(id)) == 2U);
}

// ---- facts

BOOST_AUTO_TEST_CASE(the_same_fact_twice_is_one_event) {
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n0"});
  start(id, 0);
  BOOST_CHECK(fact(id, {.kind = FactKind::started}) == FactOutcome::known);
  BOOST_CHECK_EQUAL(kinds, "");
  exit(id, 0);
  BOOST_CHECK(fact(id, {}) == FactOutcome::known);
  BOOST_CHECK_EQUAL(kinds, "");
}

BOOST_AUTO_TEST_CASE(a_fact_that_the_cell_has_no_task_for_is_foreign) {
  const SessionId id = running(one_task());
  const auto foreign = [&](SessionId session, const FactOptions& options) {
    const bool is = fact(session, options) == FactOutcome::foreign;
    return is && kinds.empty();
  };
  BOOST_CHECK(foreign(SessionId{99}, {}));
  BOOST_CHECK(foreign(id, {.attempt = 2}));
  BOOST_CHECK(foreign(id, {.rank = 1}));
  BOOST_CHECK(foreign(id, {.agent = "another"}));
  exit(id);
  BOOST_CHECK(foreign(id, {}));
  BOOST_CHECK(foreign(id, {.kind = FactKind::started}));
  BOOST_CHECK(foreign(submit(one_task()), {}));
}

BOOST_AUTO_TEST_CASE(a_start_after_its_exit_is_foreign_so_it_gets_stopped) {
  const SessionId id = running(tasks_of(2));
  exit(id, 0);
  BOOST_CHECK(fact(id, {.kind = FactKind::started}) == FactOutcome::foreign);
}

BOOST_AUTO_TEST_CASE(a_task_that_its_agent_does_not_know_is_lost) {
  const SessionId id = running(one_task());
  fact(id, {.kind = FactKind::unknown, .reason = EndReason::none});
  expect(id, SessionState::failed, EndReason::task_lost);
}

// ---- cancel

BOOST_AUTO_TEST_CASE(cancel_of_a_waiting_session_ends_it_at_once) {
  const SessionId id = submit(one_task());
  const auto decision = cancel(id);
  BOOST_CHECK_EQUAL(kinds, "SessionEnded");
  BOOST_CHECK(decision->session == id);
  expect(id, SessionState::cancelled, EndReason::cancelled);
}

BOOST_AUTO_TEST_CASE(cancel_of_a_placed_starting_or_running_one_stops_it) {
  for (const std::uint32_t started : {0u, 1u, 2u}) {
    const SessionId id = submit(tasks_of(2));
    place(id, {"n0", "n0"});
    for (std::uint32_t rank = 0; rank < started; ++rank) start(id, rank);
    cancel(id);
    BOOST_CHECK_EQUAL(kinds, "SessionStopping");
    BOOST_CHECK_EQUAL(holders("n0"), 2);
    fact(id, {.rank = 0, .reason = EndReason::signalled});
    fact(id, {.rank = 1, .reason = EndReason::signalled});
    expect(id, SessionState::cancelled, EndReason::cancelled);
    BOOST_CHECK_EQUAL(holders("n0"), 0);
  }
}

BOOST_AUTO_TEST_CASE(cancel_twice_changes_nothing_more) {
  const SessionId id = running(one_task());
  cancel(id);
  const auto again = cancel(id);
  BOOST_CHECK_EQUAL(verdict(again), "accepted");
  BOOST_CHECK_EQUAL(kinds, "");
  exit(id);
  BOOST_CHECK_EQUAL(verdict(cancel(id)), "wrong_state session_ended 0 0");
}

BOOST_AUTO_TEST_CASE(cancel_of_one_that_stops_to_be_requeued_is_not_lost) {
  Spec spec = tasks_of(2);
  spec.requeue_max = 3;
  const SessionId id = running(spec);
  exit(id, 0, 1);
  expect(id, SessionState::stopping, EndReason::peer_failed);
  BOOST_CHECK_EQUAL(verdict(cancel(id)), "accepted");
  BOOST_CHECK_EQUAL(kinds, "SessionStopping");
  exit(id, 1, 1);
  expect(id, SessionState::cancelled, EndReason::cancelled);
}

// The GPU was to blame, so it would be tried again without a requeue.
BOOST_AUTO_TEST_CASE(cancel_of_a_gang_that_an_unclean_gpu_stops_is_not_lost) {
  const auto unclean = [&] {
    const SessionId id = submit(tasks_of(2));
    place(id, {"n0", "n0"});
    start(id, 0);
    fact(id, {.kind = FactKind::start_failed,
              .rank = 1,
              .reason = EndReason::device_unclean});
    expect(id, SessionState::stopping, EndReason::peer_failed);
    BOOST_CHECK(is_tried_again(session(id), EndReason::exited));
    return id;
  };
  const SessionId id = unclean();
  pass(second_ns);
  exit(id, 0, 1);
  expect(id, SessionState::pending, EndReason::device_unclean);
  const SessionId cancelled = unclean();
  BOOST_CHECK_EQUAL(verdict(cancel(cancelled)), "accepted");
  BOOST_CHECK_EQUAL(kinds, "SessionStopping");
  exit(cancelled, 0, 1);
  expect(cancelled, SessionState::cancelled, EndReason::cancelled);
  // One that fails by itself has nothing that a cancel could keep from it.
  const SessionId failing = running(tasks_of(2));
  exit(failing, 0, 1);
  cancel(failing);
  BOOST_CHECK_EQUAL(kinds, "");
}

BOOST_AUTO_TEST_CASE(only_the_user_and_the_owner_may_cancel) {
  const SessionId id = submit(one_task());
  BOOST_CHECK_EQUAL(verdict(cancel(id, "bob")),
                    "forbidden session_foreign 0 0");
  BOOST_CHECK_EQUAL(verdict(cancel(SessionId{99})),
                    "not_found session_unknown 0 0");
  Spec spec = one_task();
  spec.user = "bob";
  spec.uid = 1000;
  const SessionId of_bob = submit(spec);
  BOOST_CHECK_EQUAL(verdict(cancel(of_bob, "bob")), "accepted");
}

// ---- deadlines

BOOST_AUTO_TEST_CASE(no_deadline_passes_before_its_time) {
  const SessionId id = submit(one_task());
  pass(pending_ns_max - 1);
  BOOST_CHECK(!deadline(id));
  BOOST_CHECK_EQUAL(kinds, "");
  pass(1);
  BOOST_CHECK(deadline(id));
  BOOST_CHECK_EQUAL(kinds, "DeadlinePassed SessionEnded");
  expect(id, SessionState::failed, EndReason::wait_timeout);
}

BOOST_AUTO_TEST_CASE(waiting_counts_from_when_it_may_start) {
  Spec spec = one_task();
  spec.not_before_at = now.value + 100 * second_ns;
  const SessionId id = submit(spec);
  pass(pending_ns_max);
  BOOST_CHECK(!deadline(id));
  pass(100 * second_ns);
  BOOST_CHECK(deadline(id));
}

BOOST_AUTO_TEST_CASE(placed_and_starting_sessions_must_start_in_time) {
  for (const std::uint32_t started : {0u, 1u}) {
    const SessionId id = submit(tasks_of(2));
    place(id, {"n0", "n0"});
    pass(start_ns_max - 1);
    for (std::uint32_t rank = 0; rank < started; ++rank) start(id, rank);
    BOOST_CHECK(!deadline(id));
    pass(1);
    BOOST_CHECK(deadline(id));
    BOOST_CHECK_EQUAL(kinds, "DeadlinePassed SessionStopping");
    expect(id, SessionState::stopping, EndReason::start_timeout);
    exit(id, 0);
    exit(id, 1);
    expect(id, SessionState::failed, EndReason::start_timeout);
  }
}

BOOST_AUTO_TEST_CASE(a_running_session_has_its_time_limit_or_the_default) {
  Spec limited = one_task();
  limited.time_limit_ns = 10 * second_ns;
  const SessionId id = running(limited);
  const SessionId unlimited = running(one_task());
  pass(10 * second_ns - 1);
  BOOST_CHECK(!deadline(id));
  pass(1);
  BOOST_CHECK(deadline(id));
  exit(id);
  expect(id, SessionState::failed, EndReason::time_limit);
  BOOST_CHECK(!deadline(unlimited));
  pass(running_ns_max);
  BOOST_CHECK(deadline(unlimited));
}

BOOST_AUTO_TEST_CASE(tasks_that_cannot_be_ended_take_their_nodes_out) {
  add({.name = "n1"});
  const SessionId id = submit(tasks_of(3));
  place(id, {"n0", "n1", "n1"});
  for (const std::uint32_t rank : {0u, 1u, 2u}) start(id, rank);
  cancel(id);
  exit(id, 0);
  pass(stopping_ns_max);
  BOOST_CHECK(deadline(id));
  BOOST_CHECK_EQUAL(kinds, "DeadlinePassed NodeDrained SessionEnded");
  expect(id, SessionState::lost, EndReason::stop_timeout);
  BOOST_CHECK(!first_failed(session(id)));
  BOOST_CHECK(state.node("n0")->offered());
  BOOST_CHECK(state.node("n1")->draining);
  BOOST_CHECK_EQUAL(holders("n1"), 0);
}

BOOST_AUTO_TEST_CASE(an_ended_session_has_no_deadline) {
  const SessionId id = submit(one_task());
  cancel(id);
  pass(100 * pending_ns_max);
  BOOST_CHECK(!deadline(id));
  BOOST_CHECK_EQUAL(deadline_of(state, session(id)).value, 0);
}

// ---- requeue

BOOST_AUTO_TEST_CASE(a_failing_session_is_tried_again_and_waits_longer) {
  Spec spec = one_task();
  spec.requeue_max = 12;
  const SessionId id = submit(spec);
  std::uint64_t delay_ns = requeue_delay_ns;
  for (std::uint32_t attempt = 1; attempt <= 12; ++attempt) {
    place(id, {"n0"});
    start(id);
    exit(id, 0, 1);
    BOOST_CHECK_EQUAL(kinds, "TaskExited SessionRequeued");
    BOOST_CHECK_EQUAL(state_of(id), SessionState::pending);
    BOOST_CHECK_EQUAL(session(id).attempt, attempt + 1);
    BOOST_CHECK_EQUAL(session(id).not_before.value, now.value + delay_ns);
    BOOST_CHECK_EQUAL(verdict(try_place(id, {"n0"})),
                      "wrong_state placement_stale 0 0");
    pass(delay_ns);
    delay_ns = std::min(2 * delay_ns, requeue_delay_ns_max);
  }
  BOOST_CHECK_EQUAL(delay_ns, requeue_delay_ns_max);
  place(id, {"n0"});
  start(id);
  exit(id, 0, 1);
  expect(id, SessionState::failed, EndReason::exited);
  BOOST_CHECK_EQUAL(session(id).attempt, 13);
}

BOOST_AUTO_TEST_CASE(a_new_attempt_forgets_what_the_last_one_said) {
  Spec spec = tasks_of(2);
  spec.requeue_max = 1;
  const SessionId id = running(spec);
  exit(id, 0, 1);
  exit(id, 1, 1);
  BOOST_CHECK(!session(id).detail);
  pass(requeue_delay_ns);
  place(id, {"n0", "n0"});
  BOOST_CHECK(fact(id, {.attempt = 1}) == FactOutcome::foreign);
  start(id, 0);
  start(id, 1);
  exit(id, 0);
  exit(id, 1);
  expect(id, SessionState::succeeded, EndReason::exited);
  BOOST_CHECK(!session(id).detail || session(id).detail->empty());
}

BOOST_AUTO_TEST_CASE(cancel_and_limits_of_time_are_never_tried_again) {
  Spec spec = one_task();
  spec.requeue_max = 5;
  spec.time_limit_ns = second_ns;
  const SessionId cancelled = running(spec);
  cancel(cancelled);
  exit(cancelled, 0, 1);
  expect(cancelled, SessionState::cancelled, EndReason::cancelled);
  const SessionId late = running(spec);
  pass(second_ns);
  deadline(late);
  exit(late, 0, 1);
  expect(late, SessionState::failed, EndReason::time_limit);
  const SessionId waiting = submit(spec);
  pass(pending_ns_max);
  deadline(waiting);
  expect(waiting, SessionState::failed, EndReason::wait_timeout);
}

BOOST_AUTO_TEST_CASE(a_session_of_a_lost_node_is_requeued_when_it_may) {
  Spec spec = tasks_of(2);
  spec.requeue_max = 1;
  add({.name = "n1"});
  const SessionId id = submit(spec);
  place(id, {"n0", "n1"});
  start(id, 0);
  start(id, 1);
  BOOST_CHECK(!task_lost(id));
  lose("n0");
  BOOST_CHECK(task_lost(id));
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionStopping");
  BOOST_CHECK(!task_lost(id));
  pass(second_ns);
  exit(id, 1);
  BOOST_CHECK_EQUAL(kinds, "TaskExited SessionRequeued");
  expect(id, SessionState::pending, EndReason::node_lost);
}

BOOST_AUTO_TEST_CASE(without_a_requeue_a_lost_node_fails_its_sessions) {
  const SessionId id = running(one_task());
  lose("n0");
  BOOST_CHECK(task_lost(id));
  expect(id, SessionState::failed, EndReason::node_lost);
  BOOST_CHECK(!task_lost(id));
}

// ---- dependencies

BOOST_AUTO_TEST_CASE(a_dependency_that_ends_otherwise_ends_the_one_that_waits) {
  struct Row {
    schema::DependencyKind kind;
    std::int32_t exit_code;
    bool goes_on;
  };
  using schema::DependencyKind;
  for (const Row row :
       {Row{DependencyKind::ok, 0, true}, Row{DependencyKind::ok, 1, false},
        Row{DependencyKind::failed, 0, false},
        Row{DependencyKind::failed, 1, true}, Row{DependencyKind::any, 0, true},
        Row{DependencyKind::any, 1, true}}) {
    const SessionId first = running(one_task());
    Spec spec = one_task();
    spec.after.emplace_back(first.value, row.kind);
    const SessionId second = submit(spec);
    BOOST_CHECK_EQUAL(state.spec(session(second)).after.size(), 1);
    exit(first, 0, row.exit_code);
    BOOST_CHECK_EQUAL(dependent(second, first), !row.goes_on);
    if (row.goes_on) {
      BOOST_CHECK_EQUAL(state_of(second), SessionState::pending);
    } else {
      expect(second, SessionState::cancelled, EndReason::dependency_failed);
    }
    // The same, when the first one has ended before.
    const auto late = try_submit(spec);
    BOOST_CHECK_EQUAL(verdict(late), row.goes_on
                                         ? "accepted"
                                         : "wrong_state dependency_failed 0 0");
    if (late) BOOST_CHECK(state.spec(session(late->session)).after.empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace session_test

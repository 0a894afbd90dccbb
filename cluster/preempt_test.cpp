// Making room for others, the grace before the end, and the warning before the
// time limit.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace preempt_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 4}); }

  std::string name_of(SessionId id) {
    BOOST_TEST(state.digest_hex() == replayed_digest(*this));
    return std::string(schema::EnumNameSessionState(state_of(id))) + " " +
           schema::EnumNameEndReason(session(id).reason);
  }
};

Spec limited(std::uint64_t limit_ns) {
  Spec spec = one_task();
  spec.time_limit_ns = limit_ns;
  return spec;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(preempting, Fixture)

BOOST_AUTO_TEST_CASE(a_session_makes_room_and_waits_again_at_once) {
  const SessionId victim = running(one_task());
  const SessionId waiting = submit(one_task());
  BOOST_TEST(preempt(victim, waiting));
  BOOST_TEST(kinds == "SessionStopping");
  BOOST_TEST(
      event(state.last_sequence()).body_as_SessionStopping()->for_session() ==
      waiting.value);
  BOOST_TEST(session(victim).stopping_for.value == waiting.value);
  BOOST_TEST(*session(victim).detail == "it makes room for s-2");
  exit(victim, 0, 0);
  BOOST_TEST(kinds == "TaskExited SessionRequeued");
  BOOST_TEST(name_of(victim) == "pending preempted");
  BOOST_TEST(session(victim).attempt == 2);
  BOOST_TEST(session(victim).not_before.value == 0);
  BOOST_TEST(session(victim).stopping_for.value == 0);
}

BOOST_AUTO_TEST_CASE(making_room_is_no_failed_attempt) {
  Spec spec = one_task();
  spec.requeue_max = 1;
  const SessionId victim = running(spec);
  const SessionId waiting = submit(one_task());
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(preempt(victim, waiting));
    exit(victim);
    place(victim, {"n0"});
    start(victim);
  }
  exit(victim, 0, 1);
  BOOST_TEST(name_of(victim) == "pending exited");
  BOOST_TEST((session(victim).not_before == Time{now.value + second_ns}));
  pass(second_ns);
  place(victim, {"n0"});
  start(victim);
  exit(victim, 0, 1);
  BOOST_TEST(name_of(victim) == "failed exited");
}

BOOST_AUTO_TEST_CASE(who_asked_to_end_ends) {
  Spec spec = one_task();
  spec.on_preempt = schema::OnPreempt::end;
  spec.requeue_max = 5;
  const SessionId victim = running(spec);
  const SessionId waiting = submit(one_task());
  BOOST_TEST(preempt(victim, waiting));
  exit(victim, 0, 143);
  BOOST_TEST(name_of(victim) == "failed preempted");
}

BOOST_AUTO_TEST_CASE(a_cancel_is_stronger_than_making_room) {
  const SessionId victim = running(one_task());
  const SessionId waiting = submit(one_task());
  BOOST_TEST(preempt(victim, waiting));
  BOOST_TEST(cancel(victim).has_value());
  exit(victim, 0, 143);
  BOOST_TEST(name_of(victim) == "cancelled cancelled");
}

BOOST_AUTO_TEST_CASE(who_moved_on_is_left_alone) {
  const SessionId victim = running(one_task());
  const SessionId waiting = submit(one_task());
  BOOST_TEST(!decide_preempt(state, {victim, 2, waiting}, origin(), writer));
  BOOST_TEST(!preempt(waiting, waiting));
  BOOST_TEST(!preempt(victim, victim));
  BOOST_TEST(!preempt(victim, SessionId{99}));
  BOOST_TEST(!preempt(SessionId{99}, waiting));
  BOOST_TEST(preempt(victim, waiting));
  BOOST_TEST(!preempt(victim, waiting));
}

BOOST_AUTO_TEST_CASE(a_snapshot_keeps_whom_it_makes_room_for) {
  const SessionId victim = running(one_task());
  const SessionId waiting = submit(one_task());
  BOOST_TEST(preempt(victim, waiting));
  const auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  BOOST_TEST(copy->session(victim)->stopping_for.value == waiting.value);
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
}

BOOST_AUTO_TEST_CASE(a_longer_grace_moves_the_deadline_of_the_end) {
  Spec spec = one_task();
  const SessionId plain = running(spec);
  spec.grace_ns = 10 * minute_ns;
  const SessionId patient = running(spec);
  for (const SessionId id : {plain, patient})
    BOOST_TEST(cancel(id).has_value());
  BOOST_TEST(deadline_of(state, session(plain)).value ==
             now.value + stopping_ns_max);
  BOOST_TEST(deadline_of(state, session(patient)).value ==
             now.value + stopping_ns_max - stop_grace_ns + 10 * minute_ns);
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(the_end_of_the_cell_waits_for_no_long_grace) {
  Spec spec = one_task();
  spec.grace_ns = 10 * minute_ns;
  spec.requeue_max = 3;
  const SessionId runs = running(spec);
  const SessionId ends = running(spec);
  spec.grace_ns = 0;
  const SessionId plain = running(spec);
  BOOST_TEST(cancel(ends).has_value());
  BOOST_TEST(decide_cell_stop(session(runs), origin(), writer));
  settle();
  BOOST_TEST(grace_of(session(runs)) == cell_stop_grace_ns);
  for (const SessionId id : {runs, ends})
    BOOST_TEST(grace_at_cell_stop(session(id)) == cell_stop_grace_ns);
  BOOST_TEST(grace_at_cell_stop(session(plain)) == stop_grace_ns);
  exit(runs, 0, 143);
  BOOST_TEST(name_of(runs) == "pending cell_stopped");
}

// It would be tried again as one that the end of the cell stopped.
BOOST_AUTO_TEST_CASE(the_end_of_the_cell_revives_nothing_that_ends_for_good) {
  Spec spec = limited(minute_ns);
  spec.grace_ns = 10 * minute_ns;
  spec.requeue_max = 3;
  const SessionId late = running(spec);
  pass(minute_ns);
  BOOST_TEST(deadline(late));
  const SessionId ends = running(spec);
  BOOST_TEST(cancel(ends).has_value());
  const SessionId victim = running(spec);
  BOOST_TEST(preempt(victim, submit(one_task())));
  for (const SessionId id : {late, ends, victim})
    BOOST_TEST(!decide_cell_stop(session(id), origin(), writer));
  settle();
  for (const SessionId id : {late, ends, victim}) exit(id, 0, 143);
  BOOST_TEST(name_of(late) == "failed time_limit");
  BOOST_TEST(name_of(ends) == "cancelled cancelled");
  BOOST_TEST(name_of(victim) == "pending preempted");
}

BOOST_AUTO_TEST_CASE(a_warning_comes_once_in_time_before_the_limit) {
  Spec spec = limited(10 * minute_ns);
  spec.warn_signal = 10;
  spec.warn_ns = minute_ns;
  const SessionId id = running(spec);
  BOOST_TEST(warning_of(state, session(id)).value == now.value + 9 * minute_ns);
  pass(9 * minute_ns - 1);
  BOOST_TEST(!warn(id));
  pass(1);
  BOOST_TEST(warn(id));
  BOOST_TEST(kinds == "SessionWarned");
  BOOST_TEST(
      int{event(state.last_sequence()).body_as_SessionWarned()->signal()} ==
      10);
  BOOST_TEST(!warn(id));
  BOOST_TEST(session(id).warned);
  BOOST_TEST(name_of(id) == "running none");
  const auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_TEST(copy->session(id)->warned);
  pass(minute_ns);
  BOOST_TEST(deadline(id));
  exit(id, 0, 143);
  BOOST_TEST(name_of(id) == "failed time_limit");
}

BOOST_AUTO_TEST_CASE(the_next_attempt_is_warned_anew) {
  Spec spec = limited(10 * minute_ns);
  spec.warn_signal = 10;
  spec.warn_ns = minute_ns;
  const SessionId id = running(spec);
  pass(9 * minute_ns);
  BOOST_TEST(warn(id));
  BOOST_TEST(preempt(id, submit(one_task())));
  exit(id);
  BOOST_TEST(!session(id).warned);
  place(id, {"n0"});
  start(id);
  BOOST_TEST(!warn(id));
  pass(9 * minute_ns);
  BOOST_TEST(warn(id));
}

BOOST_AUTO_TEST_CASE(warnings_and_graces_out_of_bounds_are_refused) {
  const auto with = [&](std::uint8_t signal, std::uint64_t warn_ns,
                        std::uint64_t limit_ns) {
    Spec spec = limited(limit_ns);
    spec.warn_signal = signal;
    spec.warn_ns = warn_ns;
    return verdict(try_submit(spec));
  };
  BOOST_TEST(with(signal_max, 1, 2) == "accepted");
  BOOST_TEST(with(signal_max + 1, 1, 2) == "malformed warn_signal 64 65");
  BOOST_TEST(with(0, 1, 2) == "malformed warn_signal 64 0");
  BOOST_TEST(with(10, 0, 2) == "malformed warn_ns 2 0");
  BOOST_TEST(with(10, 1, 1) == "malformed warn_ns 1 1");
  BOOST_TEST(with(10, 1, 0) == "malformed warn_limit 0 0");
  Spec spec = one_task();
  spec.grace_ns = grace_ns_max;
  BOOST_TEST(verdict(try_submit(spec)) == "accepted");
  ++spec.grace_ns;
  BOOST_TEST(verdict(try_submit(spec)) ==
             "over_limit grace_ns_max 3600000000000 3600000000001");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace preempt_test

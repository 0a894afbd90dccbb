// Reservations: who may be made, what is refused, when they go.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "cluster/testing.hpp"

namespace reservation_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

struct Fixture : Cell {
  Fixture() {
    add({.name = "n0", .devices = 4});
    add({.name = "n1", .devices = 2});
  }

  std::string set_changed(const std::function<void(Reservation&)>& change) {
    Reservation reservation = a_reservation(*this);
    change(reservation);
    auto decision = set_reservation(reservation);
    return verdict(decision);
  }

  // Of the reservation `a_reservation`.
  SessionId waiting() {
    Spec spec = one_task();
    spec.reservation = "r";
    return submit(spec);
  }
  std::string end_of(SessionId id) const {
    const Session& ended = session(id);
    return std::string(schema::EnumNameSessionState(ended.state)) + " " +
           schema::EnumNameEndReason(ended.reason) + " " +
           (ended.detail ? *ended.detail : std::string());
  }
  std::string asked(const std::function<void(Spec&)>& change) {
    Spec spec = one_task();
    spec.reservation = "r";
    change(spec);
    const auto decision = try_submit(spec);
    if (!decision) said = decision.error().text;
    return verdict(decision);
  }
  std::string said;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(reserving, Fixture)

BOOST_AUTO_TEST_CASE(one_is_set_changed_and_removed) {
  BOOST_TEST(verdict(set_reservation(a_reservation(*this))) == "accepted");
  BOOST_TEST(kinds == "ReservationSet");
  const Reservation* known = state.reservations().find("r");
  BOOST_REQUIRE(known);
  BOOST_TEST(known->users.front() == "root");
  BOOST_TEST(set_changed([](Reservation& r) { r.nodes = {"n1"}; }) ==
             "accepted");
  BOOST_TEST(state.reservations().all().size() == 1);
  BOOST_TEST(state.reservations().find("r")->nodes.front() == "n1");
  const auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
  BOOST_TEST(copy->reservations().find("r")->nodes.front() == "n1");
  BOOST_TEST(verdict(remove_reservation("r")) == "accepted");
  BOOST_TEST(kinds == "ReservationRemoved");
  BOOST_TEST(verdict(remove_reservation("r")) ==
             "not_found reservation_unknown 0 0");
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(what_makes_no_sense_is_refused_with_its_rule) {
  struct Bad {
    const char* rule;
    std::function<void(Reservation&)> change;
  };
  const std::uint64_t at = now.value;
  const Bad all[] = {
      {"malformed reservation_name 128 0", [](auto& r) { r.name.clear(); }},
      {"malformed reservation_name 128 3", [](auto& r) { r.name = "a b"; }},
      {"malformed reservation_empty 0 0", [](auto& r) { r.nodes.clear(); }},
      {"malformed reservation_twice 0 0",
       [](auto& r) {
         r.nodes = {"n0", "n0"};
       }},
      {"malformed reservation_twice 0 0",
       [](auto& r) {
         r.devices = {1, 1};
       }},
      {"malformed reservation_range 3000000000 3000000000",
       [](auto& r) {
         r.first = {Time{3000000000}, Time{3000000000}};
       }},
      {"malformed reservation_past 1000000000000 999000000000",
       [&](auto& r) {
         r.first = {Time{at - 2 * second_ns}, Time{at - second_ns}};
       }},
      {"malformed reservation_every_ns_min 60000000000 59999999999",
       [](auto& r) { r.every_ns = reservation_every_ns_min - 1; }},
      {"malformed reservation_period 7200000000000 7199999999999",
       [](auto& r) { r.every_ns = 2 * hour_ns - 1; }},
      {"not_found node_unknown 0 0", [](auto& r) { r.nodes = {"n9"}; }},
      {"not_found device_unknown 2 3",
       [](auto& r) {
         r.nodes = {"n0", "n1"};
         r.devices = {3};
       }},
      {"not_found account_unknown 0 0", [](auto& r) { r.users = {"eve"}; }},
      {"not_found account_unknown 0 0", [](auto& r) { r.projects = {"x"}; }},
      {"malformed reservation_owners 0 0", [](auto& r) { r.users.clear(); }},
      {"malformed reservation_owners 0 0",
       [](auto& r) { r.kind = ReservationKind::maintenance; }},
  };
  for (const Bad& bad : all) BOOST_TEST(set_changed(bad.change) == bad.rule);
  BOOST_TEST(state.reservations().all().empty());
}

BOOST_AUTO_TEST_CASE(bounds_hold_at_the_bound_and_not_past_it) {
  const std::uint64_t at = now.value;
  BOOST_TEST(set_changed([&](auto& r) {
               r.first = {Time{at + reservation_ns_max},
                          Time{at + 2 * reservation_ns_max}};
               r.every_ns = reservation_ns_max;
             }) == "accepted");
  BOOST_TEST(set_changed([&](auto& r) {
               r.first.from = Time{at + reservation_ns_max + 1};
               r.first.to = Time{at + reservation_ns_max + 2};
             }) ==
             "over_limit reservation_ns_max 31622400000000000 "
             "31622400000000001");
  BOOST_TEST(set_changed([](auto& r) {
               r.reason.assign(reservation_reason_bytes_max, 'x');
             }) == "accepted");
  BOOST_TEST(set_changed([](auto& r) {
               r.reason.assign(reservation_reason_bytes_max + 1, 'x');
             }) == "over_limit reservation_reason_bytes_max 1024 1025");
  BOOST_TEST(set_changed([](auto& r) {
               r.users.assign(reservation_owners_max + 1, "root");
             }) == "over_limit reservation_owners_max 1000 1001");
  BOOST_TEST(set_changed([](auto& r) {
               r.nodes.assign(reservation_nodes_max + 1, "n0");
             }) == "over_limit reservation_nodes_max 1000 1001");
}

BOOST_AUTO_TEST_CASE(the_number_of_reservations_is_bounded) {
  checks = false;
  Reservation one = a_reservation(*this);
  for (std::size_t i = 0; i < reservations_max; ++i) {
    one.name = "r" + std::to_string(i);
    one.first.from.value += 3 * hour_ns;
    one.first.to.value += 3 * hour_ns;
    BOOST_REQUIRE(set_reservation(one).has_value());
  }
  one.name = "more";
  one.nodes = {"n1"};
  BOOST_TEST(verdict(set_reservation(one)) ==
             "over_limit reservations_max 1000 1000");
  one.name = "r0";
  BOOST_TEST(verdict(set_reservation(one)) == "accepted");
}

BOOST_AUTO_TEST_CASE(two_do_not_have_the_same_room_at_the_same_time) {
  pass(100 * hour_ns);
  BOOST_TEST(verdict(set_reservation(a_reservation(*this))) == "accepted");
  const auto other = [](auto change) {
    return [change](Reservation& r) {
      r.name = "other";
      change(r);
    };
  };
  BOOST_TEST(set_changed(other([](auto&) {})) ==
             "wrong_state reservation_overlap 0 0");
  BOOST_TEST(set_changed(other([](auto& r) { r.devices = {0}; })) ==
             "wrong_state reservation_overlap 0 0");
  BOOST_TEST(set_changed(other([](auto& r) {
               r.first.from = r.first.to;
               r.first.to.value += hour_ns;
             })) == "accepted");
  // It comes again while the first holds, days later.
  BOOST_TEST(set_changed(other([](auto& r) {
               r.first.from.value -= 48 * hour_ns;
               r.first.to.value -= 48 * hour_ns;
               r.every_ns = 24 * hour_ns;
             })) == "wrong_state reservation_overlap 0 0");
  BOOST_TEST(set_changed(other([](auto& r) { r.nodes = {"n1"}; })) ==
             "accepted");
}

BOOST_AUTO_TEST_CASE(one_that_is_over_goes_and_one_that_repeats_stays) {
  BOOST_TEST(verdict(set_reservation(a_reservation(*this))) == "accepted");
  BOOST_TEST(set_changed([](auto& r) {
               r.name = "daily";
               r.nodes = {"n1"};
               r.every_ns = 24 * hour_ns;
             }) == "accepted");
  pass(3 * hour_ns - 1);
  tick_reservations();
  BOOST_TEST(kinds == "");
  pass(1);
  tick_reservations();
  BOOST_TEST(kinds == "ReservationRemoved");
  BOOST_TEST(state.reservations().all().size() == 1);
  pass(1000 * 24 * hour_ns);
  tick_reservations();
  BOOST_TEST(kinds == "");
}

BOOST_AUTO_TEST_CASE(what_is_kept_now_is_for_those_who_name_it) {
  Reservation kept = a_reservation(*this);
  kept.devices = {1};
  BOOST_TEST(verdict(set_reservation(kept)) == "accepted");
  Spec spec = one_task();
  const auto placed = [&](const char* reservation, const char* node,
                          std::uint32_t device) {
    spec.reservation = reservation;
    const SessionId id = submit(spec);
    auto decision = try_place(id, {node}, {{.device = device, .milli = 100}});
    return verdict(decision);
  };
  const char* stale = "wrong_state placement_stale 0 0";
  BOOST_TEST(placed("", "n0", 1) == "accepted");
  BOOST_TEST(placed("r", "n0", 1) == stale);
  pass(hour_ns);
  BOOST_TEST(placed("", "n0", 1) == stale);
  BOOST_TEST(placed("", "n0", 0) == "accepted");
  BOOST_TEST(placed("r", "n0", 1) == "accepted");
  BOOST_TEST(placed("r", "n0", 0) == stale);
  BOOST_TEST(placed("r", "n1", 1) == stale);
  pass(2 * hour_ns);
  BOOST_TEST(placed("", "n0", 1) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_session_names_one_that_is_for_it) {
  Spec spec = one_task();
  spec.reservation = "r";
  BOOST_TEST(verdict(try_submit(spec)) == "not_found reservation_unknown 0 0");
  BOOST_TEST(verdict(set_reservation(a_reservation(*this))) == "accepted");
  BOOST_TEST(verdict(try_submit(spec)) == "accepted");
  BOOST_TEST(state.spec(session(SessionId{1})).reservation == "r");
  spec.user = "anna";
  BOOST_TEST(verdict(try_submit(spec)) == "forbidden reservation_foreign 0 0");
}

// ---- who waits for one that changes

BOOST_AUTO_TEST_CASE(one_that_is_removed_ends_who_waits_for_it) {
  set_reservation(a_reservation(*this));
  const SessionId id = waiting();
  const SessionId other = submit(one_task());
  BOOST_TEST(!unreserved(id));
  remove_reservation("r");
  const Sequence removal = state.last_sequence();
  BOOST_TEST(!unreserved(other));
  BOOST_TEST(unreserved(id, {removal}));
  BOOST_TEST(kinds == "SessionEnded");
  BOOST_TEST(event(state.last_sequence()).cause() == removal.value);
  BOOST_TEST(end_of(id) ==
             "cancelled reservation_gone its reservation r was removed at "
             "1970-01-01T00:16:40.000000000Z: it can never start");
  BOOST_TEST(!unreserved(id));
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(one_that_is_over_ends_who_waits_and_one_that_repeats_not) {
  set_reservation(a_reservation(*this));
  const SessionId id = waiting();
  pass(3 * hour_ns - 1);
  BOOST_TEST(!unreserved(id));
  pass(1);
  tick_reservations();
  BOOST_TEST(unreserved(id, {state.last_sequence(), true}));
  BOOST_TEST(
      end_of(id).find("its reservation r is over since 1970-01-01T03:") !=
      std::string::npos);
  set_changed([](auto& r) { r.every_ns = 24 * hour_ns; });
  const SessionId patient = waiting();
  pass(1000 * hour_ns);
  tick_reservations();
  BOOST_TEST(!unreserved(patient));
}

BOOST_AUTO_TEST_CASE(who_is_no_owner_any_more_waits_in_vain) {
  Spec ann = one_task();
  ann.user = "ann";
  submit(ann);
  set_reservation(a_reservation(*this));
  const SessionId id = waiting();
  pass(hour_ns);
  set_changed([&](auto& r) {
    r.first = {now, Time{now.value + hour_ns}};
    r.users = {"ann"};
  });
  // Not let in, even before it is told.
  BOOST_TEST(verdict(try_place(id, {"n0"})) ==
             "wrong_state placement_stale 0 0");
  BOOST_TEST(unreserved(id));
  BOOST_TEST(end_of(id) ==
             "cancelled reservation_gone its reservation r is not for root in "
             "project default any more: it can never start");
}

BOOST_AUTO_TEST_CASE(what_runs_in_one_goes_on_without_it) {
  set_reservation(a_reservation(*this));
  pass(hour_ns);
  Spec spec = one_task();
  spec.reservation = "r";
  spec.requeue_max = 1;
  const SessionId id = submit(spec);
  place(id, {"n0"});
  start(id);
  remove_reservation("r");
  BOOST_TEST(!unreserved(id));
  exit(id, 0, 1);
  BOOST_TEST((state_of(id) == SessionState::pending));
  BOOST_TEST(unreserved(id));
  BOOST_TEST(end_of(id).find("is not there any more") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(waiting_counts_from_when_the_reservation_opens) {
  const std::uint64_t begun = now.value;
  set_changed([&](auto& r) {
    r.first = {Time{begun + 60 * day_ns}, Time{begun + 61 * day_ns}};
    r.every_ns = 2 * day_ns;
  });
  const SessionId id = waiting();
  const SessionId other = submit(one_task());
  pass(31 * day_ns);
  BOOST_TEST(!deadline(id));
  BOOST_TEST(deadline(other));
  pass(58 * day_ns);
  BOOST_TEST(!deadline(id));
  BOOST_TEST(deadline_of(state, session(id)).value == begun + 90 * day_ns);
  // The window that it waits in counts, and not one after it.
  const SessionId late = waiting();
  BOOST_TEST(deadline_of(state, session(late)).value ==
             now.value + day_ns + pending_ns_max);
  pass(day_ns);
  BOOST_TEST(deadline(id));
  BOOST_TEST(end_of(id).find("failed wait_timeout") == 0);
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

// ---- what one could never hold

BOOST_AUTO_TEST_CASE(one_that_keeps_too_little_is_refused_with_numbers) {
  set_changed([](auto& r) {
    r.nodes = {"n0", "n1"};
    r.devices = {0, 1};
  });
  add({.name = "n2", .devices = 8});
  BOOST_TEST(asked([](Spec& spec) { spec.gpus = 2; }) == "accepted");
  BOOST_TEST(asked([](Spec& spec) { spec.gpus = 3; }) ==
             "impossible never_fits 2 3");
  BOOST_TEST(said ==
             "2 of 3 nodes of group default are in reservation r (GPU 0, 1 of "
             "each); among them, it needs 3 GPUs in a task; the largest node "
             "of group default has 2 (H100)");
  BOOST_TEST(asked([](Spec& spec) { spec.tasks = 4, spec.gpus = 1; }) ==
             "accepted");
  BOOST_TEST(asked([](Spec& spec) { spec.tasks = 5, spec.gpus = 1; }) ==
             "impossible never_fits 2 3");
  BOOST_TEST(asked([](Spec& spec) { spec.tasks = spec.nodes = 2; }) ==
             "accepted");
  BOOST_TEST(asked([](Spec& spec) { spec.tasks = spec.nodes = 3; }) ==
             "impossible never_fits 2 3");
  Spec each = one_task();
  each.reservation = "r";
  each.gpus = 3;
  BOOST_TEST(verdict(try_submit_array(each, {1, 2})) ==
             "impossible never_fits 2 3");
}

BOOST_AUTO_TEST_CASE(a_place_beside_the_reservation_is_refused) {
  add({.name = "n2", .labels = {{"rack", "r2"}}});
  set_reservation(a_reservation(*this));
  BOOST_TEST(asked([](Spec& spec) { spec.on_node = "n0"; }) == "accepted");
  BOOST_TEST(asked([](Spec& spec) { spec.on_node = "n1"; }) ==
             "impossible reservation_outside 0 1");
  BOOST_TEST(asked([](Spec& spec) { spec.constraint = "rack=r2"; }) ==
             "impossible reservation_outside 0 3");
  BOOST_TEST(said ==
             "0 of 3 nodes of group default are in reservation r and satisfy "
             "rack=r2");
  BOOST_TEST(asked([](Spec& spec) { spec.constraint = "gpus=4"; }) ==
             "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace reservation_test

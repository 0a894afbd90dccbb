// Handing over, programs of other releases, who is heard.
#include <boost/test/unit_test.hpp>

#include "actors/member/core.hpp"
#include "actors/member/core_fixture.hpp"

namespace core_others_test {

using namespace reeve;
using namespace reeve::member;

BOOST_AUTO_TEST_SUITE(member_core)

BOOST_FIXTURE_TEST_CASE(a_hand_over_ends_admission_and_names_the_next, Second) {
  lead();
  beat("m3", at(8, 101));
  BOOST_TEST(core.hand_over("m3", now).value() == "m3");
  BOOST_TEST(effects() == "end admission");
  BOOST_TEST(said == "m2 hands over to m3");
  core.on_drained(at(8, 140), now);
  BOOST_TEST(effects() == "write 51: m2 8 140 m3");
  BOOST_TEST((core.answers_until() == Time{}));
  BOOST_TEST((core.extends_until() == Time{}));
  // It leads nobody else and answers nothing until m3 has taken over.
  BOOST_TEST(written(52) == "");
  BOOST_TEST(tick(0) == "read lease");
  BOOST_TEST(lease(52, "m2", 8, "m3") == "");
  BOOST_TEST(tick(ping_ns - 1) == "");
  BOOST_TEST(tick(1) == "read lease");
  BOOST_TEST((core.answers_until() == Time{}));
  BOOST_TEST(lease(53, "m3", 9) == "step down: m2 handed over to m3");
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_that_is_not_taken_is_taken_back, Second) {
  lead();
  beat("m3", at(8, 101));
  core.hand_over("m3", now).value();
  core.on_drained(at(8, 140), now);
  effects();
  written(52);
  tick(0);
  lease(52, "m2", 8, "m3");
  // The others are kept waiting.
  BOOST_TEST(tick(named_renew_ns - 1) == "read lease");
  lease(52, "m2", 8, "m3");
  BOOST_TEST(tick(1) == "write 52: m2 8 140 m3");
  written(53);
  pass(beat_ns_max - named_renew_ns);
  tick(0);
  BOOST_TEST((core.answers_until() == Time{}));
  lease(53, "m2", 8, "m3");
  BOOST_TEST(tick(1) == "admit; write 53: m2 8 140 -");
  BOOST_TEST(said == "m3 is silent: m2 leads on");
  // It may be taken until that is written.
  BOOST_TEST((core.answers_until() == Time{}));
  BOOST_TEST(written(54) == "");
  BOOST_TEST((core.answers_until() > now));
  BOOST_TEST((role() == Role::leading));

  // It lives and does not: no longer than any other.
  Second waits;
  waits.lead();
  waits.beat("m3", at(8, 101));
  waits.core.hand_over("m3", waits.now).value();
  waits.core.on_drained(at(8, 140), waits.now);
  waits.effects();
  waits.written(52);
  waits.pass(hand_over_ns_max);
  waits.beat("m3", at(8, 101));
  BOOST_TEST(waits.tick(0) == "write 52: m2 8 140 m3; read lease");
  waits.written(53);
  BOOST_TEST(waits.tick(1) == "admit; write 53: m2 8 140 -");
  BOOST_TEST(waits.said ==
             "the hand-over to m3 was not done within 10 s: m2 leads on");

  // It was, at the last moment.
  Second late;
  late.lead();
  late.beat("m3", at(8, 101));
  late.core.hand_over("m3", late.now).value();
  late.core.on_drained(at(8, 140), late.now);
  late.effects();
  late.written(52);
  BOOST_TEST(late.tick(beat_ns_max + 1) == "admit; write 52: m2 8 140 -");
  late.core.on_lease_conflict(late.now);
  BOOST_TEST(late.effects() == "read lease");
  BOOST_TEST(late.lease(53, "m3", 9) ==
             "step down: m3 took the lease with epoch 9");
}

BOOST_FIXTURE_TEST_CASE(a_leader_that_hears_of_a_later_epoch_looks_at_the_lease,
                        Second) {
  lead();
  core.on_witness("n1", at(9, 1), now);
  BOOST_TEST(effects() == "read lease");
  // It is not sure meanwhile, and asks once.
  BOOST_TEST(core.answers_until().value == 0u);
  core.on_witness("n1", at(9, 1), now);
  BOOST_TEST(effects() == "");
  BOOST_TEST(lease(51, "m2", 8) == "write 51: m2 8 101 -");
  written(52);
  BOOST_TEST(core.answers_until().value > now.value);
  core.on_witness("n1", at(9, 1), now);
  BOOST_TEST(effects() == "read lease");
  BOOST_TEST(lease(53, "m1", 9) == "step down: m1 took the lease with epoch 9");
}

BOOST_FIXTURE_TEST_CASE(what_a_leader_has_not_written_yet_is_no_later_epoch,
                        Second) {
  lead();
  core.on_witness("n1", at(8, 150), now);
  BOOST_TEST(effects() == "");
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_that_the_lease_never_names_is_given_up,
                        Second) {
  lead();
  beat("m3", at(8, 101));
  core.hand_over("m3", now).value();
  core.on_drained(at(8, 140), now);
  BOOST_TEST(effects() == "end admission; write 51: m2 8 140 m3");
  core.on_lease_unknown(now);
  pass(hand_over_ns_max);
  beat("m3", at(8, 101));
  BOOST_TEST(tick(0) == "write 51: m2 8 140 m3");
  core.on_lease_unknown(now);
  BOOST_TEST(tick(1) == "admit; write 51: m2 8 140 -");
  BOOST_TEST(said ==
             "the hand-over to m3 was not done within 10 s: m2 leads on");
  // One of them may have been written after all.
  core.on_lease_unknown(now);
  BOOST_TEST((core.answers_until() == Time{}));
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(52, "m2", 8, "m3") == "write 52: m2 8 140 -");
  BOOST_TEST((core.answers_until() == Time{}));
  written(53);
  BOOST_TEST((core.answers_until() > now));
}

BOOST_FIXTURE_TEST_CASE(it_hands_over_to_one_that_keeps_up_alone, Second) {
  lead();
  core.on_log(at(8, 101 + behind_events_max));
  beat("m3", at(8, 100));
  const auto refused = core.hand_over("m3", now);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text ==
             "the log of m3 ends at event 100, more than 10000 events before "
             "that of m2: wait until it has copied the rest (\"reeve members\" "
             "tells)");
  BOOST_TEST(!core.hand_over("", now));
  // One that is newer and further behind is not chosen, either.
  core.on_beat("m4",
               {Role::following,
                at(8, 101),
                {"0.9.0", schema::Protocol{cluster::protocol_number + 1,
                                           cluster::protocol_number}}},
               now);
  beat("m5", at(8, 101 + behind_events_max));
  BOOST_TEST(core.hand_over("m3", now).has_value() == false);
  core.on_beat("m4",
               {Role::following,
                at(8, 100),
                {"0.9.0", schema::Protocol{cluster::protocol_number + 1,
                                           cluster::protocol_number}}},
               now);
  BOOST_TEST(core.hand_over("", now).value() == "m5");
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_waits_for_the_renewal_under_way, Second) {
  lead();
  beat("m3", at(8, 101));
  tick(renew_ns);
  core.hand_over("m3", now).value();
  core.on_drained(at(8, 140), now);
  BOOST_TEST(effects() == "end admission");
  BOOST_TEST(written(52) == "write 52: m2 8 140 m3");
  // Not answered, but done.
  core.on_lease_unknown(now);
  BOOST_TEST(tick(renew_ns) == "write 52: m2 8 140 m3");
  core.on_lease_conflict(now);
  BOOST_TEST(effects() == "read lease");
  BOOST_TEST(lease(53, "m2", 8, "m3") == "");
  tick(0);
  BOOST_TEST(lease(54, "m3", 9) == "step down: m2 handed over to m3");
}

BOOST_FIXTURE_TEST_CASE(whom_the_lease_names_next_takes_it_at_once, Second) {
  BOOST_TEST(lease(50, "m1", 7, "m2") == "");
  BOOST_TEST(said == "m1 hands over to m2: m2 stands for leader");
  BOOST_TEST(tick(0) == "read lease; read stream");
  // Others wait: until the next one is silent, too.
  Second third;
  third.lease(50, "m1", 7, "m3");
  BOOST_TEST((third.role() == Role::following));
  BOOST_TEST(third.tick(0) == "read lease");
  third.pass(silent_ns_max);
  third.lease(50, "m1", 7, "m3");
  BOOST_TEST((third.role() == Role::candidate));
}

BOOST_FIXTURE_TEST_CASE(who_handed_over_does_not_take_the_lease_back, Second) {
  lease(50, "m2", 7, "m3");
  BOOST_TEST((role() == Role::following));
}

BOOST_FIXTURE_TEST_CASE(without_a_name_the_longest_log_is_handed_to, Second) {
  lead();
  beat("m3", at(8, 99));
  beat("m4", at(8, 101));
  BOOST_TEST(core.hand_over("", now).value() == "m4");
  // Asked for again, it is the same; another one is too late.
  BOOST_TEST(core.hand_over("m4", now).value() == "m4");
  const auto refused = core.hand_over("m3", now);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text == "m2 hands over to m4 already");
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_that_cannot_be_is_refused, Second) {
  const auto refusal = [&](std::string_view to) {
    const auto refused = core.hand_over(to, now);
    return refused ? *refused : refused.error().text;
  };
  lease(50, "m1", 7);
  BOOST_TEST(refusal("m2") == "m2 does not lead the cell: ask m1");
  lead();
  BOOST_TEST(refusal("m2") == "m2");
  BOOST_TEST(refusal("") ==
             "m2 hears of no other manager that could lead: start one "
             "(\"reeve members\" lists them)");
  beat("m3", at(8, 101));
  BOOST_TEST(refusal("m9") ==
             "there is no manager m9 that lives; there are: m3");
  BOOST_TEST(effects() == "");
}

// A word that is wrong is one thing, a host that is down another.
BOOST_FIXTURE_TEST_CASE(a_hand_over_to_a_silent_manager_says_that_it_is_one,
                        Second) {
  lead();
  beat("m3", at(8, 101));
  pass(beat_ns_max + 7 * second_ns);
  beat("m4", at(8, 101));
  const auto silent = core.hand_over("m3", now);
  BOOST_REQUIRE(!silent);
  BOOST_TEST((silent.error().code == Errc::rejected));
  BOOST_TEST(silent.error().text ==
             "m3 is a manager of the cell and was not heard for 12 s: see that "
             "its daemon runs (\"reeve up\" on its host) and that its host and "
             "that of m2 reach each other; there are: m4");
  core.on_managers({{"m1", "m2", "m3", "m4"}});
  const auto never = core.hand_over("m1", now);
  BOOST_REQUIRE(!never);
  BOOST_TEST((never.error().code == Errc::rejected));
  BOOST_TEST(never.error().text.starts_with(
      "m1 is a manager of the cell and was not heard since m2 started: "));
  const auto none = core.hand_over("m9", now);
  BOOST_REQUIRE(!none);
  BOOST_TEST((none.error().code == Errc::not_found));
}

// ---- room on the disk below the log

namespace {

struct Full : Second {
  void beat_of(const char* member, Position head, bool lacks_room) {
    core.on_beat(member, {member::Role::following, head, {}, lacks_room}, now);
  }
  // m2 leads, and its disk has been full for almost too long. m4 is full, too,
  // and m5 far behind.
  void fill(Room room) {
    lead();
    core.on_log(at(8, 101 + behind_events_max));
    core.on_room(room, now);
    pass(no_room_ns_max - 1);
    core.on_room(room, now);
    beat_of("m4", at(8, 101 + behind_events_max), true);
    beat_of("m5", at(8, 100), false);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_leader_with_a_full_disk_hands_over_to_one_with_room,
                        Full) {
  fill(Room::scarce);
  beat_of("m3", at(8, 101), false);
  BOOST_TEST(core.beat().lacks_room);
  BOOST_TEST(tick(0).find("end admission") == std::string::npos);
  written(52);
  BOOST_TEST(tick(1) == "end admission");
  BOOST_TEST(said ==
             "the disk below the log of m2 is full, and m3 has room; m2 hands "
             "over to m3");
  core.on_drained(at(8, 10'200), now);
  BOOST_TEST(effects() == "write 52: m2 8 10200 m3");
}

BOOST_FIXTURE_TEST_CASE(what_waits_for_room_is_not_waited_for, Full) {
  fill(Room::none);
  beat_of("m3", at(8, 101), false);
  tick(0);
  written(52);
  BOOST_TEST(tick(1) == "end admission; write 52: m2 8 10101 m3");
  BOOST_TEST(written(53) == "");
  tick(0);
  BOOST_TEST(lease(54, "m3", 9) == "step down: m2 handed over to m3");
}

// It renews its lease, and keeps nothing: the link to the servers that lead the
// stream is down.
BOOST_FIXTURE_TEST_CASE(who_does_not_reach_the_stream_hands_over, Full) {
  fill(Room::unreachable);
  beat_of("m3", at(8, 101), false);
  tick(0);
  written(52);
  BOOST_TEST(tick(1) == "end admission; write 52: m2 8 10101 m3");
  BOOST_TEST(said ==
             "m2 does not reach the bus servers that lead the stream, and m3 "
             "may; m2 hands over to m3");
}

// Nobody is served meanwhile.
BOOST_FIXTURE_TEST_CASE(who_does_not_take_it_is_not_asked_again_and_again,
                        Full) {
  fill(Room::scarce);
  beat_of("m3", at(8, 101), false);
  tick(0);
  written(52);
  BOOST_TEST(tick(1) == "end admission");
  int asked = 0;
  int admitted = 0;
  const auto go_on = [&](std::uint64_t duration_ns) {
    for (std::uint64_t at_ns = 0; at_ns < duration_ns; at_ns += second_ns) {
      pass(second_ns);
      beat_of("m3", at(8, 101), false);
      const std::string out = tick(0);
      asked += out.find("end admission") != std::string::npos ? 1 : 0;
      admitted += out.find("; admit") != std::string::npos || out == "admit";
    }
  };
  go_on(hand_over_ns_max + 2 * second_ns);
  BOOST_TEST(admitted == 1);
  go_on(room_again_ns);
  BOOST_TEST(asked == 0);
  // Another one is, once that is over.
  beat_of("m4", at(8, 101 + behind_events_max), false);
  go_on(no_room_ns_max + second_ns);
  BOOST_TEST(asked == 1);
}

BOOST_FIXTURE_TEST_CASE(a_full_disk_where_nobody_has_room_changes_nothing,
                        Full) {
  fill(Room::none);
  BOOST_TEST(tick(1).find("admission") == std::string::npos);
  BOOST_TEST((role() == Role::leading));
  // Room again, and full anew: the time begins anew.
  core.on_room(Room::enough, now);
  core.on_room(Room::none, now);
  pass(no_room_ns_max - 1);
  beat_of("m3", at(8, 101), false);
  BOOST_TEST(tick(0).find("admission") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(who_has_no_room_lets_one_with_as_much_lead, Full) {
  core.on_room(Room::scarce, now);
  stand();
  beat_of("m1", at(7, 99), false);
  beat_of("m4", at(7, 100), true);
  beat_of("m3", at(7, 100), false);
  BOOST_TEST(stream(at(7, 100)) == "");
  BOOST_TEST((role() == Role::refusing));
  BOOST_TEST(said ==
             "m2 does not lead: the disk below its log is full, and m3 has "
             "room: free some space here");
  // As long as that one lives.
  pass(beat_ns_max + 1);
  BOOST_TEST(tick(0) == "read lease; read stream");
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(it_hands_over_to_nobody_without_room, Full) {
  lead();
  beat_of("m3", at(8, 101), true);
  const auto refused = core.hand_over("m3", now);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text ==
             "the disk below the log of m3 is full: free some space there "
             "first");
  beat_of("m4", at(8, 100), false);
  BOOST_TEST(core.hand_over("", now).value() == "m4");
}

// ---- managers of other programs

namespace {

// m2 speaks protocol_number and understands protocol_oldest.
cluster::Program program(std::string version, std::uint32_t number,
                         std::uint32_t oldest) {
  return {std::move(version), schema::Protocol{number, oldest}};
}
constexpr std::uint32_t own = cluster::protocol_number;

struct Mixed : Second {
  void beat_of(const char* member, cluster::Program other,
               Position head = at(7, 100)) {
    core.on_beat(member, {member::Role::following, head, std::move(other)},
                 now);
    effects();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_candidate_lets_a_newer_program_go_first, Mixed) {
  lease(50, "m1", 7);
  pass(silent_ns_max);
  beat_of("m3", program("0.9.0", own + 1, own));
  lease(50, "m1", 7);
  BOOST_REQUIRE((role() == Role::candidate));
  BOOST_TEST(tick(300 * ms) == "read lease");
  lease(50, "m1", 7);
  beat_of("m3", program("0.9.0", own + 1, own));
  BOOST_TEST(tick(newer_first_ns) == "read lease; read stream");
}

BOOST_FIXTURE_TEST_CASE(one_that_leads_beside_a_newer_one_says_so, Mixed) {
  lease(50, "m1", 7);
  pass(silent_ns_max);
  lease(50, "m1", 7);
  tick(300 * ms);
  stream(at(7, 100));
  written(51);
  stream(at(7, 100));
  beat_of("m3", program("0.9.0", own + 1, own));
  core.on_led(at(8, 101), now);
  effects();
  BOOST_TEST(said.find("m3 (reeve 0.9.0), which is newer than m2, stands by: "
                       "upgrade this manager, or hand over (reeve lead m3)") !=
                 std::string::npos,
             said);
}

BOOST_FIXTURE_TEST_CASE(after_a_program_it_does_not_understand_it_does_not_lead,
                        Mixed) {
  beat_of("m1", program("0.9.0", own + 2, own + 1));
  pass(beat_ns_max);
  stand();
  // m1 is silent by now, and was heard.
  BOOST_TEST(stream(at(7, 100)) == "");
  BOOST_TEST((role() == Role::refusing));
  BOOST_TEST(said.find("m2 does not lead: m1 (reeve 0.9.0) understands no "
                       "protocol below") == 0,
             said);
  // As long as it takes; once m1 is back as it was, it follows.
  for (int i = 0; i < 5; ++i) {
    tick(retry_ns);
    BOOST_TEST(stream(at(7, 100)) == "");
    BOOST_TEST((role() == Role::refusing));
  }
  // Another version of m1 is no reason.
  beat_of("m1", program("0.1.0", own, own));
  tick(retry_ns);
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(an_older_program_keeps_nobody_from_leading, Mixed) {
  beat_of("m1", program("", 0, 0));
  stand();
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(it_hands_over_to_a_program_it_understands_alone,
                        Mixed) {
  lead();
  beat_of("m3", program("0.9.0", own + 2, own + 1), at(8, 101));
  const auto refused = core.hand_over("m3", now);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text.find(
                 "m3 (reeve 0.9.0) and m2 do not understand each other") == 0,
             refused.error().text);
  beat_of("m3", program("0.9.0", own + 1, own), at(8, 101));
  BOOST_TEST(core.hand_over("m3", now).value() == "m3");
}

BOOST_FIXTURE_TEST_CASE(the_newest_program_leads_where_nobody_is_named, Mixed) {
  lead();
  beat_of("m3", program("0.1.0", own, own), at(8, 101));
  beat_of("m4", program("0.2.0", own + 1, own), at(8, 100));
  BOOST_TEST(core.hand_over("", now).value() == "m4");
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_that_is_not_done_is_given_up, Second) {
  lead();
  beat("m3", at(8, 101));
  core.hand_over("m3", now).value();
  effects();
  pass(hand_over_ns_max);
  beat("m3", at(8, 101));
  BOOST_TEST(tick(0).find("admit") == std::string::npos);
  BOOST_TEST(tick(1) == "admit");
  BOOST_TEST(said ==
             "the hand-over to m3 was not done within 10 s: m2 leads on");
  BOOST_TEST((role() == Role::leading));
  // And so is one to a member that falls silent.
  core.hand_over("m3", now).value();
  effects();
  pass(beat_ns_max);
  BOOST_TEST(tick(1).find("admit") != std::string::npos);
  BOOST_TEST(said == "m3 is silent: m2 leads on");
}

BOOST_FIXTURE_TEST_CASE(beats_count_while_they_are_fresh, Second) {
  beat("m1", at(7, 100));
  beat("m2", at(9, 1));  // an echo of its own
  pass(beat_ns_max);
  BOOST_TEST(core.living(now).size() == 1u);
  BOOST_TEST(core.living(now).contains("m1"));
  pass(1);
  BOOST_TEST(core.living(now).empty());
}

BOOST_FIXTURE_TEST_CASE(beats_of_more_members_than_the_bound_are_passed_over,
                        Second) {
  for (std::size_t i = 0; i < members_max; ++i)
    beat(fmt::format("a{}", i), at(7, 100));
  beat("b", at(7, 100));
  BOOST_TEST(core.living(now).size() == members_max);
  BOOST_TEST(!core.living(now).contains("b"));
  // Those who are silent make room.
  pass(beat_ns_max + 1);
  beat("b", at(7, 100));
  BOOST_TEST(core.living(now).size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(who_is_no_manager_any_more_does_not_count, Second) {
  lead();
  beat("m3", at(8, 101));
  beat("m4", at(8, 101));
  core.on_managers({{"m1", "m2", "m4"}});
  BOOST_TEST(core.heard().size() == 1u);
  BOOST_TEST(!core.on_beat("m3", {Role::following, at(8, 101)}, now));
  const auto refused = core.hand_over("m3", now);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text ==
             "there is no manager m3 that lives; there are: m4");
  // Of a log that may be old, nobody is known to be none.
  core.on_managers(std::nullopt);
  BOOST_TEST(core.on_beat("m3", {Role::following, at(8, 101)}, now));
  BOOST_TEST(core.hand_over("m3", now).value() == "m3");
}

// The bus servers can have lost the end of the stream: then it is the others'
// logs that tell of it.
BOOST_FIXTURE_TEST_CASE(a_candidate_hears_a_majority_before_it_begins, Second) {
  const auto begins = [&](std::uint64_t after_ns) {
    return tick(after_ns).find("read stream") != std::string::npos;
  };
  core.on_managers({{"m1", "m2", "m3"}});
  lease(50, "m2", 7);
  BOOST_CHECK(role() == Role::candidate);
  BOOST_TEST(!begins(300 * ms));
  BOOST_TEST(!begins(hear_others_ns - 400 * ms));
  beat("m3", at(7, 120));
  BOOST_TEST(begins(0));
  stream(at(7, 100));
  BOOST_CHECK(role() == Role::refusing);
}

BOOST_FIXTURE_TEST_CASE(a_candidate_whom_nobody_speaks_to_begins_later,
                        Second) {
  core.on_managers({{"m1", "m2", "m3"}});
  lease(50, "m2", 7);
  BOOST_TEST(tick(hear_others_ns - ms).find("read stream") ==
             std::string::npos);
  BOOST_TEST(tick(ms).find("read stream") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_that_is_no_manager_yet_does_not_stand) {
  Second m2;
  m2.core.on_barred(true);
  m2.core.on_lease_read({}, m2.now);
  BOOST_CHECK(m2.core.role() == Role::following);
  m2.core.on_barred(false);
  m2.core.on_lease_read({}, m2.now);
  BOOST_CHECK(m2.core.role() == Role::candidate);
  // Taken out before it took the lease.
  m2.core.on_barred(true);
  m2.core.on_lease_read({}, m2.now);
  BOOST_CHECK(m2.core.role() == Role::following);
}

BOOST_AUTO_TEST_CASE(one_that_is_behind_events_max_behind_keeps_up) {
  Second m2;
  m2.core.on_log(at(7, behind_events_max + 50));
  BOOST_TEST(m2.core.keeping_up(m2.now) == 1u);
  m2.core.on_beat("m1", {Role::following, at(7, 50)}, m2.now);
  m2.core.on_beat("m3", {Role::following, at(7, 49)}, m2.now);
  BOOST_TEST(m2.core.keeping_up(m2.now) == 2u);
  BOOST_TEST(m2.core.keeping_up(Time{m2.now.value + beat_ns_max + 1}) == 1u);
}

BOOST_AUTO_TEST_CASE(commits_are_on_all_of_three_and_on_five_of_five) {
  const int copies[] = {1, 1, 2, 3, 3, 5, 5};
  for (std::size_t managers = 0; managers < std::size(copies); ++managers)
    BOOST_TEST(replicas_of(managers) == copies[managers]);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace core_others_test

#include "actors/member/core.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/member/core_fixture.hpp"

namespace core_test {

using namespace reeve;
using namespace reeve::member;

BOOST_AUTO_TEST_SUITE(member_core)

BOOST_FIXTURE_TEST_CASE(a_follower_reads_the_lease_and_pings_its_holder,
                        Second) {
  BOOST_TEST(tick(0) == "read lease");
  BOOST_TEST(lease(50, "m1", 7) == "");
  BOOST_TEST(core.leader() == "m1");
  BOOST_TEST(tick(0) == "ping m1");
  BOOST_TEST(tick(ping_ns - 1) == "");
  BOOST_TEST(tick(1) == "ping m1");
  BOOST_TEST(tick(renew_ns - ping_ns) == "read lease; ping m1");
  // One question at a time.
  BOOST_TEST(tick(renew_ns) == "ping m1");
  core.on_lease_unread(now);
  BOOST_TEST(tick(0) == "");
  BOOST_TEST(tick(renew_ns) == "read lease; ping m1");
}

BOOST_FIXTURE_TEST_CASE(a_lease_that_is_renewed_is_never_free, Second) {
  for (std::uint64_t revision = 50; revision < 80; ++revision) {
    tick(silent_ns_max - 1);
    lease(revision, "m1", 7);
    lease(revision, "m1", 7);
    BOOST_TEST((role() == Role::following));
  }
}

BOOST_FIXTURE_TEST_CASE(a_lease_is_free_when_it_was_silent_for_so_long,
                        Second) {
  lease(50, "m1", 7);
  pass(silent_ns_max - 1);
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::following));
  pass(1);
  // Time alone says nothing: it is to be read.
  tick(0);
  BOOST_TEST((role() == Role::following));
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::candidate));
  BOOST_TEST(said ==
             "m1, which leads in epoch 7, has not renewed its lease for 5 s: "
             "m2 stands for leader");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_leads_once_it_has_read_to_the_end_twice,
                        Second) {
  lease(50, "m1", 7);
  pass(silent_ns_max);
  lease(50, "m1", 7);
  BOOST_TEST(tick(300 * ms - 1) == "read lease");
  BOOST_TEST(tick(1) == "read stream");
  BOOST_TEST(stream(at(7, 104)) == "write 50: m2 8 90 -");
  BOOST_TEST(written(51) == "read stream");
  // The old leader was not quite done.
  BOOST_TEST(stream(at(7, 109)) == "lead 8");
  BOOST_TEST((role() == Role::candidate));
  core.on_led(at(8, 110), now);
  effects();
  BOOST_TEST(said == "m2 leads the cell: epoch 8, event 110");
  BOOST_TEST((role() == Role::leading));
  BOOST_TEST(core.leader() == "m2");
  BOOST_TEST((core.beat().head == at(8, 110)));
}

BOOST_FIXTURE_TEST_CASE(a_stream_that_moved_is_read_again, Second) {
  stand();
  stream(at(7, 100));
  written(51);
  BOOST_TEST(stream(at(7, 100)) == "lead 8");
  core.on_stream_moved(now);
  BOOST_TEST(effects() == "read stream");
  BOOST_TEST(stream(at(7, 101)) == "lead 8");
}

BOOST_FIXTURE_TEST_CASE(a_later_epoch_in_the_stream_is_told_in_the_lease_first,
                        Second) {
  stand();
  stream(at(7, 100));
  written(51);
  // The old leader had begun an epoch of its own accord.
  BOOST_TEST(stream(at(107, 130)) == "write 51: m2 108 90 -");
  BOOST_TEST(written(52) == "lead 108");
}

BOOST_FIXTURE_TEST_CASE(an_epoch_is_above_the_lease_s_where_that_is_later,
                        Second) {
  lease(50, "m1", 9);
  pass(silent_ns_max);
  lease(50, "m1", 9);
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 10 90 -");
}

BOOST_FIXTURE_TEST_CASE(a_stream_that_cannot_be_read_is_tried_again, Second) {
  stand();
  core.on_stream_unread(now);
  BOOST_TEST(effects() == "");
  BOOST_TEST(tick(retry_ns - 1) == "");
  BOOST_TEST(tick(1) == "read lease; read stream");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_follows_whoever_was_first, Second) {
  stand();
  BOOST_TEST(lease(51, "m3", 8) == "");
  BOOST_TEST((role() == Role::following));
  BOOST_TEST(core.leader() == "m3");
  // What it had asked for comes too late.
  BOOST_TEST(stream(at(7, 100)) == "");
}

BOOST_FIXTURE_TEST_CASE(a_lease_that_another_took_meanwhile_is_not_taken,
                        Second) {
  stand();
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
  core.on_lease_conflict(now);
  BOOST_TEST(effects() == "read lease");
  BOOST_TEST((role() == Role::following));
  lease(51, "m3", 8);
  BOOST_TEST(core.leader() == "m3");
}

BOOST_FIXTURE_TEST_CASE(a_taking_without_an_answer_is_found_in_the_lease,
                        Second) {
  stand();
  stream(at(7, 100));
  core.on_lease_unknown(now);
  BOOST_TEST(effects() == "");
  BOOST_TEST((role() == Role::following));
  BOOST_TEST(tick(retry_ns) == "read lease; ping m1");
  // It was taken: once more, with an epoch of its own.
  lease(51, "m2", 8);
  BOOST_TEST((role() == Role::candidate));
  BOOST_TEST(tick(300 * ms) == "read stream");
  BOOST_TEST(stream(at(7, 100)) == "write 51: m2 9 90 -");
}

BOOST_FIXTURE_TEST_CASE(a_lease_that_was_never_there_is_taken, Second) {
  core.on_lease_read({}, now);
  effects();
  BOOST_TEST(said == "nobody holds the lease: m2 stands for leader");
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)) == "write 0: m2 8 0 -");
  // Nor does it count when nobody can be read in it.
  Second other;
  other.lease(50, "", 0);
  BOOST_TEST((other.role() == Role::candidate));
}

BOOST_FIXTURE_TEST_CASE(a_process_that_starts_again_takes_its_own_lease,
                        Second) {
  lease(50, "m2", 7);
  BOOST_TEST((role() == Role::candidate));
}

BOOST_AUTO_TEST_CASE(who_has_not_listened_yet_does_not_lead) {
  Second just;
  just.core = Core("m2", at(7, 100), 0, just.now);
  just.lease(50, "m2", 7);
  BOOST_TEST(just.tick(listen_ns - 1) == "read lease");
  BOOST_TEST(just.tick(1) == "read stream");
}

BOOST_FIXTURE_TEST_CASE(a_process_that_is_gone_frees_its_lease_at_once,
                        Second) {
  lease(50, "m1", 7);
  core.on_beat("m3", {Role::following, at(7, 100)}, now);
  for (std::uint32_t i = 1; i < unheard_pings_max; ++i) {
    core.on_ping_unheard("m1", now);
    pass(ping_ns);
  }
  BOOST_TEST(effects() == "");
  core.on_ping_unheard("m1", now);
  BOOST_TEST(effects() == "read lease");
  BOOST_TEST((role() == Role::following));
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::candidate));
  BOOST_TEST(said ==
             "the process of m1, which led in epoch 7, is gone: m2 stands for "
             "leader");
  // Of its 300 ms it waits 60.
  BOOST_TEST(tick(300 * ms / gone_jitter_parts - 1).find("stream") ==
             std::string::npos);
  BOOST_TEST(tick(1).find("read stream") != std::string::npos);
}

// The link between the two hosts is down, and it leads on.
BOOST_FIXTURE_TEST_CASE(a_process_that_another_manager_hears_is_not_gone,
                        Second) {
  const auto ping = [&] {
    for (std::uint32_t i = 0; i < unheard_pings_max; ++i)
      core.on_ping_unheard("m1", now);
    lease(50, "m1", 7);
  };
  Beat third{Role::following, at(7, 100), {}, false, true};
  lease(50, "m1", 7);
  core.on_beat("m3", third, now);
  ping();
  BOOST_TEST((role() == Role::following));
  pass(unrenewed_ns_max);
  core.on_beat("m3", third, now);
  ping();
  BOOST_TEST((role() == Role::following));
  effects();
  // That one finds nobody, too, and says so.
  third.hears_leader = false;
  core.on_beat("m3", third, now);
  BOOST_TEST(effects() == "read lease");
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::candidate));
}

BOOST_FIXTURE_TEST_CASE(with_nobody_to_ask_it_is_gone_when_it_did_not_renew,
                        Second) {
  lease(50, "m1", 7);
  for (std::uint32_t i = 0; i < unheard_pings_max; ++i)
    core.on_ping_unheard("m1", now);
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::following));
  pass(unrenewed_ns_max);
  lease(50, "m1", 7);
  BOOST_TEST((role() == Role::candidate));
}

BOOST_FIXTURE_TEST_CASE(who_follows_says_whether_it_hears_who_leads, Second) {
  lease(50, "m1", 7);
  BOOST_TEST(!core.hears_leader());
  core.on_ping_heard("m1");
  BOOST_TEST(core.beat().hears_leader);
  core.on_ping_unheard("m1", now);
  BOOST_TEST(!core.hears_leader());
  core.on_ping_heard("m1");
  lease(51, "m3", 8);
  BOOST_TEST(!core.hears_leader());
}

BOOST_FIXTURE_TEST_CASE(a_lease_renewed_since_the_pings_is_held, Second) {
  lease(50, "m1", 7);
  for (std::uint32_t i = 0; i < unheard_pings_max; ++i)
    core.on_ping_unheard("m1", now);
  lease(51, "m1", 7);
  BOOST_TEST((role() == Role::following));
}

BOOST_FIXTURE_TEST_CASE(pings_far_apart_or_of_another_tell_nothing, Second) {
  lease(50, "m1", 7);
  for (int i = 0; i < 10; ++i) {
    core.on_ping_unheard("m1", now);
    pass(unheard_ns_max / 2 + 1);
  }
  for (int i = 0; i < 10; ++i) core.on_ping_unheard("m3", now);
  core.on_ping_unheard("m1", now);
  core.on_ping_heard("m1");
  core.on_ping_unheard("m1", now);
  core.on_ping_unheard("m1", now);
  BOOST_TEST(effects() == "");
}

BOOST_FIXTURE_TEST_CASE(a_shorter_log_does_not_lead_while_a_longer_one_lives,
                        Second) {
  beat("m3", at(7, 101));
  lease(50, "m1", 7);
  pass(beat_ns_max);
  beat("m3", at(7, 101));
  pass(silent_ns_max - beat_ns_max);
  lease(50, "m1", 7);
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)) == "report m3 7 101 of 100");
  BOOST_TEST((role() == Role::refusing));
  BOOST_TEST(said ==
             "m2 does not lead: m3 has the longer log (epoch 7, event 101; "
             "here it ends at epoch 7, event 100), so m3 is to lead");
  // Looked at again, and said once.
  BOOST_TEST(tick(retry_ns) == "read stream");
  BOOST_TEST(stream(at(7, 100)) == "");
  BOOST_TEST(said == "");
  // m3 is silent: nobody who lives has more.
  pass(beat_ns_max);
  BOOST_TEST(tick(0) == "read stream");
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(the_later_epoch_is_the_longer_log, Second) {
  stand();
  beat("m3", at(6, 900));
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
  Second other;
  other.stand();
  other.beat("m3", at(8, 1));
  BOOST_TEST(other.stream(at(7, 100)) == "report m3 8 1 of 100");
  BOOST_TEST((other.role() == Role::refusing));
}

BOOST_FIXTURE_TEST_CASE(who_refused_follows_whoever_leads, Second) {
  stand();
  beat("m3", at(7, 101));
  stream(at(7, 100));
  lease(51, "m3", 8);
  BOOST_TEST((role() == Role::following));
}

BOOST_FIXTURE_TEST_CASE(a_log_below_what_a_node_has_seen_does_not_lead,
                        Second) {
  const auto beats = [&] {
    core.on_witness("n1", at(7, 120), now);
    core.on_witness("n2", at(7, 110), now);
  };
  stand();
  beats();
  BOOST_TEST(stream(at(7, 119)) == "report agent n1 7 120 of 119");
  BOOST_TEST(said ==
             "m2 does not lead: agent n1 has seen epoch 7, event 120, and the "
             "log here ends at epoch 7, event 119: start the manager that has "
             "the rest, or restore its log; where that is gone for good or the "
             "agent is wrong, stop that agent");
  BOOST_TEST((role() == Role::refusing));
  beats();
  BOOST_TEST(tick(retry_ns) == "read lease; read stream");
  BOOST_TEST(stream(at(7, 120)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(a_log_below_what_the_lease_keeps_does_not_lead,
                        Second) {
  lease(50, "m1", 7, {}, at(7, 101));
  pass(silent_ns_max);
  lease(50, "m1", 7, {}, at(7, 101));
  BOOST_TEST(tick(300 * ms) == "read lease; read stream");
  // The stream keeps nothing by now, and nobody who has more is there.
  BOOST_TEST(stream(at(7, 100)) == "report the lease of m1 7 101 of 100");
  BOOST_TEST((role() == Role::refusing));
  BOOST_TEST(said ==
             "m2 does not lead: the cell has kept epoch 7, event 101, as the "
             "lease of m1 says, and the log here ends at epoch 7, event 100: "
             "start the manager that has the rest; where that is gone for "
             "good, begin the cell anew with the longest log "
             "(docs/disaster.md, \"Most managers\")");
  // As long as it takes.
  for (int i = 0; i < 5; ++i) {
    lease(50, "m1", 7, {}, at(7, 101));
    BOOST_TEST(tick(2 * silent_ns_max) == "read lease; read stream");
    BOOST_TEST(stream(at(7, 100)) == "");
    BOOST_TEST((role() == Role::refusing));
  }
  BOOST_TEST(tick(retry_ns) == "read stream");
  BOOST_TEST(stream(at(7, 101)) == "write 50: m2 8 101 -");
}

BOOST_FIXTURE_TEST_CASE(what_a_lease_said_counts_when_it_is_lost, Second) {
  tick(0);
  lease(50, "m1", 9, {}, at(7, 101));
  BOOST_TEST(lease(0, "", 0, {}, at(0, 0)) == "");
  BOOST_TEST(said == "nobody holds the lease: m2 stands for leader");
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)) ==
             "report the lease that was lost 7 101 of 100");
  BOOST_TEST((role() == Role::refusing));
  tick(retry_ns);
  BOOST_TEST(stream(at(7, 101)) == "write 0: m2 10 101 -");
}

BOOST_FIXTURE_TEST_CASE(a_leader_whose_lease_is_lost_leads_no_more, Second) {
  lead();
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(0, "", 0, {}, at(0, 0)) == "step down: the lease is gone");
}

// The servers may know how often it was written, or how often up to some time.
BOOST_FIXTURE_TEST_CASE(a_lease_whose_words_are_lost_is_taken, Second) {
  tick(0);
  lease(50, "m1", 9, {}, at(7, 100));
  lease(51, "", 0, {}, at(0, 0));
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)) == "write 51: m2 10 100 -");
}

BOOST_FIXTURE_TEST_CASE(a_leader_whose_words_are_lost_leads_no_more, Second) {
  lead();
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(2, "", 0, {}, at(0, 0)) == "step down: the lease is gone");
}

BOOST_FIXTURE_TEST_CASE(of_what_the_lease_keeps_the_epoch_counts_first,
                        Second) {
  lease(50, "", 7, {}, at(8, 1));
  tick(300 * ms);
  BOOST_TEST(stream(at(7, 100)).starts_with("report the lease that was lost"));
  // A program that told no epoch keeps nobody from leading.
  Second other;
  other.lease(50, "", 7, {}, at(0, 900));
  other.tick(300 * ms);
  BOOST_TEST(other.stream(at(7, 100)) == "write 50: m2 8 900 -");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_says_no_more_than_was_known_to_be_kept,
                        Second) {
  lease(50, "m1", 7, {}, at(7, 90));
  pass(silent_ns_max);
  lease(50, "m1", 7, {}, at(7, 90));
  tick(300 * ms);
  // It alone may have the rest, until it leads.
  BOOST_TEST(stream(at(7, 100)) == "write 50: m2 8 90 -");
  BOOST_TEST(written(51) == "read stream");
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 90 -");
  written(52);
  BOOST_TEST(stream(at(7, 100)) == "lead 8");
  core.on_led(at(8, 101), now);
  BOOST_TEST(tick(renew_ns) == "write 52: m2 8 101 -");
}

BOOST_FIXTURE_TEST_CASE(an_agent_counts_as_a_witness_while_it_is_heard,
                        Second) {
  core.on_witness("n1", at(7, 120), now);
  pass(beat_ns_max + 1);
  stand();
  BOOST_TEST(stream(at(7, 119)) == "write 50: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(an_agent_that_has_seen_an_epoch_is_a_witness_of_it,
                        Second) {
  stand();
  core.on_witness("n1", at(8, 0), now);
  BOOST_TEST(stream(at(7, 119)) == "report agent n1 8 0 of 119");
  BOOST_TEST(said.starts_with("m2 does not lead: agent n1 has seen epoch 8"));
}

BOOST_FIXTURE_TEST_CASE(what_is_witness_ahead_max_ahead_can_be_no_more_cannot,
                        Second) {
  // m1 leads in epoch 7; the lease tells of event 90, the log has 100.
  const auto outcome = [](Position seen) {
    Second m2;
    m2.stand();
    m2.core.on_witness("n1", seen, m2.now);
    return m2.stream(at(7, 100));
  };
  for (const Position seen :
       {at(7 + witness_ahead_max + 1, 0), at(~0ull, ~0ull),
        at(7, 100 + witness_ahead_max + 1), at(8, ~0ull)})
    BOOST_TEST(outcome(seen) == "write 50: m2 8 90 -", text_of(seen));
  for (const Position seen :
       {at(7 + witness_ahead_max, 0), at(7, 100 + witness_ahead_max)})
    BOOST_TEST(outcome(seen).starts_with("report agent n1"), text_of(seen));
  // What the lease tells of counts as known.
  lease(50, "m1", 7 + witness_ahead_max);
  core.on_witness("n1", at(7 + 2 * witness_ahead_max, 1), now);
  BOOST_TEST(effects() == "");
  BOOST_TEST(said == "");
  core.on_witness("n2", at(7 + 2 * witness_ahead_max + 1, 1), now);
  core.on_witness("n2", at(~0ull, 1), now);
  BOOST_TEST(effects() == "");
  BOOST_TEST(said ==
             "agent n2 says that it has seen epoch 20000008, event 1, and "
             "nothing above epoch 7, event 100 is known here: it is not "
             "believed");
}

BOOST_FIXTURE_TEST_CASE(of_more_witnesses_than_witnesses_max_some_are_dropped,
                        Second) {
  stand();
  for (std::size_t i = 0; i < witnesses_max; ++i)
    core.on_witness(fmt::format("n{}", i), at(7, 101), now);
  core.on_witness("late", at(9, 1), now);
  BOOST_TEST(stream(at(7, 100)).starts_with("report agent n"));
  BOOST_TEST(said.find("epoch 7, event 101") != std::string::npos);
  // The others are silent, and there is room for it.
  pass(beat_ns_max + 1);
  core.on_witness("late", at(9, 1), now);
  tick(0);
  BOOST_TEST(stream(at(7, 101)) == "report agent late 9 1 of 101");
  BOOST_TEST(said.find("agent late has seen epoch 9") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_longer_log_heard_of_late_gets_its_turn, Second) {
  stand();
  stream(at(7, 100));
  written(51);
  beat("m3", at(7, 105));
  BOOST_TEST(stream(at(7, 100)) == "report m3 7 105 of 100");
  BOOST_TEST((role() == Role::refusing));
  // It renews no more, so m3 finds the lease free.
  BOOST_TEST(tick(renew_ns) == "read lease; read stream");
}

BOOST_FIXTURE_TEST_CASE(a_renewal_under_way_is_waited_for, Second) {
  stand();
  stream(at(7, 100));
  written(51);
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 90 -");
  beat("m3", at(7, 105));
  stream(at(7, 100));
  BOOST_TEST(tick(retry_ns) == "read lease; read stream");
  // Now it has all that m3 has.
  BOOST_TEST(stream(at(7, 105)) == "");
  written(52);
  BOOST_TEST(tick(retry_ns) == "read stream");
  BOOST_TEST(stream(at(7, 105)) == "write 52: m2 9 90 -");
}

BOOST_FIXTURE_TEST_CASE(a_leader_renews_its_lease, Second) {
  lead();
  core.on_log(at(8, 130));
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 130 -");
  // Not answered yet.
  BOOST_TEST(tick(renew_ns) == "");
  BOOST_TEST(written(52) == "");
  BOOST_TEST(tick(0) == "write 52: m2 8 130 -");
  core.on_lease_unknown(now);
  BOOST_TEST(tick(renew_ns) == "write 52: m2 8 130 -");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_with_the_lease_renews_it_too, Second) {
  stand();
  stream(at(7, 100));
  written(51);
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 90 -");
}

BOOST_FIXTURE_TEST_CASE(a_renewal_whose_answer_was_lost_is_known_again,
                        Second) {
  lead();
  tick(renew_ns);
  core.on_lease_unknown(now);
  tick(renew_ns);
  core.on_lease_conflict(now);
  BOOST_TEST(effects() == "read lease");
  // A replica that is behind says nothing.
  BOOST_TEST(lease(50, "m1", 7) == "");
  BOOST_TEST(tick(renew_ns) == "read lease");
  BOOST_TEST(lease(52, "m2", 8) == "write 52: m2 8 101 -");
  BOOST_TEST((role() == Role::leading));
}

BOOST_FIXTURE_TEST_CASE(a_leader_whose_lease_was_taken_steps_down, Second) {
  lead();
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(60, "m3", 9) == "step down: m3 took the lease with epoch 9");
  BOOST_TEST(said == "m2 leads no more: m3 took the lease with epoch 9");
  BOOST_TEST((role() == Role::deposed));
  // The end: nothing is answered any more.
  BOOST_TEST(tick(10 * second_ns) == "");
  BOOST_TEST(lease(61, "m2", 9) == "");
}

BOOST_FIXTURE_TEST_CASE(a_leader_of_the_same_name_and_another_epoch_is_another,
                        Second) {
  lead();
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(60, "m2", 9) == "step down: m2 took the lease with epoch 9");
}

BOOST_FIXTURE_TEST_CASE(a_leader_without_answers_leads_on, Second) {
  // Nothing can be committed then, and nobody else was told to lead.
  lead();
  for (int i = 0; i < 60; ++i) {
    tick(renew_ns);
    core.on_lease_unknown(now);
  }
  BOOST_TEST((role() == Role::leading));
}

BOOST_FIXTURE_TEST_CASE(a_leader_that_is_fenced_steps_down, Second) {
  lead();
  core.on_fenced("m3 in epoch 9", now);
  BOOST_TEST(effects() ==
             "step down: m3 in epoch 9 extends the stream in the place of m2");
}

BOOST_FIXTURE_TEST_CASE(a_leader_whose_stream_lost_its_end_begins_anew,
                        Second) {
  core.on_shortened();
  BOOST_TEST(effects() == "");
  lead();
  core.on_shortened();
  BOOST_TEST(effects() ==
             "step down: the bus servers lost the end of the log that m2 had "
             "put there");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_that_began_to_extend_steps_down, Second) {
  stand();
  stream(at(7, 100));
  written(51);
  stream(at(7, 100));
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(60, "m3", 9) == "step down: m3 took the lease with epoch 9");
}

BOOST_FIXTURE_TEST_CASE(a_candidate_that_lost_the_lease_before_follows,
                        Second) {
  stand();
  stream(at(7, 100));
  written(51);
  tick(renew_ns);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(60, "m3", 9) == "");
  BOOST_TEST((role() == Role::following));
  BOOST_TEST(stream(at(7, 100)) == "");
}

// ---- what a leader may answer

BOOST_FIXTURE_TEST_CASE(a_leader_answers_while_its_lease_cannot_be_silent,
                        Second) {
  BOOST_TEST(core.answers_until().value == 0u);  // it follows
  lead();
  const Time led = now;
  BOOST_TEST(core.answers_until().value == led.value + silent_ns_max);
  // The renewal counts from when it was begun, and once it is written.
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 101 -");
  BOOST_TEST(core.answers_until().value == led.value + silent_ns_max);
  pass(second_ns);
  written(52);
  BOOST_TEST(core.answers_until().value ==
             led.value + renew_ns + silent_ns_max);
}

// As one that was stopped for long: what is answered late was asked long ago.
BOOST_FIXTURE_TEST_CASE(a_leader_that_was_away_finds_out_before_it_answers,
                        Second) {
  lead();
  tick(renew_ns);
  const Time asked = now;
  pass(10 * silent_ns_max);
  core.on_lease_unknown(now);
  BOOST_TEST(core.answers_until().value == asked.value + silent_ns_max);
  BOOST_TEST((core.answers_until() < now));
  BOOST_TEST(tick(0) == "write 51: m2 8 101 -");
  BOOST_TEST((core.answers_until() < now));
  core.on_lease_conflict(now);
  BOOST_TEST(core.answers_until().value == 0u);
  BOOST_TEST(effects() == "read lease");
  BOOST_TEST(lease(53, "m3", 9).starts_with("step down: "));
  BOOST_TEST(core.answers_until().value == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_leader_whose_lease_was_its_own_answers_again,
                        Second) {
  lead();
  tick(renew_ns);
  pass(2 * silent_ns_max);
  core.on_lease_conflict(now);
  effects();
  BOOST_TEST(lease(52, "m2", 8) == "write 52: m2 8 101 -");
  BOOST_TEST((core.answers_until() < now));
  BOOST_TEST((core.leads_until() < now));
  written(53);
  BOOST_TEST((core.answers_until() >= now));
  BOOST_TEST((core.leads_until() >= now));
}

BOOST_FIXTURE_TEST_CASE(who_is_not_sure_of_the_lease_does_not_extend_the_stream,
                        Second) {
  stand();
  stream(at(7, 100));
  BOOST_TEST(core.extends_until().value == 0u);
  const Time taken = now;
  pass(second_ns);
  written(51);
  // A candidate begins its epoch with it.
  BOOST_TEST(core.extends_until().value == taken.value + silent_ns_max);
  BOOST_TEST(core.leads_until().value == 0u);
  BOOST_TEST(stream(at(7, 100)) == "lead 8");
  core.on_led(at(8, 101), now);
  effects();
  tick(renew_ns);
  const Time asked = now;
  written(52);
  BOOST_TEST(core.extends_until().value == asked.value + silent_ns_max);
  // Its servers answer and do not write it.
  tick(renew_ns);
  pass(second_ns);
  core.on_lease_unknown(now);
  BOOST_TEST(core.extends_until().value == asked.value + silent_ns_max);
  tick(0);
  core.on_lease_conflict(now);
  BOOST_TEST(core.extends_until().value == 0u);
}

BOOST_FIXTURE_TEST_CASE(without_a_majority_a_leader_says_so, Second) {
  lead();
  for (int i = 0; i < 20; ++i) {
    BOOST_TEST(tick(renew_ns) == "write 51: m2 8 101 -");
    pass(second_ns);
    core.on_lease_unknown(now);
    BOOST_TEST((core.answers_until() >= now));
  }
  // But somebody whom it cannot reach may lead by now.
  BOOST_TEST((core.leads_until() < now));
  // Without a connection there is nobody to say it to, or to ask.
  const Time before = core.answers_until();
  BOOST_TEST(tick(renew_ns) == "write 51: m2 8 101 -");
  core.on_lease_unknown(now, Core::Asked::nobody);
  BOOST_TEST((core.answers_until() == before));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace core_test

// Devices are tested: who asks, who is offered meanwhile, and what follows.
#include "cluster/device_tests.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/project.hpp"
#include "cluster/testing.hpp"
#include "schema/wire.hpp"

namespace device_tests_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 2}); }

  const Node& node() const { return *state.node("n0"); }
  const Quarantine* held(const std::string& uuid) const {
    const auto found = node().quarantined.find(uuid);
    return found == node().quarantined.end() ? nullptr : &found->second;
  }
  // Asked for and told, of GPU-n0-0.
  void make(DeviceVerdict verdict, bool full = true) {
    pass(second_ns);
    BOOST_REQUIRE_EQUAL(testing::verdict(test("n0", "0", full)), "accepted");
    pass(second_ns);
    BOOST_REQUIRE_EQUAL(
        testing::verdict(tested("n0", "GPU-n0-0", verdict, "it is so")),
        "accepted");
  }
  // The same as it would be known from the log, and from a snapshot.
  void check_kept() const {
    BOOST_TEST(state.digest_hex() == replayed_digest(*this));
    const auto copy = State::decode_snapshot(state.encode_snapshot());
    BOOST_REQUIRE(copy);
    BOOST_TEST(copy->digest_hex() == state.digest_hex());
    BOOST_TEST(copy->check_invariants().has_value());
  }
};

const std::string card = "GPU-n0-0";
using enum DeviceVerdict;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(device_tests, Fixture)

BOOST_AUTO_TEST_CASE(a_device_is_offered_to_nobody_while_it_is_tested) {
  const auto asked = test("n0", "0");
  BOOST_TEST(verdict(asked) == "accepted");
  BOOST_TEST(kinds == "DeviceTestRequested DeviceQuarantined");
  const DeviceTest& waiting = node().testing.at(card);
  BOOST_TEST(waiting.id.value == asked->seq.value);
  BOOST_TEST(waiting.full);
  BOOST_TEST(waiting.asked_at.value == now.value);
  BOOST_REQUIRE(held(card));
  BOOST_TEST(held(card)->for_test);
  const SessionId id = submit(one_task());
  BOOST_TEST(verdict(try_place(id, {"n0"}, {{.device = 0, .milli = 500}})) ==
             "wrong_state device_quarantined 0 0");
  check_kept();
  pass(second_ns);
  BOOST_TEST(verdict(tested("n0", card, healthy, "all is right")) ==
             "accepted");
  BOOST_TEST(kinds == "DeviceTested DeviceReleased");
  BOOST_TEST(node().testing.empty());
  const DeviceTest& last = node().tested.at(card);
  BOOST_TEST(last.told_at.value == now.value);
  BOOST_CHECK(last.verdict == healthy);
  BOOST_TEST(last.text == "all is right");
  BOOST_REQUIRE_EQUAL(last.figures.size(), 1u);
  BOOST_TEST(last.figures[0].name == "memory_read");
  BOOST_TEST(last.figures[0].share_milli == 940u);
  BOOST_TEST(verdict(try_place(id, {"n0"}, {{.device = 0, .milli = 500}})) ==
             "accepted");
  check_kept();
}

BOOST_AUTO_TEST_CASE(a_slow_device_is_offered_and_known_as_slow) {
  make(slow);
  BOOST_TEST(!held(card));
  BOOST_TEST(node().devices[0].slow);
  BOOST_TEST(!node().devices[1].slow);
  // Also when it is found at another place, and where a state is told.
  register_node({.name = "n0", .cpu_milli = 5, .devices = 1});
  BOOST_TEST(node().devices[0].slow);
  check_kept();
  std::uint32_t told = 0;
  tell_as_events(state, [&](const schema::Event& event) {
    if (const auto* body = event.body_as_DeviceTested())
      told += body->verdict() == slow && body->uuid()->str() == card;
  });
  BOOST_TEST(told == 1u);
  make(healthy, false);
  BOOST_TEST(!node().devices[0].slow);
}

BOOST_AUTO_TEST_CASE(a_test_that_fails_keeps_the_device_out) {
  for (const auto bad : {faulty, unfinished}) {
    make(bad, false);
    BOOST_TEST(kinds == "DeviceTested DeviceQuarantined");
    BOOST_REQUIRE(held(card));
    BOOST_TEST(!held(card)->for_test);
    BOOST_TEST(held(card)->by_agent);
    BOOST_TEST(held(card)->reason == "it is so");
    BOOST_TEST(held(card)->since.value == now.value);
    check_kept();
    release("n0", "0", "root", true);
  }
}

BOOST_AUTO_TEST_CASE(a_test_that_could_not_be_made_changes_nothing) {
  make(not_tested);
  BOOST_TEST(kinds == "DeviceTested DeviceReleased");
  quarantine("n0", "0", "agent-n0");
  make(not_tested);
  BOOST_TEST(kinds == "DeviceTested");
  BOOST_TEST(held(card)->reason == "hot");
}

BOOST_AUTO_TEST_CASE(a_full_test_lifts_what_the_agent_found) {
  quarantine("n0", "0", "agent-n0");
  make(healthy, false);
  BOOST_TEST(kinds == "DeviceTested");
  BOOST_TEST(held(card) != nullptr);
  make(faulty);
  BOOST_TEST(kinds == "DeviceTested");
  BOOST_TEST(held(card)->reason == "hot");
  make(slow);
  BOOST_TEST(kinds == "DeviceTested DeviceReleased");
  const auto* released = event(state.last_sequence()).body_as_DeviceReleased();
  BOOST_TEST(released->by_agent());
  BOOST_TEST(!held(card));
  check_kept();
}

BOOST_AUTO_TEST_CASE(what_was_done_by_hand_stays_whatever_a_test_says) {
  quarantine("n0", "0");
  for (const auto any : {healthy, slow, unfinished, faulty, not_tested}) {
    make(any);
    BOOST_TEST(kinds == "DeviceTested");
    BOOST_TEST(held(card)->reason == "hot");
    BOOST_CHECK(node().tested.at(card).verdict == any);
  }
}

BOOST_AUTO_TEST_CASE(what_is_found_during_a_test_outlasts_it) {
  for (const bool full : {false, true}) {
    test("n0", "0", full);
    pass(second_ns);
    BOOST_TEST(verdict(quarantine("n0", "0", "agent-n0", "Xid 48")) ==
               "accepted");
    BOOST_TEST(!held(card)->for_test);
    pass(second_ns);
    tested("n0", card, healthy);
    BOOST_TEST(kinds == "DeviceTested");
    BOOST_TEST(held(card)->reason == "Xid 48");
    // It is left to people, and another test lifts it.
    own_tests("n0", {.of_quarantined = true});
    BOOST_TEST(kinds == "");
    make(healthy);
    BOOST_TEST(kinds == "DeviceTested DeviceReleased");
  }
}

BOOST_AUTO_TEST_CASE(what_is_found_during_the_test_of_an_unfit_device_counts) {
  quarantine("n0", "0", "agent-n0", "hot");
  pass(second_ns);
  test("n0", "0");
  BOOST_TEST(verdict(quarantine("n0", "0", "root", "by hand")) ==
             "wrong_state device_quarantined 0 0");
  pass(second_ns);
  BOOST_TEST(verdict(quarantine("n0", "0", "agent-n0", "Xid 48")) ==
             "accepted");
  BOOST_TEST(held(card)->reason == "Xid 48");
  BOOST_TEST(held(card)->since.value == now.value);
  pass(second_ns);
  BOOST_TEST(verdict(quarantine("n0", "0", "agent-n0", "Xid 62")) ==
             "wrong_state device_quarantined 0 0");
  tested("n0", card, healthy);
  BOOST_TEST(kinds == "DeviceTested");
  BOOST_TEST(held(card)->reason == "Xid 48");
  BOOST_TEST(verdict(quarantine("n0", "0", "agent-n0", "Xid 63")) ==
             "wrong_state device_quarantined 0 0");
  check_kept();
}

BOOST_AUTO_TEST_CASE(a_test_is_given_up_by_force_alone) {
  const auto asked = test("n0", "0");
  BOOST_TEST(verdict(release("n0", "0")) == "wrong_state device_in_test 0 0");
  BOOST_TEST(verdict(release("n0", "0", "root", true)) == "accepted");
  BOOST_TEST(node().testing.empty());
  BOOST_TEST(verdict(tested("n0", card, faulty, "late", asked->seq)) ==
             "not_found test_unknown 0 0");
  BOOST_TEST(node().tested.empty());
  check_kept();
}

BOOST_AUTO_TEST_CASE(a_device_that_is_held_is_not_tested) {
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 0, .milli = 500}});
  const auto refused = test("n0", "0");
  BOOST_TEST(verdict(refused) == "wrong_state device_in_use 0 0");
  BOOST_TEST(refused.error().text.find("held by s-1:") != std::string::npos,
             refused.error().text);
  for (int i = 0; i < 9; ++i)
    place(submit(one_task()), {"n0"}, {{.device = 1, .milli = 100}});
  const auto many = test("n0", "1");
  BOOST_TEST(many.error().text.find("s-9 and 1 more") != std::string::npos,
             many.error().text);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_tested_is_refused) {
  BOOST_TEST(verdict(test("n9", "0")) == "not_found node_unknown 0 0");
  BOOST_TEST(verdict(test("n0", "7")) == "not_found device_unknown 2 0");
  BOOST_TEST(verdict(test("n0", "0", true, "eve")) ==
             "forbidden device_foreign 0 0");
  add({.name = "sim", .devices = 1, .simulated = true});
  BOOST_TEST(verdict(test("sim", "0")) == "wrong_state node_simulated 0 0");
  add({.name = "cut",
       .devices = 2,
       .model = "H100 MIG 1g.10gb",
       .mig_of = "GPU-x"});
  BOOST_TEST(verdict(test("cut", "GPU-x")) == "wrong_state card_is_cut 0 0");
  BOOST_TEST(verdict(test("cut", "1")) == "accepted");
  lose("n0");
  BOOST_TEST(verdict(test("n0", "0")) == "wrong_state node_lost 0 0");
}

BOOST_AUTO_TEST_CASE(asked_again_it_is_the_same_test) {
  const auto quick = test("n0", "0", false);
  BOOST_TEST(test("n0", "0", false)->seq.value == quick->seq.value);
  BOOST_TEST(kinds == "");
  BOOST_TEST(verdict(test("n0", "0", true)) ==
             "wrong_state device_in_test 0 0");
  const auto full = test("n0", "1", true);
  BOOST_TEST(test("n0", "1", false)->seq.value == full->seq.value);
}

BOOST_AUTO_TEST_CASE(only_the_agent_of_the_node_tells_a_verdict) {
  add({.name = "n1", .devices = 1});
  const auto asked = test("n0", "0");
  BOOST_TEST(verdict(tested("n0", card, healthy, {}, {}, "root")) ==
             "forbidden agent_foreign 0 0");
  BOOST_TEST(verdict(tested("n0", card, healthy, {}, {}, "agent-n1")) ==
             "forbidden device_foreign 0 0");
  BOOST_TEST(verdict(tested("n0", "GPU-n0-1", healthy, {}, asked->seq)) ==
             "not_found test_unknown 0 0");
  BOOST_TEST(verdict(tested("n0", card, healthy, {},
                            Sequence{asked->seq.value - 1})) ==
             "not_found test_unknown 0 0");
  BOOST_TEST(verdict(tested("n0", card, static_cast<DeviceVerdict>(9))) ==
             "malformed test_verdict 0 0");
  BOOST_TEST(verdict(tested("n0", card, healthy)) == "accepted");
  BOOST_TEST(verdict(tested("n0", card, healthy, {}, asked->seq)) ==
             "not_found test_unknown 0 0");
}

BOOST_AUTO_TEST_CASE(an_agent_tests_what_is_new_and_what_it_found_unfit) {
  own_tests("n0", {});
  BOOST_TEST(kinds == "");
  quarantine("n0", "1", "agent-n0");
  own_tests("n0", {.of_new = true});
  BOOST_TEST(kinds == "DeviceTestRequested DeviceQuarantined");
  BOOST_TEST(!node().testing.at(card).full);
  own_tests("n0", {.of_new = true, .of_quarantined = true});
  BOOST_TEST(kinds == "DeviceTestRequested");
  BOOST_TEST(node().testing.at("GPU-n0-1").full);
  own_tests("n0", {true, true});
  BOOST_TEST(kinds == "");
  pass(second_ns);
  tested("n0", card, healthy);
  tested("n0", "GPU-n0-1", faulty);
  own_tests("n0", {true, true});
  BOOST_TEST(kinds == "");  // once for each
  // Of another quarantine again; not of one by hand, nor while it is held.
  release("n0", "1", "root", true);
  pass(second_ns);
  quarantine("n0", "1", "agent-n0");
  quarantine("n0", "0");
  own_tests("n0", {true, true});
  BOOST_TEST(kinds == "DeviceTestRequested");
  BOOST_TEST(node().testing.contains("GPU-n0-1"));
}

BOOST_AUTO_TEST_CASE(an_agent_does_not_test_what_is_held) {
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 0, .milli = 500}});
  own_tests("n0", {true, true});
  BOOST_TEST(!node().testing.contains(card));
  BOOST_TEST(node().testing.contains("GPU-n0-1"));
  start(id);
  exit(id);
  own_tests("n0", {true, true});
  BOOST_TEST(node().testing.contains(card));
}

BOOST_AUTO_TEST_CASE(the_bounds_of_a_test_hold) {
  test("n0", "0");
  const std::string text(test_text_bytes_max, 't');
  BOOST_TEST(verdict(tested("n0", card, healthy, text + 't')) ==
             "over_limit test_text_bytes_max 1024 1025");
  const auto report = [&](std::size_t figures, std::size_t name_bytes) {
    flatbuffers::FlatBufferBuilder builder;
    const std::string name(name_bytes, 'f');
    std::vector<flatbuffers::Offset<schema::DeviceFigure>> list;
    for (std::size_t i = 0; i < figures; ++i)
      list.push_back(
          schema::CreateDeviceFigureDirect(builder, name.c_str(), 1, 1));
    builder.Finish(schema::CreateReportTestDirect(
        builder, "n0", card.c_str(), node().testing.at(card).id.value, healthy,
        nullptr, &list));
    const auto decision = decide_tested(
        state,
        *flatbuffers::GetRoot<schema::ReportTest>(builder.GetBufferPointer()),
        origin("agent-n0"), writer);
    settle();
    return verdict(decision);
  };
  BOOST_TEST(report(test_figures_max + 1, 1) ==
             "over_limit test_figures_max 32 33");
  BOOST_TEST(report(1, test_figure_name_bytes_max + 1) ==
             "over_limit test_figure_name_bytes_max 64 65");
  BOOST_TEST(report(test_figures_max, test_figure_name_bytes_max) ==
             "accepted");
  test("n0", "0");
  BOOST_TEST(verdict(tested("n0", card, faulty, text)) == "accepted");
  check_kept();
}

BOOST_AUTO_TEST_CASE(the_oldest_tests_of_cards_that_are_away_are_forgotten) {
  // Card after card is put into the same place.
  for (std::size_t i = 0; i <= tests_per_node_max; ++i) {
    pass(second_ns);
    const std::string uuid = "MIG-" + std::to_string(i);
    // The harness names devices by their node.
    flatbuffers::FlatBufferBuilder builder;
    const std::vector devices = {schema::CreateDeviceSpecDirect(
        builder, uuid.c_str(), "H100", 80 * gib)};
    builder.Finish(schema::CreateNodeSpecDirect(builder, "n0", nullptr, 16'000,
                                                64 * gib, &devices));
    BOOST_REQUIRE(decide_register(
        state, "n0",
        *flatbuffers::GetRoot<schema::NodeSpec>(builder.GetBufferPointer()),
        true, origin(), writer));
    settle();
    BOOST_REQUIRE_EQUAL(verdict(test("n0", uuid)), "accepted");
    tested("n0", uuid, healthy);
  }
  BOOST_TEST(node().tested.size() == tests_per_node_max);
  BOOST_TEST(!node().tested.contains("MIG-0"));
  BOOST_TEST(node().tested.contains("MIG-1"));
  check_kept();
}

BOOST_AUTO_TEST_CASE(a_gpu_that_could_not_be_cleared_costs_no_attempt) {
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 0, .milli = 1000}});
  fact(id, {.kind = schema::FactKind::start_failed,
            .reason = EndReason::device_unclean,
            .detail = "GPU-n0-0 was not cleared"});
  BOOST_TEST(kinds == "TaskExited SessionRequeued");
  BOOST_CHECK(state_of(id) == SessionState::pending);
  BOOST_CHECK(session(id).reason == EndReason::device_unclean);
  BOOST_TEST(session(id).attempt == 2u);
  BOOST_TEST(session(id).not_before.value == now.value + requeue_delay_ns);
  pass(2 * second_ns);
  place(id, {"n0"}, {{.device = 1, .milli = 1000}});
  start(id);
  exit(id, 0, 1);
  BOOST_CHECK(state_of(id) == SessionState::failed);  // no requeue was asked
  check_kept();
}

BOOST_AUTO_TEST_CASE(a_gang_waits_again_when_one_gpu_could_not_be_cleared) {
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n0"}, {{.device = 0, .milli = 500}});
  start(id, 0);
  fact(id, {.kind = schema::FactKind::start_failed,
            .rank = 1,
            .reason = EndReason::device_unclean});
  BOOST_CHECK(state_of(id) == SessionState::stopping);
  pass(second_ns);
  fact(id, {.rank = 0, .reason = EndReason::signalled});
  BOOST_CHECK(state_of(id) == SessionState::pending);
  BOOST_CHECK(session(id).reason == EndReason::device_unclean);
}

BOOST_AUTO_TEST_CASE(who_was_cancelled_meanwhile_does_not_wait_again) {
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 0, .milli = 500}});
  cancel(id);
  fact(id, {.kind = schema::FactKind::start_failed,
            .reason = EndReason::device_unclean});
  BOOST_CHECK(state_of(id) == SessionState::cancelled);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace device_tests_test

// Devices in quarantine: who puts them there, what it means, how they leave.
#include <boost/test/unit_test.hpp>

#include "cluster/project.hpp"
#include "cluster/testing.hpp"
#include "schema/wire.hpp"

namespace device_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 2}); }

  const Node& node() const { return *state.node("n0"); }
  // By index.
  bool is_out(std::uint32_t device) const {
    return node().quarantine_of(node().devices[device]) != nullptr;
  }
  // The same as it would be known from the log, and from a snapshot.
  void check_kept() const {
    BOOST_TEST(state.digest_hex() == replayed_digest(*this));
    const auto copy = State::decode_snapshot(state.encode_snapshot());
    BOOST_REQUIRE(copy);
    BOOST_TEST(copy->digest_hex() == state.digest_hex());
    const auto& kept = copy->node(node().id)->quarantined;
    BOOST_TEST(kept.size() == node().quarantined.size());
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(devices, Fixture)

BOOST_AUTO_TEST_CASE(a_device_in_quarantine_is_given_to_nobody) {
  pass(second_ns);
  BOOST_TEST(verdict(quarantine("n0", "1")) == "accepted");
  BOOST_TEST(kinds == "DeviceQuarantined");
  const auto& [uuid, one] = *node().quarantined.begin();
  BOOST_TEST(uuid == "GPU-n0-1");
  BOOST_TEST(one.reason == "hot");
  BOOST_TEST(one.since.value == now.value);
  BOOST_TEST(!one.by_agent);
  check_kept();
  const SessionId id = submit(one_task());
  BOOST_TEST(verdict(try_place(id, {"n0"}, {{.device = 1, .milli = 500}})) ==
             "wrong_state device_quarantined 0 1");
  BOOST_TEST(verdict(try_place(id, {"n0"}, {{.device = 0, .milli = 500}})) ==
             "accepted");
  BOOST_TEST(verdict(release("n0", "GPU-n0-1")) == "accepted");
  BOOST_TEST(kinds == "DeviceReleased");
  BOOST_TEST(node().quarantined.empty());
  const SessionId other = submit(one_task());
  BOOST_TEST(verdict(try_place(other, {"n0"}, {{.device = 1, .milli = 500}})) ==
             "accepted");
  check_kept();
}

BOOST_AUTO_TEST_CASE(what_runs_on_a_device_in_quarantine_runs_on) {
  const SessionId id = submit(one_task());
  place(id, {"n0"}, {{.device = 1, .milli = 1000}});
  start(id);
  pass(second_ns);
  BOOST_TEST(verdict(quarantine("n0", "1", "agent-n0")) == "accepted");
  BOOST_CHECK(state_of(id) == SessionState::running);
  exit(id);
  BOOST_CHECK(state_of(id) == SessionState::succeeded);
  BOOST_TEST(is_out(1));
}

BOOST_AUTO_TEST_CASE(a_card_that_comes_back_is_still_in_quarantine) {
  quarantine("n0", "1");
  register_node({.name = "n0", .cpu_milli = 5, .devices = 2});
  BOOST_TEST(is_out(1));
  register_node({.name = "n0", .devices = 1});
  BOOST_TEST(!is_out(0));
  check_kept();
  register_node({.name = "n0", .devices = 2});
  BOOST_TEST(!is_out(0));
  BOOST_TEST(is_out(1));
  // One that is away is known by its uuid, and may be forgotten by that.
  register_node({.name = "n0", .devices = 1});
  BOOST_TEST(verdict(release("n0", "1")) == "not_found device_unknown 1 0");
  BOOST_TEST(verdict(release("n0", "GPU-n0-1")) == "accepted");
  register_node({.name = "n0", .devices = 2});
  BOOST_TEST(!is_out(1));
  check_kept();
}

BOOST_AUTO_TEST_CASE(admins_and_the_agent_of_the_node_may_ask) {
  add({.name = "n1", .devices = 1});
  BOOST_TEST(verdict(quarantine("n0", "0", "eve")) ==
             "forbidden device_foreign 0 0");
  BOOST_TEST(verdict(quarantine("n0", "0", "agent-n1")) ==
             "forbidden device_foreign 0 0");
  BOOST_TEST(verdict(quarantine("n9", "0", "eve")) ==
             "forbidden device_foreign 0 0");
  BOOST_TEST(verdict(quarantine("n0", "0", "agent-n0")) == "accepted");
  BOOST_TEST(node().quarantined.begin()->second.by_agent);
  BOOST_TEST(verdict(release("n0", "0", "eve")) ==
             "forbidden device_foreign 0 0");
  BOOST_TEST(verdict(release("n0", "0", "agent-n1")) ==
             "forbidden device_foreign 0 0");
}

BOOST_AUTO_TEST_CASE(what_an_agent_found_is_released_by_it_or_by_force) {
  quarantine("n0", "0", "agent-n0");
  BOOST_TEST(verdict(release("n0", "0")) ==
             "wrong_state quarantine_by_agent 0 0");
  BOOST_TEST(is_out(0));
  BOOST_TEST(verdict(release("n0", "0", "root", true)) == "accepted");
  BOOST_TEST(event(state.last_sequence()).body_as_DeviceReleased()->forced());
  quarantine("n0", "0", "agent-n0");
  BOOST_TEST(verdict(release("n0", "0", "agent-n0")) == "accepted");
  const auto* body = event(state.last_sequence()).body_as_DeviceReleased();
  BOOST_TEST(body->by_agent());
  BOOST_TEST(!body->forced());
}

BOOST_AUTO_TEST_CASE(an_agent_does_not_release_what_was_done_by_hand) {
  quarantine("n0", "1");
  BOOST_TEST(verdict(release("n0", "1", "agent-n0", true)) ==
             "wrong_state quarantine_by_hand 0 1");
  BOOST_TEST(is_out(1));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_or_so_already_is_refused) {
  BOOST_TEST(verdict(quarantine("n9", "0")) == "not_found node_unknown 0 0");
  BOOST_TEST(verdict(release("n9", "0")) == "not_found node_unknown 0 0");
  for (const char* word : {"2", "GPU-n0-2", "", "-1", "0x1", "1 "}) {
    BOOST_TEST(verdict(quarantine("n0", word)) ==
               "not_found device_unknown 2 0");
    BOOST_TEST(verdict(release("n0", word)) == "not_found device_unknown 2 0");
  }
  BOOST_TEST(verdict(release("n0", "1")) ==
             "wrong_state device_not_quarantined 0 1");
  quarantine("n0", "1");
  pass(90 * second_ns);
  const auto again = quarantine("n0", "GPU-n0-1", "agent-n0", "cold");
  BOOST_TEST(verdict(again) == "wrong_state device_quarantined 0 1");
  BOOST_TEST(again.error().text.find("for 1m 30s: hot") != std::string::npos,
             again.error().text);
  BOOST_TEST(kinds == "");
}

BOOST_AUTO_TEST_CASE(the_bounds_of_quarantines_hold) {
  const std::string reason(quarantine_reason_bytes_max, 'r');
  BOOST_TEST(verdict(quarantine("n0", "0", "root", reason + 'r')) ==
             "over_limit quarantine_reason_bytes_max 1024 1025");
  BOOST_TEST(verdict(quarantine("n0", "0", "root", reason)) == "accepted");
  // Card after card is put into the same place.
  const auto next = [&](std::size_t number) {
    register_node({.name = "n0",
                   .devices = 1,
                   .model = "H100 MIG 1g.10gb",
                   .mig_of = "GPU-" + std::to_string(number)});
    return verdict(quarantine("n0", "GPU-" + std::to_string(number)));
  };
  for (std::size_t i = 1; i < quarantines_per_node_max; ++i)
    BOOST_REQUIRE_EQUAL(next(i), "accepted");
  BOOST_TEST(next(quarantines_per_node_max) ==
             "over_limit quarantines_per_node_max 128 129");
  check_kept();
}

BOOST_AUTO_TEST_CASE(of_a_card_that_is_cut_all_instances_are_meant) {
  const NodeOptions cut{.name = "n0",
                        .devices = 2,
                        .model = "H100 MIG 1g.10gb",
                        .mig_of = "GPU-x"};
  register_node(cut);
  BOOST_TEST(verdict(quarantine("n0", "GPU-x")) == "accepted");
  BOOST_TEST(is_out(0));
  BOOST_TEST(is_out(1));
  BOOST_TEST(verdict(quarantine("n0", "1")) ==
             "wrong_state device_quarantined 0 1");
  BOOST_TEST(verdict(release("n0", "1")) == "wrong_state card_quarantined 0 1");
  // Cut anew, or not at all, it is the same card.
  auto more = cut;
  more.devices = 4;
  register_node(more);
  BOOST_TEST(is_out(3));
  check_kept();
  BOOST_TEST(verdict(release("n0", "GPU-x")) == "accepted");
  BOOST_TEST(!is_out(0));
  BOOST_TEST(verdict(quarantine("n0", "2")) == "accepted");
  BOOST_TEST(is_out(2));
  BOOST_TEST(!is_out(1));
}

BOOST_AUTO_TEST_CASE(a_removed_node_takes_its_quarantines_along) {
  quarantine("n0", "1");
  remove("n0");
  BOOST_TEST(verdict(release("n0", "1")) == "not_found node_removed 0 0");
  resume("n0");
  add({.name = "n0", .devices = 2});
  BOOST_TEST(!is_out(1));
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(a_state_told_as_events_tells_of_quarantines) {
  quarantine("n0", "1", "agent-n0");
  register_node({.name = "n0", .devices = 1});
  std::string told;
  tell_as_events(state, [&](const schema::Event& event) {
    if (const auto* body = event.body_as_DeviceQuarantined())
      told += std::to_string(body->node()) + '/' +
              std::to_string(body->device()) + ' ' + body->uuid()->str() + ' ' +
              body->reason()->str() + (body->by_agent() ? " agent" : "");
  });
  BOOST_TEST(told == "0/1 GPU-n0-1 hot agent");
}

// A log that places something there later was not written by these decisions.
BOOST_AUTO_TEST_CASE(a_placement_behind_the_quarantine_breaks_an_invariant) {
  quarantine("n0", "1");
  const SessionId id = submit(one_task());
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<schema::DeviceShare> shares = {{1, 500, 0}};
  const std::vector tasks = {
      schema::CreateTaskPlacementDirect(builder, 0, &shares)};
  const auto body =
      schema::CreateSessionPlacedDirect(builder, id.value, 1, &tasks);
  builder.Finish(schema::CreateEvent(
      builder, state.last_sequence().value + 1, now.value + 1, 1, 0, nullptr, 0,
      schema::EventBody::SessionPlaced, body.Union()));
  BOOST_REQUIRE(state.apply(
      *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer())));
  const Status sound = state.check_invariants();
  BOOST_REQUIRE(!sound);
  BOOST_TEST(sound.error().text.find("in quarantine since") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace device_test

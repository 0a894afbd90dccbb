#include "actors/journal/core_recovery.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace reeve::journal::core_recovery_test {
namespace {

using namespace cluster::testing;

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 1}); }

  // As no decision would: nobody asks whether there is room.
  void place_blindly(SessionId id, std::uint32_t milli) {
    flatbuffers::FlatBufferBuilder builder;
    const std::vector<schema::DeviceShare> shares = {{0, milli, 0}};
    const std::vector tasks = {
        schema::CreateTaskPlacementDirect(builder, 0, &shares)};
    const auto body =
        schema::CreateSessionPlacedDirect(builder, id.value, 1, &tasks);
    builder.Finish(schema::CreateEvent(
        builder, state.last_sequence().value + 1, now.value, 1, 0, nullptr, 0,
        schema::EventBody::SessionPlaced, body.Union()));
    BOOST_REQUIRE(state.apply(
        *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer())));
  }
};

BOOST_FIXTURE_TEST_CASE(a_sound_state_is_kept_as_it_is, Fixture) {
  place_blindly(submit(one_task()), milli_per_device);
  const auto taken = take_snapshot(state);
  BOOST_REQUIRE_MESSAGE(taken, (taken ? "" : taken.error().text));
  BOOST_TEST(taken->sequence == state.last_sequence().value);
  BOOST_TEST((taken->digest == state.digest()));
  BOOST_TEST((taken->bytes == state.encode_snapshot()));
}

BOOST_FIXTURE_TEST_CASE(a_state_that_contradicts_itself_is_not_kept, Fixture) {
  const SessionId first = submit(one_task());
  const SessionId second = submit(one_task());
  place_blindly(first, milli_per_device);
  place_blindly(second, 1);
  const auto taken = take_snapshot(state);
  BOOST_REQUIRE(!taken);
  BOOST_TEST((taken.error().code == Errc::internal));
  BOOST_TEST(taken.error().text.find("device 0 of node n0 is over-committed") !=
                 std::string::npos,
             taken.error().text);
}

}  // namespace
}  // namespace reeve::journal::core_recovery_test

#include "actors/member/cell_stream.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "bus/jetstream_support.hpp"

namespace reeve::member::cell_stream_test {
namespace {

using bus::testing::JetStreamServers;
using std::chrono::milliseconds;
using Kind = bus::StreamOutcome::Kind;

BOOST_AUTO_TEST_SUITE(member_cell_stream, *bus::testing::needs_jetstream())

BOOST_AUTO_TEST_CASE(who_may_not_extend_the_stream_any_more_sends_nothing) {
  const JetStreamServers servers(1);
  const auto connection = servers.connect();
  std::atomic<std::uint64_t> extends_until{0};
  const auto opened = open_cell_stream(*connection, "c", 1,
                                       bus::testing::patience, extends_until);
  BOOST_REQUIRE(opened);
  bus::Stream& stream = **opened;
  stream.lead_after(0);
  const std::vector<std::byte> value(8, std::byte{1});
  const auto ends_at = [&] {
    const auto head = stream.head();
    BOOST_REQUIRE(head);
    return head->last_sequence;
  };
  BOOST_REQUIRE(stream.begin({1, 1}, value));
  BOOST_TEST((stream.wait(milliseconds(500)).kind == Kind::unknown));
  BOOST_TEST(ends_at() == 0u);
  extends_until = actors::monotonic().value + 3'600 * second_ns;
  BOOST_TEST((stream.wait(bus::testing::patience).kind == Kind::stored));
  BOOST_TEST(ends_at() == 1u);
  // Its lease may be another's again.
  extends_until = actors::monotonic().value - 1;
  BOOST_REQUIRE(stream.begin({1, 2}, value));
  BOOST_TEST((stream.wait(milliseconds(500)).kind == Kind::unknown));
  BOOST_TEST(ends_at() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::member::cell_stream_test

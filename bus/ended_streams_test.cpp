#include "bus/ended_streams.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace reeve::bus::ended_streams_test {
namespace {

using namespace std::chrono_literals;

using Moment = EndedStreams::Moment;
constexpr Moment begun{1h};
constexpr std::string_view begins = "[1] [INF] Starting nats-server\n";
constexpr std::string_view full =
    "[1] [ERR] JetStream out of resources, will be DISABLED\n";
constexpr std::string_view lost =
    "[1] [ERR] RAFT [x - _meta_] Critical write error: no such file\n";

// Each wait is as short as it may be: half of its step.
struct Watched {
  bool says(std::string_view text, Moment now,
            std::uintmax_t room_bytes = streams_room_bytes) {
    return streams.is_start_due(text, room_bytes, now, 0);
  }
  // It fails, is started anew, and begins.
  void is_started_anew(Moment now) {
    BOOST_REQUIRE(says(full, now));
    BOOST_REQUIRE(!says(begins, now));
  }
  EndedStreams streams;
};

BOOST_FIXTURE_TEST_CASE(a_server_that_ends_its_streams_is_started_at_once,
                        Watched) {
  BOOST_TEST(says(full, begun));
  BOOST_TEST(!says("", begun + 1h));
  BOOST_TEST(!says(begins, begun + 1h));
  BOOST_TEST(says(lost, begun + 1h));
}

BOOST_FIXTURE_TEST_CASE(other_lines_start_no_server, Watched) {
  for (const std::string_view text :
       {std::string_view{}, begins,
        std::string_view("[1] [WRN] Filesystem is slow: write took 3s\n"),
        std::string_view("[1] [INF] Reloaded server configuration\n")})
    BOOST_TEST(!says(text, begun));
}

BOOST_FIXTURE_TEST_CASE(what_was_before_a_servers_last_begin_is_over, Watched) {
  const std::string before = std::string(full) + std::string(begins);
  const std::string after = before + std::string(lost);
  BOOST_TEST(!says(before, begun));
  BOOST_TEST(says(after, begun));
  BOOST_TEST(!says(full, begun));  // too soon after that
  BOOST_TEST(!says(begins, begun));
  BOOST_TEST(!says("", begun + 1h));
}

BOOST_FIXTURE_TEST_CASE(a_server_without_room_is_started_when_there_is_some,
                        Watched) {
  for (const auto now : {begun, begun + 1h})
    BOOST_TEST(!says(full, now, streams_room_bytes - 1));
  BOOST_TEST(says("", begun + 1h, streams_room_bytes));
  // The looks without room took nothing of the waits.
  BOOST_TEST(says(full, begun + 1h + streams_anew_waits.first / 2));
}

BOOST_FIXTURE_TEST_CASE(starts_of_one_that_goes_on_to_fail_are_ever_rarer,
                        Watched) {
  Moment last = begun;
  is_started_anew(last);
  for (const auto step : {5'000ms, 10'000ms, 20'000ms, 40'000ms, 80'000ms,
                          160'000ms, 300'000ms, 300'000ms}) {
    BOOST_TEST(!says(full, last + step / 2 - 1ms));
    last += step / 2;
    is_started_anew(last);
  }
}

BOOST_FIXTURE_TEST_CASE(starts_are_spread_over_half_of_their_wait, Watched) {
  constexpr std::uint32_t most = ~0u;
  const auto is_due = [&](Moment now) {
    return streams.is_start_due(full, streams_room_bytes, now, most);
  };
  BOOST_REQUIRE(is_due(begun));
  BOOST_TEST(!is_due(begun + streams_anew_waits.first - 2ms));
  BOOST_TEST(is_due(begun + streams_anew_waits.first - 1ms));
}

BOOST_FIXTURE_TEST_CASE(one_that_was_well_for_long_enough_begins_at_the_first,
                        Watched) {
  for (const auto well : {0ms, 1ms}) {
    streams = {};
    is_started_anew(begun);
    const Moment second = begun + streams_anew_waits.first / 2;
    is_started_anew(second);
    // The longest wait, after the moment from which it might have been again.
    const Moment third =
        second + streams_anew_waits.first + streams_anew_waits.longest + well;
    is_started_anew(third);
    const bool anew = well > 0ms;
    BOOST_TEST(says(full, third + streams_anew_waits.first / 2) == anew);
    if (!anew) BOOST_TEST(says("", third + 2 * streams_anew_waits.first));
  }
}

}  // namespace
}  // namespace reeve::bus::ended_streams_test

#include "tools/cli/session/output_streams.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::tools::output_streams_test {
namespace {

constexpr StreamKey out0{0, 1};

Piece piece(std::uint64_t offset, std::string_view data,
            bool finished = false) {
  return {out0, 1, offset, offset + data.size(), 0, finished, data};
}

BOOST_AUTO_TEST_SUITE(output_streams)

BOOST_AUTO_TEST_CASE(each_byte_is_shown_once_and_in_order) {
  OutputStreams streams;
  BOOST_TEST(streams.take(piece(0, "abc")).data == "abc");
  BOOST_TEST(streams.take(piece(0, "abc")).data == "");
  BOOST_TEST(streams.take(piece(1, "bcde")).data == "de");
  BOOST_TEST(streams.offset(out0) == 5u);
}

BOOST_AUTO_TEST_CASE(a_piece_after_a_gap_is_not_taken) {
  OutputStreams streams;
  const auto taken = streams.take(piece(3, "def"));
  BOOST_TEST(taken.gap);
  BOOST_TEST(taken.data == "");
  BOOST_TEST(streams.offset(out0) == 0u);
  BOOST_TEST(streams.take(piece(0, "abcdef")).data == "abcdef");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_longer_kept_are_counted) {
  OutputStreams streams;
  Piece late = piece(10, "xyz");
  late.available_from = 10;
  const auto taken = streams.take(late);
  BOOST_TEST(!taken.gap);
  BOOST_TEST(taken.dropped_bytes == 10u);
  BOOST_TEST(taken.data == "xyz");
}

BOOST_AUTO_TEST_CASE(a_stream_is_complete_when_all_up_to_its_end_was_shown) {
  OutputStreams streams;
  BOOST_TEST(!streams.complete(out0));
  BOOST_TEST(streams.take(piece(3, "", true)).gap);
  BOOST_TEST(!streams.complete(out0));
  streams.take(piece(0, "abc"));
  BOOST_TEST(streams.complete(out0));
  BOOST_TEST(!streams.complete(StreamKey{0, 2}));
}

BOOST_AUTO_TEST_CASE(the_next_attempt_starts_anew) {
  OutputStreams streams;
  streams.take(piece(0, "abc", true));
  Piece second = piece(0, "new");
  second.attempt = 2;
  BOOST_TEST(streams.take(second).data == "new");
  BOOST_TEST(!streams.complete(out0));
  BOOST_TEST(streams.take(piece(3, "old")).data == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::output_streams_test

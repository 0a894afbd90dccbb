// What every recorded workload is read through: bounds and foreign bytes.
#include "cluster/trace/rows.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/trace/trace.hpp"

namespace reeve::trace::rows_test {
namespace {

bool tells(const Error& error, std::string_view part) {
  BOOST_TEST_INFO(error.text);
  return error.text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(trace_rows)

BOOST_AUTO_TEST_CASE(lines_end_at_either_sort_of_line_end) {
  Lines lines(
      "\xEF\xBB\xBF"
      "a\r\nb\n\nc",
      "f");
  std::string seen;
  while (*lines.next()) seen += "[" + std::string(lines.line()) + "]";
  BOOST_TEST(seen == "[a][b][][c]");
  BOOST_TEST(lines.number() == 4u);
}

BOOST_AUTO_TEST_CASE(a_byte_that_is_no_text_is_damage_with_its_place) {
  Lines lines(std::string_view("a\nb\0c\n", 6), "f");
  BOOST_TEST(*lines.next());
  const auto second = lines.next();
  BOOST_REQUIRE(!second);
  BOOST_TEST((second.error().code == Errc::damaged));
  BOOST_TEST(tells(second.error(), "f:2:2: byte 0x00"));
  Lines packed("\x1f\x8b\x08", "f.gz");
  const auto first = packed.next();
  BOOST_REQUIRE(!first);
  BOOST_TEST(tells(first.error(), "gunzip"));
}

BOOST_AUTO_TEST_CASE(a_line_has_a_bounded_length) {
  const std::string most(trace_line_bytes_max, 'x');
  BOOST_TEST(Lines(most, "f").next().value());
  const std::string longer = most + "x";
  Lines lines(longer, "f");
  const auto read = lines.next();
  BOOST_REQUIRE(!read);
  BOOST_TEST(tells(read.error(), std::to_string(trace_line_bytes_max)));
}

BOOST_AUTO_TEST_CASE(a_file_has_a_bounded_number_of_lines) {
  const std::string most(trace_lines_max, '\n');
  BOOST_TEST(Lines(most, "f").next().value());
  const std::string more = most + "\n";
  Lines lines(more, "f");
  const auto read = lines.next();
  BOOST_REQUIRE(!read);
  BOOST_TEST((read.error().code == Errc::usage));
  BOOST_TEST(tells(read.error(), std::to_string(trace_lines_max)));
}

BOOST_AUTO_TEST_CASE(comments_are_passed_over_and_kept_while_they_lead) {
  Rows rows("# one\n# two\na,b\n1,2\n# three\n\n3,4\n", "f");
  const std::string_view known[] = {"b", "a"};
  BOOST_REQUIRE(rows.header(known, 2));
  BOOST_TEST(rows.comments() == "# one\n# two\n");
  std::string seen;
  while (*rows.next()) seen += std::string(rows.text(0)) + " ";
  BOOST_TEST(seen == "2 4 ");
}

BOOST_AUTO_TEST_CASE(a_time_has_a_bound) {
  Rows rows("a\n18000000000\n18000000001\n\n-0\n", "f");
  const std::string_view known[] = {"a"};
  BOOST_REQUIRE(rows.header(known, 1));
  BOOST_TEST(*rows.next());
  BOOST_TEST(*rows.seconds(0) == trace_seconds_max);
  BOOST_TEST(*rows.next());
  BOOST_TEST(!rows.seconds(0));
}

BOOST_AUTO_TEST_CASE(a_long_or_odd_header_is_shown_in_part) {
  BOOST_TEST(shown("a\x01"
                   "b") == "a?b");
  BOOST_TEST(shown(std::string(500, 'x')).size() < 200u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::trace::rows_test

#include <sstream>

#include "tools/log/test_view.hpp"

namespace reeve::tools::timeline_bars_test {
namespace {

using testing::SmallCell;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(timeline_bars_text)

BOOST_AUTO_TEST_CASE(rows_show_who_held_what_and_what_was_not_offered) {
  const SmallCell cell;
  BarOptions options;
  options.width = 55;  // 8 for the label, 40 for the bars
  const auto text = timeline_bars(cell.view(), options);
  const auto row = lines(text);
  BOOST_REQUIRE_GE(row.size(), 6);
  const std::string half(20, 'A');
  const std::string quarter(40, 'b');
  BOOST_TEST(row[2] == "n0    0 " + half + std::string(20, '.') + "  50 %");
  BOOST_TEST(row[3] == "      1 " + quarter + "  25 %");
  BOOST_TEST(row[4] == "n1    0 " + std::string(20, '.') +
                           std::string(20, '-') + "   0 %");
  BOOST_TEST(row[5] == "n2  cpu " + std::string(20, '!') +
                           std::string(20, '.') + "   0 %");
  BOOST_TEST(contains(text, "A ann 67 %"));
  BOOST_TEST(contains(text, "B bob 33 %"));
}

BOOST_AUTO_TEST_CASE(every_line_fits_the_width_down_to_the_least) {
  const SmallCell cell;
  for (std::size_t width = bar_width_min; width < 140; ++width) {
    BarOptions options;
    options.width = width;
    for (const auto& line : lines(timeline_bars(cell.view(), options)))
      if (!contains(line, "small letters") && !contains(line, "idle"))
        BOOST_TEST(line.size() <= width, line);
  }
}

BOOST_AUTO_TEST_CASE(only_a_terminal_gets_colours_and_unicode) {
  const SmallCell cell;
  BarOptions options;
  const auto plain = timeline_bars(cell.view(), options);
  BOOST_TEST(!contains(plain, "\033"));
  for (const char c : plain)
    BOOST_REQUIRE(static_cast<unsigned char>(c) < 0x80);
  options.colour = options.unicode = true;
  const auto rich = timeline_bars(cell.view(), options);
  BOOST_TEST(contains(rich, "\033[38;5;33mAA"));
  BOOST_TEST(contains(rich, "╳"));
}

BOOST_AUTO_TEST_CASE(sessions_can_be_the_letters_and_rows_can_be_few) {
  const SmallCell cell;
  BarOptions options;
  options.by = ColourBy::session;
  options.rows_max = 1;
  const auto text = timeline_bars(cell.view(), options);
  BOOST_TEST(contains(text, "A s-1 67 %"));
  BOOST_TEST(contains(text, "and 3 more rows"));
  BOOST_TEST(!contains(text, "n1"));
}

BOOST_AUTO_TEST_CASE(names_cannot_move_the_cursor) {
  SmallCell cell;
  // A log may hold what the manager of today would refuse.
  const_cast<std::string&>(cell.timeline.users.all()[0]) = "\033[2Jann\x07";
  const auto text = timeline_bars(cell.view(), BarOptions());
  BOOST_TEST(!contains(text, "\033"));
  BOOST_TEST(contains(text, "?[2Jann?"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::timeline_bars_test

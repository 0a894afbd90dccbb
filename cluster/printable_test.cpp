#include "cluster/printable.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::printable_test {
namespace {

BOOST_AUTO_TEST_SUITE(printable_text)

BOOST_AUTO_TEST_CASE(control_characters_become_spaces_and_all_else_stays) {
  const struct {
    std::string text;
    std::string shown;
  } cases[] = {
      {"", ""},
      {"train #2, \xC3\xA4 \xE2\x80\xA6 \xF0\x9F\x98\x80",
       "train #2, \xC3\xA4 \xE2\x80\xA6 \xF0\x9F\x98\x80"},
      {"a\n  17  b", "a   17  b"},
      {"\033[2J\r\t\x7F", " [2J   "},
      {std::string("a\0b", 3), "a b"},
      // As UTF-8, and as the single byte that it is to other terminals.
      {"a\xC2\x9B"
       "31m",
       "a 31m"},
      {"a\x9B"
       "31m",
       "a 31m"},
      {"\xC2\xA0\xC2", "\xC2\xA0\xC2"},
      // No UTF-8, and no control character either.
      {"\xE4x\xFF", "\xE4x\xFF"},
      {"\xE2\x80", "\xE2 "}};
  for (const auto& c : cases) {
    BOOST_TEST(printable(c.text) == c.shown);
    BOOST_TEST((find_control(c.text) == std::string_view::npos) ==
               (c.text == c.shown));
  }
  BOOST_TEST(find_control("ab\xC2\x85") == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::printable_test

// Which programs work together, and what those are told that do not.
#include "cluster/program.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::cluster::program_test {
namespace {

const Program cell{"0.4.0", Protocol{4, 3}};

struct Pair {
  Protocol other;
  const char* says;  // a part of it; empty: they understand each other
};

const Pair pairs[] = {
    {{4, 3}, ""},
    {{3, 2}, ""},  // a release before
    {{5, 4}, ""},  // a release after
    {{4, 4}, ""},
    {{2, 1},
     "n1 (reeve 9.9.9) speaks protocol 2, which is too old: the "
     "managers (reeve 0.4.0) of this cell understand protocols 3 to "
     "4. Install reeve 0.4.0 where it runs"},
    {{6, 5},
     "n1 (reeve 9.9.9) understands protocols 5 to 6, which is too "
     "new: the managers (reeve 0.4.0) of this cell speak protocol 4. "
     "Upgrade the managers first, or install reeve 0.4.0 where it "
     "runs"},
    {{0, 0}, "speaks protocol 0"},
    {{UINT32_MAX, UINT32_MAX}, "understands protocol 4294967295"},
};

BOOST_AUTO_TEST_CASE(programs_one_release_apart_work_together_both_ways) {
  for (const Pair& one : pairs) {
    const auto why = why_apart(cell, "n1", "9.9.9", one.other);
    BOOST_TEST(why.has_value() == (*one.says != '\0'));
    BOOST_TEST(understand(cell.protocol, one.other) == !why.has_value());
    BOOST_TEST(understand(one.other, cell.protocol) == !why.has_value());
    if (why) BOOST_TEST(why->find(one.says) != std::string::npos, *why);
  }
}

BOOST_AUTO_TEST_CASE(a_program_that_tells_no_protocol_speaks_the_first) {
  BOOST_TEST(protocol_of(nullptr).number() == 1u);
  BOOST_TEST(protocol_of(nullptr).oldest() == 1u);
  BOOST_TEST(understand(Program{}.protocol, protocol_of(nullptr)) ==
             (protocol_oldest <= 1));
}

BOOST_AUTO_TEST_CASE(a_program_understands_itself_and_the_release_before) {
  BOOST_TEST(protocol_oldest <= protocol_number);
  BOOST_TEST(understand(Program{}.protocol, Program{}.protocol));
}

BOOST_AUTO_TEST_CASE(a_version_has_at_most_version_bytes_max_plain_letters) {
  BOOST_TEST(valid_version(""));
  BOOST_TEST(valid_version("0.1.0~rc1+dfsg-2"));
  BOOST_TEST(valid_version(std::string(version_bytes_max, '1')));
  BOOST_TEST(!valid_version(std::string(version_bytes_max + 1, '1')));
  BOOST_TEST(!valid_version("0.1 0"));
  BOOST_TEST(!valid_version("0.1\033[2J"));
}

BOOST_AUTO_TEST_CASE(a_program_without_a_version_is_told_without_one) {
  const auto why = why_apart({}, "the program that asks", "", {0, 0});
  BOOST_REQUIRE(why.has_value());
  BOOST_TEST(why->find("()") == std::string::npos, *why);
  BOOST_TEST(why->starts_with("the program that asks speaks"), *why);
}

}  // namespace
}  // namespace reeve::cluster::program_test

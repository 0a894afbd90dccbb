// Policies as text.
#include "cluster/scheduling/policy.hpp"

#include <boost/test/unit_test.hpp>

using namespace reeve;
using namespace reeve::cluster;

namespace {

void check_error(const char* text, const char* expected) {
  const auto policy = parse_policy(text);
  BOOST_REQUIRE(!policy);
  BOOST_TEST((policy.error().code == Errc::usage));
  BOOST_TEST(policy.error().text == expected);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(policy)

BOOST_AUTO_TEST_CASE(the_default_is_printed_whole_and_parses_to_itself) {
  const auto text = to_text(Policy{});
  BOOST_TEST(text == "order=fifo,backfill=greedy,packing=best_fit");
  const auto parsed = parse_policy(text);
  BOOST_REQUIRE(parsed);
  BOOST_TEST((*parsed == Policy{}));
}

BOOST_AUTO_TEST_CASE(a_value_alone_stands_for_its_key) {
  for (const char* text : {"fifo", " greedy , fifo ", "packing=best_fit",
                           "order = fifo,best_fit"}) {
    const auto parsed = parse_policy(text);
    BOOST_TEST_REQUIRE(parsed.has_value(), text);
    BOOST_TEST((*parsed == Policy{}));
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_word_is_refused_with_the_nearest) {
  check_error("fito",
              "policy: there is no policy \"fito\"; did you mean \"fifo\"?");
  check_error("order=fifi",
              "policy: there is no order \"fifi\"; did you mean \"fifo\"?");
  check_error("odrer=fifo",
              "policy: there is no key \"odrer\"; did you mean \"order\"?");
}

BOOST_AUTO_TEST_CASE(a_word_near_to_none_is_refused_with_all) {
  check_error("backfill=xyzzy",
              "policy: there is no backfill \"xyzzy\"; choose from greedy");
  check_error("colour=red",
              "policy: there is no key \"colour\"; choose from order, "
              "backfill, packing");
}

BOOST_AUTO_TEST_CASE(nothing_between_commas_is_refused) {
  for (const char* text : {"", ",", "fifo,", "order=", "=fifo"}) {
    BOOST_TEST(!parse_policy(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_CASE(a_key_given_twice_is_refused) {
  check_error("fifo,order=fifo",
              "policy: order is given twice; keep one of the two");
}

BOOST_AUTO_TEST_SUITE_END()

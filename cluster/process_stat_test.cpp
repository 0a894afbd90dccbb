#include "cluster/process_stat.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

namespace reeve::cluster::process_stat_test {

BOOST_AUTO_TEST_SUITE(process_stat_test)

const std::string after_state =
    " 7 12 12 0 -1 4194560 117 0 0 0 1 2 3 4 20 0 1 0 84321 2867200 200 1844\n";

BOOST_AUTO_TEST_CASE(the_fields_are_read) {
  const std::string text = "12 (sh) S" + after_state;
  const auto stat = process_stat(text);
  BOOST_REQUIRE(stat.has_value());
  BOOST_TEST(stat->name == "sh");
  BOOST_TEST(stat->state == 'S');
  BOOST_TEST(stat->parent == 7);
  BOOST_TEST(stat->start_ticks == 84321u);
  BOOST_TEST(!stat->has_ended());
  BOOST_TEST(!stat->is_stopped());
}

BOOST_AUTO_TEST_CASE(a_name_may_hold_anything) {
  const std::string text = "12 (a) S 1 (b) R" + after_state;
  const auto stat = process_stat(text);
  BOOST_REQUIRE(stat.has_value());
  BOOST_TEST(stat->name == "a) S 1 (b");
  BOOST_TEST(stat->state == 'R');
  BOOST_TEST(stat->parent == 7);
  BOOST_TEST(stat->start_ticks == 84321u);
}

BOOST_AUTO_TEST_CASE(the_states_that_matter_are_told) {
  for (const char state : {'Z', 'X'})
    BOOST_TEST(
        process_stat(std::string("1 (a) ") + state + after_state)->has_ended());
  for (const char state : {'T', 't'})
    BOOST_TEST(process_stat(std::string("1 (a) ") + state + after_state)
                   ->is_stopped());
}

// Each text is cut or wrong at one place.
BOOST_AUTO_TEST_CASE(what_is_no_such_text_gives_nothing) {
  const std::string whole = "12 (sh) S" + after_state;
  const std::size_t start_at = whole.find("84321");
  for (std::size_t size = 0; size <= start_at; ++size)
    BOOST_TEST(!process_stat(whole.substr(0, size)));
  BOOST_TEST(!process_stat(")" + after_state + "("));
  BOOST_TEST(!process_stat("12 (sh) SS" + after_state));
  BOOST_TEST(!process_stat("12 (sh) S x" + after_state.substr(2)));
  std::string no_start = whole;
  no_start[start_at] = 'x';
  BOOST_TEST(!process_stat(no_start));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace reeve::cluster::process_stat_test

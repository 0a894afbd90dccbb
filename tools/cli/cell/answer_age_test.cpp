#include "tools/cli/cell/answer_age.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/types.hpp"
#include "schema/wire.hpp"

namespace reeve::tools {
namespace {

BOOST_AUTO_TEST_CASE(an_answer_says_how_old_it_may_be) {
  BOOST_TEST(answer_age(7 * second_ns + 1, false) == "as of 7.00s ago");
  BOOST_TEST(answer_age(12'000'000, false) == "as of 12ms ago");
  BOOST_TEST(
      answer_age(7'500 * second_ns, true) ==
      "as of its last event, 2h 05m ago: it has heard no leader since it "
      "started");
  BOOST_TEST(answer_age(schema::unknown_ns, true) ==
             "of unknown age: it has heard no leader since it started");
}

}  // namespace
}  // namespace reeve::tools

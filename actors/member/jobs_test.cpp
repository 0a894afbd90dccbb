#include "actors/member/jobs.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::actors {
namespace {

using std::chrono::milliseconds;

BOOST_AUTO_TEST_CASE(questions_over_the_bound_are_not_kept) {
  for (const std::size_t bound : {standby_queries_max, witness_inputs_max}) {
    Jobs jobs;
    for (std::size_t i = 0; i < bound; ++i)
      BOOST_REQUIRE(jobs.add([] {}, bound));
    BOOST_TEST(!jobs.add([] {}, bound));
    BOOST_TEST(jobs.add([] {}));  // what has no bound
    BOOST_TEST(jobs.next(milliseconds(0)).has_value());
    BOOST_TEST(!jobs.add([] {}, bound));
    BOOST_TEST(jobs.next(milliseconds(0)).has_value());
    BOOST_TEST(jobs.add([] {}, bound));
  }
}

BOOST_AUTO_TEST_CASE(work_is_done_in_its_order) {
  Jobs jobs;
  std::string done;
  for (const char letter : {'a', 'b', 'c'})
    jobs.add([&done, letter] { done += letter; });
  while (const auto job = jobs.next(milliseconds(0))) (*job)();
  BOOST_TEST(done == "abc");
}

}  // namespace
}  // namespace reeve::actors

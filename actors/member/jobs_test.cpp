#include "actors/member/jobs.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::actors::jobs_test {
namespace {

using std::chrono::milliseconds;

BOOST_AUTO_TEST_CASE(questions_over_the_bound_are_not_kept) {
  const auto bounded = [](std::size_t bound, auto add) {
    Jobs jobs;
    for (std::size_t i = 0; i < bound; ++i)
      BOOST_REQUIRE((jobs.*add)([] {}, bound));
    BOOST_TEST(!(jobs.*add)([] {}, bound));
    BOOST_TEST((jobs.*add)([] {}, SIZE_MAX));  // what has no bound
    BOOST_TEST(jobs.next(milliseconds(0)).has_value());
    BOOST_TEST(!(jobs.*add)([] {}, bound));
    BOOST_TEST(jobs.next(milliseconds(0)).has_value());
    BOOST_TEST((jobs.*add)([] {}, bound));
  };
  bounded(witness_inputs_max, &Jobs::add);
  bounded(standby_queries_max, &Jobs::add_last);
}

BOOST_AUTO_TEST_CASE(questions_wait_until_nothing_else_does) {
  Jobs jobs;
  std::string done;
  const auto write = [&](char letter) {
    return [&done, letter] { done += letter; };
  };
  for (std::size_t i = 0; i < standby_queries_max; ++i)
    BOOST_REQUIRE(jobs.add_last(write('q'), standby_queries_max));
  const auto next = [&] { (*jobs.next(milliseconds(0)))(); };
  next();
  // The lease says something: full as it is with questions, this is next.
  BOOST_TEST(jobs.add(write('l'), standby_queries_max));
  BOOST_TEST(jobs.add(write('m'), standby_queries_max));
  next();
  next();
  next();
  BOOST_TEST(done == "qlmq");
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
}  // namespace reeve::actors::jobs_test

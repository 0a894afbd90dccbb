// Waits, slowdowns and fairness of outcomes that are written down here.
#include "cluster/simulation/measure.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/simulation/test_workload.hpp"

namespace measure_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using namespace reeve::cluster::simulation::testing;
using Fate = Outcome::Fate;

namespace {

Outcome ran(std::uint64_t from_s, std::uint64_t to_s) {
  return {at_s(from_s), at_s(to_s), 1, Fate::ended};
}

constexpr double close = 1e-9;

BOOST_AUTO_TEST_SUITE(measures)

BOOST_AUTO_TEST_CASE(percentiles_are_values_that_occur) {
  std::vector<std::uint64_t> values;
  for (std::uint64_t i = 100; i > 0; --i) values.push_back(i);
  const auto all = distribution_of(values);
  BOOST_TEST(all.count == 100u);
  BOOST_TEST(all.mean_ns == 50.5);
  BOOST_TEST(all.p50_ns == 50u);
  BOOST_TEST(all.p95_ns == 95u);
  BOOST_TEST(all.p99_ns == 99u);
  BOOST_TEST(all.max_ns == 100u);
  const auto one = distribution_of({7});
  BOOST_TEST(one.p50_ns == 7u);
  BOOST_TEST(one.p99_ns == 7u);
  BOOST_TEST(distribution_of({}).count == 0u);
  BOOST_TEST(distribution_of({1, 2, 3}).p50_ns == 2u);
}

BOOST_AUTO_TEST_CASE(a_wait_begins_when_nothing_but_room_is_missing) {
  WorkMaker make;
  using enum schema::DependencyKind;
  const auto first = make.submit({.at_s = 0});
  make.submit({.at_s = 1, .not_before_s = 20});
  make.submit({.at_s = 2, .after = {{first.value, ok}}});
  const auto giant = make.submit({.at_s = 3});
  make.submit({.at_s = 4, .after = {{giant.value, any}}});
  make.submit({.at_s = 5});
  make.submit({.at_s = 6, .running_before = true});
  make.submit({.at_s = 90});
  const std::vector<Outcome> outcomes = {
      ran(3, 13), ran(25, 26), ran(14, 15), {Time{}, Time{}, 1, Fate::refused},
      {},         {},          ran(6, 9),   {}};
  const auto waited = waits(make.work, outcomes, at_s(50));
  BOOST_TEST(waited[0] == 3 * second_ns);
  BOOST_TEST(waited[1] == 5 * second_ns);
  BOOST_TEST(waited[2] == 1 * second_ns);
  BOOST_TEST(waited[3] == not_counted);
  BOOST_TEST(waited[4] == not_counted);
  BOOST_TEST(waited[5] == 45 * second_ns);  // it waits still
  BOOST_TEST(waited[6] == not_counted);
  BOOST_TEST(waited[7] == not_counted);  // submitted later
  const auto figures = measure(make.work, outcomes, at_s(50));
  BOOST_TEST(figures.sessions == 7u);
  BOOST_TEST(figures.started == 3u);
  BOOST_TEST(figures.refused == 1u);
  BOOST_TEST(figures.waiting_still == 1u);
  BOOST_TEST(figures.waiting.count == 4u);
  BOOST_TEST(figures.completion.count == 3u);
}

BOOST_AUTO_TEST_CASE(the_number_that_waits_is_a_mean_of_each_piece) {
  WorkMaker make;
  make.submit({.at_s = 5});
  make.submit({.at_s = 0});
  make.submit({.at_s = 25});
  const std::vector<Outcome> outcomes = {ran(15, 20), ran(0, 4), {}};
  const auto series =
      waiting_series(make.work, outcomes, at_s(30), 10 * second_ns);
  BOOST_TEST((series == std::vector<double>{0.5, 0.5, 0.5}));
}

BOOST_AUTO_TEST_CASE(a_session_that_was_cut_has_a_wait_and_no_end) {
  WorkMaker make;
  make.submit({.at_s = 0});
  make.work.sessions[0].cut = true;
  const auto figures = measure(make.work, {ran(5, 15)}, at_s(50));
  BOOST_TEST(figures.waiting.count == 1u);
  BOOST_TEST(figures.completion.count == 0u);
  BOOST_TEST(figures.slowdown == 0.0);
}

BOOST_AUTO_TEST_CASE(a_slowdown_is_bounded_for_short_runs) {
  WorkMaker make;
  make.submit({.at_s = 0, .lasts_s = 30});
  BOOST_TEST(measure(make.work, {ran(60, 90)}, at_s(99)).slowdown == 3.0);
  make.work.sessions[0].duration_ns = 1;
  BOOST_TEST(measure(make.work, {ran(5, 6)}, at_s(99)).slowdown == 1.0);
  BOOST_TEST(measure(make.work, {ran(20, 21)}, at_s(99)).slowdown == 2.0,
             boost::test_tools::tolerance(close));
}

BOOST_AUTO_TEST_CASE(fairness_is_one_when_users_are_slowed_down_alike) {
  WorkMaker make;
  for (const char* user : {"ann", "bob", "cy", "ann"})
    make.submit({.at_s = 0, .lasts_s = 10, .user = user});
  const auto alike =
      measure(make.work, {ran(10, 20), ran(10, 20), ran(10, 20), ran(10, 20)},
              at_s(99));
  BOOST_TEST(alike.fairness == 1.0, boost::test_tools::tolerance(close));
  BOOST_REQUIRE(alike.users.size() == 3u);
  BOOST_TEST(alike.users[0].sessions == 2u);
  // Slowdowns 1, 1 and 4.
  const auto unlike = measure(
      make.work, {ran(0, 10), ran(0, 10), ran(30, 40), ran(0, 10)}, at_s(99));
  BOOST_TEST(unlike.fairness == 36.0 / 54.0,
             boost::test_tools::tolerance(close));
}

BOOST_AUTO_TEST_CASE(the_largest_tenth_of_gangs_is_told_apart) {
  WorkMaker make;
  std::vector<Outcome> outcomes;
  for (std::uint32_t tasks = 1; tasks <= 12; ++tasks) {
    make.submit({.at_s = 0, .gpus = 8, .tasks = tasks});
    outcomes.push_back(ran(tasks, 20));
  }
  const auto figures = measure(make.work, outcomes, at_s(99));
  BOOST_TEST(figures.gang_waiting.count == 2u);  // of eleven
  BOOST_TEST(figures.gang_waiting.mean_ns == 11.5e9);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace measure_test

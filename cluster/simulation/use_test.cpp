// What was held over time: the series by hand, the totals against the sums of
// `usage` over random cells. REEVE_SEED=<n> repeats one.
#include "cluster/simulation/use.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/accounting/random_cell.hpp"
#include "cluster/accounting/usage.hpp"
#include "cluster/simulation/observer.hpp"

namespace use_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using Piece = UseSeries::Piece;

namespace {

BOOST_AUTO_TEST_SUITE(use)

BOOST_AUTO_TEST_CASE(a_holding_is_divided_among_the_pieces_it_lies_in) {
  UseSeries series(Time{100}, 10);
  series.add(&Piece::gpu_held, 2, Time{105}, Time{125});
  series.add(&Piece::gpu_held, 1, Time{50}, Time{103});
  series.add(&Piece::gpu_held, 1, Time{50}, Time{100});
  series.add(&Piece::cpu_held, 1, Time{120}, Time{130});
  BOOST_REQUIRE(series.pieces().size() == 3u);
  BOOST_TEST(series.pieces()[0].gpu_held == 13.0);
  BOOST_TEST(series.pieces()[1].gpu_held == 20.0);
  BOOST_TEST(series.pieces()[2].gpu_held == 10.0);
  BOOST_TEST(series.pieces()[2].cpu_held == 10.0);
  series.widen(15);
  BOOST_TEST(series.piece_ns() == 20u);
  BOOST_REQUIRE(series.pieces().size() == 2u);
  BOOST_TEST(series.pieces()[0].gpu_held == 33.0);
  BOOST_TEST(series.pieces()[1].gpu_held == 10.0);
}

BOOST_AUTO_TEST_CASE(a_series_never_has_more_pieces_than_its_bound) {
  UseSeries series(Time{0}, 1);
  series.add(&Piece::gpu_held, 1, Time{0}, Time{use_pieces_max});
  BOOST_TEST(series.pieces().size() == use_pieces_max);
  BOOST_TEST(series.piece_ns() == 1u);
  series.add(&Piece::gpu_held, 1, Time{0}, Time{use_pieces_max + 1});
  BOOST_TEST(series.piece_ns() == 2u);
  BOOST_TEST(series.pieces().size() <= use_pieces_max);
  series.add(&Piece::gpu_held, 1, Time{1'000'000'000'000}, Time{1 << 30});
  series.add(&Piece::gpu_held, 1, Time{0}, Time{1'000'000'000'000});
  BOOST_TEST(series.pieces().size() <= use_pieces_max);
  double sum = 0;
  for (const auto& piece : series.pieces()) sum += piece.gpu_held;
  BOOST_TEST(sum == 2 * use_pieces_max + 1 + 1e12);
}

BOOST_AUTO_TEST_CASE(totals_are_those_of_usage_over_random_cells) {
  const char* given = std::getenv("REEVE_SEED");
  const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : 1;
  for (auto seed = first; seed < first + (given ? 1 : 20); ++seed)
    BOOST_TEST_CONTEXT("REEVE_SEED=" << seed) {
      std::mt19937_64 random(seed);
      cluster::testing::Cell cell;
      accounting::testing::live_at_random(
          cell, [&] { return random(); }, 400);
      const Time begun{1'000 * second_ns};
      const std::uint64_t length = cell.now.value - begun.value;
      const Time from{begun.value + length / 5};
      const Time to{begun.value + length / 5 * 4};
      Workload work;
      work.from = from;
      work.to = to;
      Observer observer(work);
      accounting::UsagePeriod usage;
      accounting::Usage sums(accounting::UsageBy::user,
                             [&](const auto& period) { usage = period; });
      accounting::Window window({from, to}, sums);
      for (std::uint64_t i = 1; i <= cell.state.last_sequence().value; ++i) {
        BOOST_REQUIRE(observer.apply(cell.event(Sequence{i})));
        BOOST_REQUIRE(window.apply(cell.event(Sequence{i})));
      }
      observer.finish(cell.now);
      window.finish();
      const UseMeter& meter = observer.use();
      const auto offered = usage.total.held + usage.total.idle;
      BOOST_TEST((meter.held_total() == usage.total.held));
      BOOST_TEST((meter.offered_total().gpu_milli_ns == offered.gpu_milli_ns));
      BOOST_TEST((meter.offered_total().cpu_milli_ns == offered.cpu_milli_ns));
      for (const auto& row : usage.rows)
        BOOST_TEST((meter.by_user().at(row.key) == row.held));
      double held = 0;
      for (std::size_t i = 0; i < meter.series().pieces().size(); ++i)
        if (i * meter.series().piece_ns() < to.value - from.value)
          held += meter.series().pieces()[i].gpu_held;
      BOOST_TEST(held >= static_cast<double>(usage.total.held.gpu_milli_ns) *
                             (1 - 1e-9));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace use_test

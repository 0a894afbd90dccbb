// Usage against a recount that is written another way, over random logs.
// Repeat one seed with REEVE_SEED=<n>; the number of runs is REEVE_RUNS.
#include "cluster/accounting/usage.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/accounting/naive_usage.hpp"
#include "cluster/accounting/random_cell.hpp"
#include "cluster/project.hpp"

namespace usage_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::accounting;
using namespace reeve::cluster::accounting::testing;
using cluster::testing::Cell;
using cluster::testing::one_task;

namespace {

void check(const Amount& got, const Amount& wanted) {
  BOOST_TEST(to_text(got.cpu_milli_ns) == to_text(wanted.cpu_milli_ns));
  BOOST_TEST(to_text(got.memory_byte_ns) == to_text(wanted.memory_byte_ns));
  BOOST_TEST(to_text(got.gpu_milli_ns) == to_text(wanted.gpu_milli_ns));
}

void check(const UsageRow& got, const UsageRow& wanted) {
  BOOST_TEST(got.tasks == wanted.tasks);
  check(got.held, wanted.held);
  check(got.idle, wanted.idle);
  check(got.drained, wanted.drained);
  check(got.lost, wanted.lost);
}

void check(const std::vector<UsagePeriod>& got,
           std::vector<NaivePeriod> wanted) {
  BOOST_REQUIRE_EQUAL(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    BOOST_TEST_CONTEXT("period " << i) {
      check(got[i].total, wanted[i][""]);
      wanted[i].erase("");
      BOOST_REQUIRE_EQUAL(got[i].rows.size(), wanted[i].size());
      auto row = wanted[i].begin();
      for (const UsageRow& mine : got[i].rows) BOOST_TEST_CONTEXT(mine.key) {
          BOOST_TEST(mine.key == row->first);
          check(mine, (row++)->second);
        }
    }
}

// With `snapshot`, from a state told at that sequence.
std::vector<UsagePeriod> usage(const Cell& cell, UsageBy by,
                               const std::vector<Time>& borders,
                               std::uint64_t snapshot = 0) {
  std::vector<UsagePeriod> out;
  Usage sums(by, [&](const UsagePeriod& period) { out.push_back(period); });
  Window window(borders, sums);
  const auto apply = [&](const schema::Event& event) {
    const Status applied = window.apply(event);
    BOOST_REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().text));
  };
  State state;
  for (std::uint64_t i = 1; i <= snapshot; ++i)
    BOOST_REQUIRE(state.apply(cell.event(Sequence{i})));
  if (snapshot > 0) {
    const auto copy = State::decode_snapshot(state.encode_snapshot());
    BOOST_REQUIRE(copy);
    tell_as_events(*copy, apply);
  }
  for (std::uint64_t i = snapshot + 1; i <= cell.state.last_sequence().value;
       ++i)
    apply(cell.event(Sequence{i}));
  window.finish();
  return out;
}

// The last event before `from`: the latest place to begin at.
std::uint64_t last_before(const Cell& cell, Time from) {
  std::uint64_t i = 0;
  while (i < cell.state.last_sequence().value &&
         cell.event(Sequence{i + 1}).time_at() < from.value)
    ++i;
  return i;
}

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::vector<Time> random_borders(const Cell& cell, std::mt19937_64& random) {
  const std::uint64_t first = cell.event(Sequence{1}).time_at();
  const std::uint64_t span = cell.now.value + 3 * second_ns - first;
  std::vector<Time> borders;
  for (std::uint64_t i = 0; i < 2 + random() % 4; ++i)
    borders.push_back(Time{first + random() % span});
  // Now and then exactly where something happens.
  if (random() % 2 == 0)
    borders[0] = Time{
        cell.event(Sequence{1 + random() % cell.state.last_sequence().value})
            .time_at()};
  std::sort(borders.begin(), borders.end());
  return borders;
}

constexpr UsageBy all_keys[] = {UsageBy::user, UsageBy::project, UsageBy::group,
                                UsageBy::node};

}  // namespace

BOOST_AUTO_TEST_SUITE(usage_sums)

BOOST_AUTO_TEST_CASE(sums_equal_a_recount_over_random_logs) {
  const bool one = std::getenv("REEVE_SEED") != nullptr;
  const std::uint64_t first = number_from("REEVE_SEED", 1);
  const std::uint64_t runs = one ? 1 : number_from("REEVE_RUNS", 20);
  Wide drained = 0;
  Wide lost = 0;
  Wide held = 0;
  for (std::uint64_t seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Cell cell;
      cell.checks = false;
      live_at_random(cell, std::mt19937_64(seed), 300);
      std::mt19937_64 random(seed);
      for (const UsageBy by : all_keys) {
        const auto borders = random_borders(cell, random);
        const auto got = usage(cell, by, borders);
        check(got, naive_usage(cell, by, borders));
        for (const auto& period : got) {
          held += period.total.held.gpu_milli_ns;
          drained += period.total.drained.gpu_milli_ns;
          lost += period.total.lost.gpu_milli_ns;
        }
      }
    }
  // The logs have something of all in them.
  BOOST_TEST((held > 0 && drained > 0 && lost > 0));
}

BOOST_AUTO_TEST_CASE(a_snapshot_anywhere_before_the_window_gives_the_same) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) {
      Cell cell;
      cell.checks = false;
      live_at_random(cell, std::mt19937_64(seed), 200);
      std::mt19937_64 random(seed);
      const auto borders = random_borders(cell, random);
      const std::uint64_t latest = last_before(cell, borders[0]);
      for (const UsageBy by : {UsageBy::user, UsageBy::node}) {
        const auto whole = naive_usage(cell, by, borders);
        check(usage(cell, by, borders, latest), whole);
        if (latest > 0)
          check(usage(cell, by, borders, 1 + random() % latest), whole);
      }
    }
}

BOOST_AUTO_TEST_CASE(sums_of_periods_equal_the_whole_and_all_keys_agree) {
  Cell cell;
  cell.checks = false;
  live_at_random(cell, std::mt19937_64(7), 400);
  const Time from = Time{cell.event(Sequence{1}).time_at()};
  const Time to = cell.now;
  std::vector<Time> borders;
  for (std::uint64_t i = 0; i <= 10; ++i)
    borders.push_back(Time{from.value + (to.value - from.value) * i / 10});
  const auto whole = usage(cell, UsageBy::user, {from, to});
  for (const UsageBy by : all_keys) {
    Amount held;
    Amount capacity;
    Amount rows;
    for (const auto& period : usage(cell, by, borders)) {
      held += period.total.held;
      capacity += period.total.capacity();
      for (const auto& row : period.rows) rows += row.held;
    }
    check(held, whole[0].total.held);
    check(rows, whole[0].total.held);
    check(capacity, whole[0].total.capacity());
  }
}

BOOST_AUTO_TEST_CASE(a_day_of_one_gpu_is_24_hours) {
  Cell cell;
  cell.add({.name = "n0", .devices = 2});
  const Time from = cell.now;
  Spec spec = one_task();
  const SessionId id = cell.submit(spec);
  cell.place(id, {"n0"}, {{.device = 0, .milli = 1000}});
  cell.start(id);
  const Time to{from.value + 24 * 3600 * second_ns};
  const auto day = usage(cell, UsageBy::user, {from, to});
  BOOST_REQUIRE_EQUAL(day.size(), 1);
  BOOST_REQUIRE_EQUAL(day[0].rows.size(), 1);
  BOOST_TEST(rounded(day[0].rows[0].held.gpu_milli_ns, gpu_hour, 3) ==
             "24.000");
  BOOST_TEST(rounded(day[0].rows[0].held.memory_byte_ns, gib_hour, 3) ==
             "24.000");
  BOOST_TEST(rounded(day[0].total.idle.gpu_milli_ns, gpu_hour, 3) == "24.000");
  BOOST_TEST(rounded(day[0].total.capacity().cpu_milli_ns, cpu_hour, 0) ==
             "384");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace usage_test

#include "store/snapshot_thinning.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace snapshot_thinning_test {

using namespace reeve::store;

namespace {

std::vector<KeptSnapshot> every_hundred(std::uint64_t count) {
  std::vector<KeptSnapshot> all;
  for (std::uint64_t i = 1; i <= count; ++i) all.push_back({100 * i, 10});
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(within_the_bound_all_snapshots_are_kept) {
  BOOST_TEST(surplus_snapshots(every_hundred(8), 80).empty());
  BOOST_TEST(surplus_snapshots(every_hundred(8), 79).size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_newest_three_are_kept_whatever_they_take) {
  const auto surplus = surplus_snapshots(every_hundred(8), 0);
  BOOST_TEST(surplus.size() == 8u - snapshots_kept);
  for (const auto sequence : surplus) BOOST_TEST(sequence <= 500u);
  BOOST_TEST(surplus_snapshots(every_hundred(snapshots_kept), 0).empty());
}

BOOST_AUTO_TEST_CASE(what_is_kept_is_spread_evenly_over_the_history) {
  std::vector<KeptSnapshot> kept;
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    kept.push_back({100 * i, 10});
    for (const auto sequence : surplus_snapshots(kept, 200))
      std::erase_if(kept,
                    [&](const auto& one) { return one.sequence == sequence; });
  }
  BOOST_TEST(kept.size() == 20u);
  // 17 older ones over 100,000 events: no gap is far above the average.
  std::uint64_t gap_max = 0;
  std::uint64_t before = 0;
  for (const auto& one : kept) {
    gap_max = std::max(gap_max, one.sequence - before);
    before = one.sequence;
  }
  BOOST_TEST(gap_max <= 3 * 100'000u / 17);
}

}  // namespace snapshot_thinning_test

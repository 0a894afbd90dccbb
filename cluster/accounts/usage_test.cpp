// What was used, against sums made by hand.
#include "cluster/accounts/usage.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <random>

namespace usage_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

Amounts gpus(std::uint64_t milli) {
  return {0, 0, 0, 0, milli};
}

std::uint64_t gpu_sum(const UsageHistory& history) {
  std::uint64_t sum = 0;
  for (const auto& bucket : history.buckets()) sum += bucket.gpu_milli_ms();
  return sum;
}

double gpu_hours(const UsageBucket& bucket) {
  return static_cast<double>(bucket.gpu_milli_ms()) / 3.6e9;
}

bool same(const std::vector<UsageBucket>& a,
          const std::vector<UsageBucket>& b) {
  const auto bytes = a.size() * sizeof(UsageBucket);
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), bytes) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(usage)

BOOST_AUTO_TEST_CASE(time_is_counted_into_the_buckets_it_lies_in) {
  UsageHistory history;
  history.count(Time{5 * hour_ns}, Time{14 * hour_ns}, gpus(2000));
  const std::vector<UsageBucket> expected = {
      {0, 0, 0, 2000 * 3'600'000ull},
      {1, 0, 0, 2000 * 6 * 3'600'000ull},
      {2, 0, 0, 2000 * 2 * 3'600'000ull}};
  BOOST_TEST(same(history.buckets(), expected));
}

BOOST_AUTO_TEST_CASE(what_is_old_counts_half_after_a_half_life) {
  UsageHistory history;
  history.count(Time{0}, Time{6 * hour_ns}, gpus(1000));
  // Four buckets later, with a half-life of two buckets: a quarter.
  const double left =
      history.decayed(Time{24 * hour_ns}, 12 * hour_ns, gpu_hours);
  BOOST_TEST(left == 1.5, boost::test_tools::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(pieces_add_up_to_the_whole) {
  std::mt19937_64 random(7);
  UsageHistory whole;
  UsageHistory pieces;
  std::uint64_t at = 1'000'000'123;
  const std::uint64_t from = at;
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t next = at + random() % (hour_ns / 7);
    pieces.count(Time{at}, Time{next}, gpus(250));
    at = next;
  }
  whole.count(Time{from}, Time{at}, gpus(250));
  BOOST_TEST(same(whole.buckets(), pieces.buckets()));
}

BOOST_AUTO_TEST_CASE(old_buckets_are_forgotten_at_the_bound) {
  UsageHistory history;
  const std::uint64_t end = usage_bucket_ns * (usage_buckets_max + 100);
  history.count(Time{0}, Time{end}, gpus(1));
  BOOST_TEST(history.buckets().size() == usage_buckets_max);
  BOOST_TEST(gpu_sum(history) ==
             usage_buckets_max * (usage_bucket_ns / 1'000'000));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace usage_test

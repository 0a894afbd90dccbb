// What an account used, by buckets of time: whole numbers, so that any
// half-life can be applied afterwards and any recount agrees.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/accounts/quota.hpp"

namespace reeve::cluster {

inline constexpr std::uint64_t usage_bucket_ns = 6 * 3600 * second_ns;
// Older ones are forgotten: 60 days.
inline constexpr std::size_t usage_buckets_max = 240;

using schema::UsageBucket;

class UsageHistory {
 public:
  // So much was held from one moment to the other. In order of time.
  void count(Time from, Time to, const Amounts& held);

  const std::vector<UsageBucket>& buckets() const { return buckets_; }
  void restore(const flatbuffers::Vector<const UsageBucket*>& buckets);

  // The sum of the buckets, each worth half as much for every half-life that
  // its age is; in `weigh`'s unit.
  template <class Weigh>
  double decayed(Time now, std::uint64_t half_life_ns, Weigh&& weigh) const {
    double sum = 0;
    for (const UsageBucket& bucket : buckets_)
      sum += weigh(bucket) * remains(bucket, now, half_life_ns);
    return sum;
  }

 private:
  static double remains(const UsageBucket& bucket, Time now,
                        std::uint64_t half_life_ns);

  std::vector<UsageBucket> buckets_;  // by time, none without use
};

}  // namespace reeve::cluster

#include "cluster/accounts/usage.hpp"

#include <algorithm>
#include <cmath>

namespace reeve::cluster {
namespace {

constexpr std::uint64_t bucket_ms = usage_bucket_ns / ms_ns;

}  // namespace

// Differences of whole milliseconds since the epoch add up exactly.
void UsageHistory::count(Time from, Time to, const Amounts& held) {
  const std::uint64_t end_ms = to.value / ms_ns;
  const std::uint64_t memory_mib = held.memory_bytes >> 20;
  if (held.cpu_milli == 0 && memory_mib == 0 && held.gpu_milli == 0) return;
  std::uint64_t at_ms = from.value / ms_ns;
  // What is older than all that is kept need not be written first.
  if (end_ms - std::min(at_ms, end_ms) > usage_buckets_max * bucket_ms)
    at_ms = end_ms - usage_buckets_max * bucket_ms;
  while (at_ms < end_ms) {
    const std::uint64_t number = at_ms / bucket_ms;
    const std::uint64_t until_ms = std::min(end_ms, (number + 1) * bucket_ms);
    const std::uint64_t ms = until_ms - at_ms;
    if (buckets_.empty() || buckets_.back().bucket() < number)
      buckets_.emplace_back(number, 0, 0, 0);
    const UsageBucket before = buckets_.back();
    buckets_.back() = {number, before.cpu_milli_ms() + ms * held.cpu_milli,
                       before.memory_mib_ms() + ms * memory_mib,
                       before.gpu_milli_ms() + ms * held.gpu_milli};
    at_ms = until_ms;
  }
  if (buckets_.size() > usage_buckets_max)
    buckets_.erase(
        buckets_.begin(),
        buckets_.end() - static_cast<std::ptrdiff_t>(usage_buckets_max));
}

void UsageHistory::restore(
    const flatbuffers::Vector<const UsageBucket*>& buckets) {
  buckets_.clear();
  for (const auto* bucket : buckets) buckets_.push_back(*bucket);
}

double UsageHistory::remains(const UsageBucket& bucket, Time now,
                             std::uint64_t half_life_ns) {
  const std::uint64_t now_bucket = now.value / usage_bucket_ns;
  const std::uint64_t age =
      now_bucket > bucket.bucket() ? now_bucket - bucket.bucket() : 0;
  return std::exp2(-static_cast<double>(age) *
                   (static_cast<double>(usage_bucket_ns) /
                    static_cast<double>(half_life_ns)));
}

}  // namespace reeve::cluster

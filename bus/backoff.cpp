#include "bus/backoff.hpp"

#include <algorithm>
#include <random>

#include "cluster/check.hpp"

namespace reeve::bus {

Backoff::Backoff(RetryOptions options)
    : options_(options), step_(options.first) {
  REEVE_CHECK(options.first.count() > 0, "a back-off starts above zero");
  REEVE_CHECK(options.longest >= options.first,
              "a back-off's longest wait is not below its first");
}

std::chrono::milliseconds Backoff::next(std::uint32_t random) {
  const auto step = step_.count();
  const auto half = step / 2;
  const auto spread = static_cast<std::int64_t>(
      static_cast<std::uint64_t>(step - half) * random >> 32);
  step_ = std::min(step_ * 2, options_.longest);
  return std::chrono::milliseconds(std::max<std::int64_t>(half + spread, 1));
}

std::chrono::milliseconds reconnect_after(int attempt,
                                          const RetryOptions& options,
                                          std::uint32_t random) {
  auto step = options.first;
  while (--attempt > 0 && step < options.longest) step *= 2;
  step = std::min(step, options.longest);
  const auto room = std::max<std::int64_t>((step - reconnect_wait).count(), 0);
  const auto spread = static_cast<std::uint64_t>(room) * random >> 32;
  return reconnect_wait + std::chrono::milliseconds(spread);
}

std::uint32_t random_jitter() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return static_cast<std::uint32_t>(engine()) * 2u;
}

}  // namespace reeve::bus

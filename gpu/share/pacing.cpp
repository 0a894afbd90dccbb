#include "gpu/share/pacing.hpp"

#include <algorithm>

namespace reeve::gpu::share {

// Periods are counted from where the session's own span begins.
std::int64_t Pacing::period_of(std::int64_t now_ns) const {
  return (now_ns - begin_of(0)) / device_.period_ns;
}

void Pacing::settle(std::int64_t period) {
  std::int64_t newest = device_.settled_period.load();
  do {
    if (newest >= period) return;
  } while (!device_.settled_period.compare_exchange_weak(newest, period));
  std::int64_t debt = device_.debt_ns.load();
  std::int64_t part = 0;
  do {
    part = std::min(debt, span_ns());
  } while (!device_.debt_ns.compare_exchange_weak(debt, debt - part));
  device_.settled_ns.store(part);
}

std::int64_t Pacing::wait_ns(std::int64_t now_ns) {
  if (whole()) return 0;
  const std::int64_t period = period_of(now_ns);
  settle(period);
  const std::int64_t into = now_ns - begin_of(period);
  if (into < span_ns() - device_.settled_ns.load()) return 0;
  return begin_of(period + 1) - now_ns;
}

void Pacing::used(std::int64_t from_ns, std::int64_t until_ns) {
  if (whole() || until_ns <= from_ns) return;
  std::int64_t inside = 0;
  for (std::int64_t period = period_of(from_ns); period <= period_of(until_ns);
       ++period) {
    const std::int64_t begin = begin_of(period);
    std::int64_t end = begin + span_ns();
    if (period == device_.settled_period.load())
      end -= device_.settled_ns.load();
    inside += std::max<std::int64_t>(
        0, std::min(until_ns, end) - std::max(from_ns, begin));
  }
  const std::int64_t outside = until_ns - from_ns - inside;
  if (outside > 0) device_.debt_ns.fetch_add(outside);
}

}  // namespace reeve::gpu::share

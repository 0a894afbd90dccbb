#include "tools/log/meter.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/units.hpp"

namespace reeve::tools {
namespace {

std::string rate_text(double per_second) {
  if (per_second >= 1e5)
    return fmt::format("{:.2f} million/s", per_second / 1e6);
  return fmt::format("{:.0f}/s", per_second);
}

}  // namespace

std::string progress_text(std::string_view doing, std::uint64_t from,
                          std::uint64_t at, std::uint64_t to,
                          std::uint64_t spent_ns, std::string_view unit) {
  const auto passed = static_cast<double>(at < from ? 0 : at - from + 1);
  const double rate =
      passed * 1e9 / static_cast<double>(std::max<std::uint64_t>(spent_ns, 1));
  std::string out = fmt::format("{}: {} {}", doing, unit, at);
  if (to == 0) return out + ", " + rate_text(rate);
  out += fmt::format(" of {}", to);
  if (rate < 1 || at >= to) return out;
  // Whole seconds: more would only flicker.
  const double left_s = static_cast<double>(to - at) / rate;
  const auto whole_s = static_cast<std::uint64_t>(left_s + 1);
  return out + fmt::format(", {}, {} left", rate_text(rate),
                           format_duration(whole_s * 1'000'000'000));
}

Meter::Meter(bool quiet, std::string_view doing, std::uint64_t from,
             std::uint64_t to, std::string_view unit)
    : progress_(quiet),
      doing_(doing),
      unit_(unit),
      from_(from),
      to_(to),
      begun_ns_(monotonic_ns()) {}

void Meter::look(std::uint64_t event) {
  if (!progress_.due()) return;
  progress_.show(progress_text(doing_, from_, event, to_,
                               monotonic_ns() - begun_ns_, unit_));
}

}  // namespace reeve::tools

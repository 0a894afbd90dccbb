#include "tools/log/calendar.hpp"

#include <fmt/format.h>

#include <ctime>

namespace reeve::tools {
namespace {

std::tm local(Time at) {
  const auto seconds = static_cast<std::time_t>(at.value / second_ns);
  std::tm out{};
  ::localtime_r(&seconds, &out);
  return out;
}

Time next_border(Per per, Time at) {
  std::tm date = local(at);
  date.tm_hour = date.tm_min = date.tm_sec = 0;
  date.tm_isdst = -1;
  if (per == Per::day) {
    ++date.tm_mday;
  } else {
    date.tm_mday = 1;
    ++date.tm_mon;
  }
  return Time{static_cast<std::uint64_t>(::mktime(&date)) * second_ns};
}

}  // namespace

Expected<std::vector<Time>> borders(Per per, Time from, Time to) {
  std::vector<Time> out = {from};
  if (per != Per::all)
    for (Time next = next_border(per, from); next < to;
         next = next_border(per, next)) {
      // A zone that skips midnight begins its day later.
      if (next <= out.back()) next = Time{out.back().value + 3600 * second_ns};
      if (out.size() >= periods_max)
        return fail(Errc::usage,
                    fmt::format("more than {} periods lie between the ends: "
                                "choose a shorter range or longer periods",
                                periods_max));
      out.push_back(next);
    }
  out.push_back(to);
  return out;
}

std::string period_name(Per per, Time from) {
  if (per == Per::all) return {};
  const std::tm date = local(from);
  const std::string month =
      fmt::format("{:04}-{:02}", date.tm_year + 1900, date.tm_mon + 1);
  return per == Per::month ? month
                           : fmt::format("{}-{:02}", month, date.tm_mday);
}

}  // namespace reeve::tools

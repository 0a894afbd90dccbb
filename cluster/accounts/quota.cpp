#include "cluster/accounts/quota.hpp"

#include <fmt/format.h>

#include "cluster/units.hpp"

namespace reeve::cluster {
namespace {

struct Month {
  std::int64_t year = 0;
  unsigned month = 1;  // 1 to 12
};

// Days since 1970-01-01 and back, in the Gregorian calendar. The method is
// Howard Hinnant's, "chrono-Compatible Low-Level Date Algorithms".
std::uint64_t first_day_of(Month month) {
  const std::int64_t year = month.year - (month.month <= 2 ? 1 : 0);
  const std::int64_t era = year / 400;
  const auto of_era = static_cast<std::uint64_t>(year - era * 400);
  const unsigned from_march = (month.month + 9) % 12;
  const std::uint64_t of_year = (153 * from_march + 2) / 5;
  const std::uint64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return static_cast<std::uint64_t>(era) * 146'097 + days - 719'468;
}

Month month_of(std::uint64_t day) {
  const std::uint64_t shifted = day + 719'468;
  const std::uint64_t era = shifted / 146'097;
  const std::uint64_t of_era = shifted - era * 146'097;
  const std::uint64_t year_of_era =
      (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::uint64_t of_year =
      of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const auto from_march = static_cast<unsigned>((5 * of_year + 2) / 153);
  const unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
  const auto year = static_cast<std::int64_t>(year_of_era + era * 400);
  return {year + (month <= 2 ? 1 : 0), month};
}

// 1970-01-01 was a Thursday.
std::uint64_t monday_of(std::uint64_t day) {
  const std::uint64_t since_monday = (day + 3) % 7;
  return day < since_monday ? 0 : day - since_monday;
}

Time day_at(std::uint64_t day) {
  return Time{day * day_ns};
}

std::string amount_text(QuotaItem item, std::uint64_t amount) {
  switch (item) {
    case QuotaItem::sessions: return counted(amount, "session");
    case QuotaItem::waiting: return counted(amount, "waiting session");
    case QuotaItem::cpu: return counted_milli(amount, "CPU");
    case QuotaItem::memory: return format_bytes(amount) + " of memory";
    case QuotaItem::gpus: return counted_milli(amount, "GPU");
    case QuotaItem::gpu_hours: return counted_milli(amount, "GPU hour");
  }
  return {};
}

// The same without the unit where the reader has just seen it.
std::string number_text(QuotaItem item, std::uint64_t amount) {
  switch (item) {
    case QuotaItem::sessions:
    case QuotaItem::waiting: return fmt::format("{}", amount);
    case QuotaItem::memory: return format_bytes(amount);
    case QuotaItem::cpu:
    case QuotaItem::gpus:
    case QuotaItem::gpu_hours: return format_milli(amount);
  }
  return {};
}

std::string per_text(QuotaPeriod period) {
  if (period == QuotaPeriod::none) return {};
  return fmt::format(" a {}", schema::EnumNameQuotaPeriod(period));
}

}  // namespace

Quota quota_of(const schema::QuotaLimits& limits) {
  return {limits.sessions(),     limits.waiting(),   limits.cpu_milli(),
          limits.memory_bytes(), limits.gpu_milli(), limits.gpu_milli_hours(),
          limits.period()};
}

flatbuffers::Offset<schema::QuotaLimits> build_quota(
    flatbuffers::FlatBufferBuilder& builder, const Quota& quota) {
  return schema::CreateQuotaLimits(
      builder, quota.sessions, quota.waiting, quota.cpu_milli,
      quota.memory_bytes, quota.gpu_milli, quota.gpu_milli_hours, quota.period);
}

Time period_start(QuotaPeriod period, Time at) {
  const std::uint64_t day = at.value / day_ns;
  switch (period) {
    case QuotaPeriod::none: return Time{};
    case QuotaPeriod::day: return day_at(day);
    case QuotaPeriod::week: return day_at(monday_of(day));
    case QuotaPeriod::month: return day_at(first_day_of(month_of(day)));
  }
  return Time{};
}

Time period_end(QuotaPeriod period, Time at) {
  const std::uint64_t day = at.value / day_ns;
  switch (period) {
    case QuotaPeriod::none: return Time{};
    case QuotaPeriod::day: return day_at(day + 1);
    // The first week of all had no Monday.
    case QuotaPeriod::week: return day_at(day + 7 - (day + 3) % 7);
    case QuotaPeriod::month: {
      Month month = month_of(day);
      if (++month.month > 12) month = {month.year + 1, 1};
      return day_at(first_day_of(month));
    }
  }
  return Time{};
}

std::string held_text(const Quota& quota, const Amounts& held,
                      std::uint64_t used_milli_hours) {
  struct Item {
    QuotaItem item;
    std::uint64_t limit;
    std::uint64_t amount;
  };
  const Item items[] = {
      {QuotaItem::sessions, quota.sessions, held.sessions},
      {QuotaItem::waiting, quota.waiting, held.waiting},
      {QuotaItem::cpu, quota.cpu_milli, held.cpu_milli},
      {QuotaItem::memory, quota.memory_bytes, held.memory_bytes},
      {QuotaItem::gpus, quota.gpu_milli, held.gpu_milli},
      {QuotaItem::gpu_hours, quota.gpu_milli_hours, used_milli_hours}};
  std::string out;
  for (const Item& item : items)
    if (item.limit != no_limit)
      out += (out.empty() ? "" : ", ") + amount_text(item.item, item.amount);
  return out;
}

std::string to_text(const Quota& quota) {
  const Amounts limits{quota.sessions, quota.waiting, quota.cpu_milli,
                       quota.memory_bytes, quota.gpu_milli};
  std::string out = held_text(quota, limits, quota.gpu_milli_hours);
  if (quota.gpu_milli_hours != no_limit) out += per_text(quota.period);
  return out;
}

std::string to_text(const QuotaExcess& excess) {
  const std::string who = fmt::format(
      "{} {}", schema::EnumNameAccountKind(excess.kind), excess.name);
  const std::string limit = amount_text(excess.item, excess.limit);
  const std::string held = number_text(excess.item, excess.held);
  if (excess.item == QuotaItem::gpu_hours)
    return fmt::format("{} may use {}{} and has used {}", who, limit,
                       per_text(excess.period), held);
  const std::string wanted = number_text(excess.item, excess.wanted);
  if (excess.held == 0)  // then not even an idle account has room for it
    return fmt::format("{} may have {}; this session wants {}", who, limit,
                       wanted);
  return fmt::format("{} may have {} and has {}; this session wants {}", who,
                     limit, held, wanted);
}

}  // namespace reeve::cluster

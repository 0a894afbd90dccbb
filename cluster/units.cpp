#include "cluster/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "cluster/types.hpp"

namespace reeve {
namespace {

using std::string_view;

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool space(char c) {
  return c == ' ' || c == '\t';
}
char lower_letter(char c) {
  return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
}

string_view trimmed(string_view text) {
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

tl::unexpected<Error> refuse(string_view text, string_view what,
                             string_view example) {
  return fail(Errc::usage, fmt::format("\"{}\" is no {}; write for example {}",
                                       text, what, example));
}

// A decimal number as whole part and nanounits: exact, where a double is not.
struct Decimal {
  std::uint64_t whole = 0;
  std::uint64_t nano = 0;
  int decimals = 0;
};

// Takes the number at the front of `text`; false when there is none or it
// does not fit.
bool take_decimal(string_view& text, Decimal& out) {
  out = {};
  const char* end = text.data() + text.size();
  const auto whole = std::from_chars(text.data(), end, out.whole);
  if (whole.ec != std::errc{}) return false;
  const char* at = whole.ptr;
  if (at != end && *at == '.') {
    std::uint64_t unit = second_ns / 10;
    const char* first = ++at;
    for (; at != end && digit(*at); ++at, unit /= 10) {
      out.nano += unit * static_cast<std::uint64_t>(*at - '0');
      ++out.decimals;
    }
    if (at == first || out.decimals > 9) return false;
  }
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  return true;
}

// value * scale, exact to the unit; false on overflow.
bool scaled(const Decimal& value, std::uint64_t scale, std::uint64_t& out) {
  const auto wide =
      static_cast<unsigned __int128>(value.whole) * scale +
      static_cast<unsigned __int128>(value.nano) * scale / second_ns;
  if (wide > UINT64_MAX) return false;
  out = static_cast<std::uint64_t>(wide);
  return true;
}

std::uint64_t duration_unit(string_view name) {
  struct Unit {
    string_view name;
    std::uint64_t ns;
  };
  static constexpr Unit units[] = {{"ns", 1},
                                   {"us", 1'000},
                                   {"ms", 1'000'000},
                                   {"s", second_ns},
                                   {"sec", second_ns},
                                   {"m", minute_ns},
                                   {"min", minute_ns},
                                   {"h", hour_ns},
                                   {"hour", hour_ns},
                                   {"hours", hour_ns},
                                   {"d", day_ns},
                                   {"day", day_ns},
                                   {"days", day_ns},
                                   {"w", 7 * day_ns},
                                   {"week", 7 * day_ns},
                                   {"weeks", 7 * day_ns}};
  for (const auto& unit : units)
    if (unit.name == name) return unit.ns;
  return 0;
}

// "[D-]HH:MM:SS" and "MM:SS", as batch systems write them. In nanoseconds, of
// which there may be more than a duration can have.
bool clock_duration(string_view text, unsigned __int128& out) {
  std::array<std::uint64_t, 4> part{};
  std::size_t count = 0;
  bool days = false;
  while (true) {
    if (count == part.size()) return false;
    const char* end = text.data() + text.size();
    const auto taken = std::from_chars(text.data(), end, part[count]);
    if (taken.ec != std::errc{} || part[count] > 1'000'000) return false;
    ++count;
    text.remove_prefix(static_cast<std::size_t>(taken.ptr - text.data()));
    if (text.empty()) break;
    if (text[0] == '-' && count == 1)
      days = true;
    else if (text[0] != ':')
      return false;
    text.remove_prefix(1);
  }
  if (count < 2 || (days && count != 4) || (!days && count == 4)) return false;
  const std::uint64_t seconds = part[count - 1];
  const std::uint64_t minutes = part[count - 2];
  const std::uint64_t hours = count > 2 ? part[count - 3] : 0;
  if (seconds > 59 || (count > 2 && minutes > 59)) return false;
  out = static_cast<unsigned __int128>(days ? part[0] : 0) * day_ns +
        hours * hour_ns + minutes * minute_ns + seconds * second_ns;
  return true;
}

// Days since 1970-01-01 of a civil date, and back: Howard Hinnant,
// "chrono-compatible low-level date algorithms".
std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto yoe = static_cast<unsigned>(year - era * 400);
  const unsigned doy =
      (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146'097 + static_cast<std::int64_t>(doe) - 719'468;
}

unsigned days_in(std::int64_t year, unsigned month) {
  static constexpr unsigned days[] = {31, 28, 31, 30, 31, 30,
                                      31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

// Exactly `width` digits.
bool take_digits(string_view& text, std::size_t width, unsigned& out) {
  if (text.size() < width) return false;
  out = 0;
  for (std::size_t i = 0; i < width; ++i) {
    if (!digit(text[i])) return false;
    out = out * 10 + static_cast<unsigned>(text[i] - '0');
  }
  text.remove_prefix(width);
  return true;
}

bool take_char(string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

// "", "Z", "+01:00": seconds east of Greenwich.
bool take_zone(string_view& text, std::int64_t& offset_s) {
  text = trimmed(text);
  if (text.empty()) return true;
  if (text == "Z" || text == "z" || text == "UTC") {
    offset_s = 0;
    text = {};
    return true;
  }
  const bool west = text[0] == '-';
  if (!west && text[0] != '+') return false;
  text.remove_prefix(1);
  unsigned hours = 0;
  unsigned minutes = 0;
  if (!take_digits(text, 2, hours)) return false;
  take_char(text, ':');
  if (!text.empty() && !take_digits(text, 2, minutes)) return false;
  if (hours > 14 || minutes > 59) return false;
  offset_s = static_cast<std::int64_t>(hours) * 3600 + minutes * 60;
  if (west) offset_s = -offset_s;
  return text.empty();
}

// "14:00", "14:00:05", "14:00:05.25": nanoseconds since midnight.
bool take_clock(string_view& text, std::uint64_t& ns) {
  unsigned hour = 0;
  unsigned minute = 0;
  if (!take_digits(text, 2, hour) || !take_char(text, ':')) return false;
  if (!take_digits(text, 2, minute) || hour > 23 || minute > 59) return false;
  ns = hour * hour_ns + minute * minute_ns;
  if (!take_char(text, ':')) return true;
  Decimal seconds;
  if (!take_decimal(text, seconds) || seconds.whole > 59) return false;
  ns += seconds.whole * second_ns + seconds.nano;
  return true;
}

bool absolute_time(string_view text, std::int64_t offset_s,
                   std::uint64_t& out) {
  unsigned year = 0;
  unsigned month = 0;
  unsigned day = 0;
  if (!take_digits(text, 4, year) || !take_char(text, '-')) return false;
  if (!take_digits(text, 2, month) || !take_char(text, '-')) return false;
  if (!take_digits(text, 2, day)) return false;
  // Nanoseconds in 64 bits end in the year 2554.
  if (year < 1970 || year > 2500 || month < 1 || month > 12) return false;
  if (day < 1 || day > days_in(year, month)) return false;
  std::uint64_t clock_ns = 0;
  if (!text.empty() &&
      (take_char(text, 'T') || take_char(text, 't') || take_char(text, ' '))) {
    if (!take_clock(text, clock_ns)) return false;
  }
  if (!take_zone(text, offset_s)) return false;
  const std::int64_t seconds = days_of(year, month, day) * 86'400 - offset_s;
  const __int128 at = static_cast<__int128>(seconds) * second_ns + clock_ns;
  if (at < 0 || at > static_cast<__int128>(UINT64_MAX)) return false;
  out = static_cast<std::uint64_t>(at);
  return true;
}

}  // namespace

Expected<std::uint64_t> parse_bytes(string_view text) {
  static constexpr string_view example = "512M, 4G or 1.5T";
  string_view rest = trimmed(text);
  Decimal number;
  if (!take_decimal(rest, number)) return refuse(text, "size", example);
  rest = trimmed(rest);
  std::uint64_t scale = 1;
  if (!rest.empty()) {
    static constexpr string_view letters = "kmgtp";
    const auto power = letters.find(lower_letter(rest[0]));
    if (power != string_view::npos) {
      scale = std::uint64_t{1} << (10 * (power + 1));
      rest.remove_prefix(1);
      if (!rest.empty() && lower_letter(rest[0]) == 'i') rest.remove_prefix(1);
    }
    if (!rest.empty() && lower_letter(rest[0]) == 'b') rest.remove_prefix(1);
  }
  if (!rest.empty() || (scale == 1 && number.decimals > 0))
    return refuse(text, "size", example);
  std::uint64_t bytes = 0;
  if (!scaled(number, scale, bytes))
    return fail(Errc::usage,
                fmt::format("\"{}\" is above the largest size, 16383P", text));
  return bytes;
}

Expected<std::uint64_t> parse_memory(string_view text) {
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes >= memory_bytes_min) return bytes;
  return fail(Errc::usage,
              fmt::format("\"{}\" is less than 1 MiB; for mebibytes write {}M",
                          text, text));
}

namespace {

tl::unexpected<Error> too_long(string_view text) {
  return fail(
      Errc::usage,
      fmt::format("\"{}\" is above the longest duration, 500 years", text));
}

}  // namespace

Expected<std::uint64_t> parse_duration(string_view text) {
  static constexpr string_view example = "90s, 15m, 1h30m, 2d or 01:30:00";
  string_view rest = trimmed(text);
  if (rest == "0") return std::uint64_t{0};
  if (unsigned __int128 clock = 0; clock_duration(rest, clock)) {
    if (clock > UINT64_MAX) return too_long(text);
    return static_cast<std::uint64_t>(clock);
  }
  std::uint64_t total = 0;
  if (rest.empty()) return refuse(text, "duration", example);
  while (!rest.empty()) {
    Decimal number;
    if (!take_decimal(rest, number)) return refuse(text, "duration", example);
    rest = trimmed(rest);
    std::size_t length = 0;
    while (length < rest.size() && rest[length] >= 'a' && rest[length] <= 'z')
      ++length;
    if (length == 0)
      return fail(Errc::usage,
                  fmt::format("\"{}\" has no unit; write for example {}", text,
                              example));
    const std::uint64_t unit = duration_unit(rest.substr(0, length));
    if (unit == 0) return refuse(text, "duration", example);
    rest = trimmed(rest.substr(length));
    std::uint64_t part = 0;
    if (!scaled(number, unit, part) || total > UINT64_MAX - part)
      return too_long(text);
    total += part;
  }
  return total;
}

Expected<std::uint64_t> parse_time(string_view text, const TimeFrame& frame) {
  static constexpr string_view example =
      "2026-11-20T14:00:00Z, \"2026-11-20 14:00\" or -2h";
  const string_view trim = trimmed(text);
  if (trim == "now") return frame.now_at;
  if (!trim.empty() && (trim[0] == '-' || trim[0] == '+')) {
    const auto duration = parse_duration(trim.substr(1));
    if (!duration) return refuse(text, "time", example);
    if (trim[0] == '+') {
      if (*duration > UINT64_MAX - frame.now_at)
        return refuse(text, "time", example);
      return frame.now_at + *duration;
    }
    return *duration > frame.now_at ? 0 : frame.now_at - *duration;
  }
  std::uint64_t at = 0;
  if (!absolute_time(trim, frame.utc_offset_s, at))
    return refuse(text, "time", example);
  return at;
}

namespace {

// A number with more digits than fit.
bool overlong(string_view text) {
  std::uint64_t unused = 0;
  const char* end = text.data() + text.size();
  const auto taken = std::from_chars(text.data(), end, unused);
  return taken.ec == std::errc::result_out_of_range &&
         (taken.ptr == end || *taken.ptr == '.');
}

}  // namespace

Expected<std::uint64_t> parse_count(string_view text, string_view what,
                                    std::uint64_t least, std::uint64_t most) {
  const string_view trim = trimmed(text);
  std::uint64_t value = 0;
  const char* end = trim.data() + trim.size();
  const auto taken = std::from_chars(trim.data(), end, value);
  const bool number = taken.ec == std::errc{} && taken.ptr == end;
  if (number && value >= least && value <= most) return value;
  if (most == UINT64_MAX && !overlong(trim))
    return fail(Errc::usage, fmt::format("\"{}\" is no {}: a whole number "
                                         "of at least {} is expected",
                                         text, what, least));
  return fail(Errc::usage, fmt::format("\"{}\" is no {}: a whole number from "
                                       "{} to {} is expected",
                                       text, what, least, most));
}

Expected<std::int64_t> parse_integer(string_view text, string_view what,
                                     std::int64_t least, std::int64_t most) {
  const string_view trim = trimmed(text);
  std::int64_t value = 0;
  const char* end = trim.data() + trim.size();
  const auto taken = std::from_chars(trim.data(), end, value);
  const bool number = taken.ec == std::errc{} && taken.ptr == end;
  if (number && value >= least && value <= most) return value;
  return fail(Errc::usage, fmt::format("\"{}\" is no {}: a whole number from "
                                       "{} to {} is expected",
                                       text, what, least, most));
}

Expected<std::uint64_t> parse_milli_sum(string_view text, string_view what,
                                        std::uint64_t most) {
  string_view rest = trimmed(text);
  const bool too_large = overlong(rest);
  Decimal number;
  const bool good = take_decimal(rest, number) && rest.empty() &&
                    number.nano % 1'000'000 == 0;
  if (!good && !too_large)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no {}: a number with at most three "
                            "decimals is expected, for example 2 or 0.25",
                            text, what));
  std::uint64_t milli = 0;
  if (good && scaled(number, 1000, milli) && milli <= most) return milli;
  return fail(Errc::usage,
              fmt::format("\"{}\" is no {}: at most {} is expected", text, what,
                          format_milli(most)));
}

Expected<std::uint32_t> parse_milli(string_view text, string_view what) {
  return parse_milli_sum(text, what, UINT32_MAX).map([](std::uint64_t milli) {
    return static_cast<std::uint32_t>(milli);
  });
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* units[] = {"B",   "KiB", "MiB",
                                          "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0 || value >= 100 || value == std::floor(value))
    return fmt::format("{:.0f} {}", value, units[unit]);
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string format_duration(std::uint64_t ns) {
  if (ns == 0) return "0s";
  if (ns < 1'000'000) return fmt::format("{}us", ns / 1'000);
  if (ns < second_ns) return fmt::format("{}ms", ns / 1'000'000);
  if (ns < 10 * second_ns)
    return fmt::format("{:.2f}s", static_cast<double>(ns) / 1e9);
  if (ns < minute_ns) return fmt::format("{}s", ns / second_ns);
  if (ns < hour_ns)
    return fmt::format("{}m {:02}s", ns / minute_ns, ns / second_ns % 60);
  if (ns < day_ns)
    return fmt::format("{}h {:02}m", ns / hour_ns, ns / minute_ns % 60);
  return fmt::format("{}d {:02}h", ns / day_ns, ns / hour_ns % 24);
}

std::string format_milli(std::uint64_t milli) {
  std::string out = fmt::format("{}.{:03}", milli / 1000, milli % 1000);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string counted_milli(std::uint64_t milli, std::string_view noun) {
  return fmt::format("{} {}{}", format_milli(milli), noun,
                     milli > 0 && milli <= 1000 ? "" : "s");
}

std::string format_time(std::uint64_t time_at, std::int64_t utc_offset_s) {
  const auto local =
      static_cast<std::int64_t>(time_at / second_ns) + utc_offset_s;
  const std::int64_t seconds = local < 0 ? 0 : local;
  const std::int64_t z = seconds / 86'400 + 719'468;
  const std::int64_t era = z / 146'097;
  const std::int64_t doe = z - era * 146'097;
  const std::int64_t yoe =
      (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const std::int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const std::int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", year, month, day,
                     seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

}  // namespace reeve

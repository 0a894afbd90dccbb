// Options that have a form of their own.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "tools/cli/session/submission.hpp"

namespace reeve::tools {
namespace {

using std::string_view;

struct Signal {
  string_view name;
  int number;
};

constexpr Signal signals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},    {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2}, {"ALRM", SIGALRM},  {"TERM", SIGTERM}, {"CONT", SIGCONT},
    {"URG", SIGURG},   {"WINCH", SIGWINCH}};

Expected<std::uint8_t> parse_signal(string_view text) {
  string_view name = text;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const Signal& signal : signals)
    if (signal.name == name) return static_cast<std::uint8_t>(signal.number);
  const bool digits =
      !text.empty() && std::all_of(text.begin(), text.end(),
                                   [](char c) { return c >= '0' && c <= '9'; });
  if (!digits)
    return fail(Errc::usage, fmt::format("there is no signal \"{}\"; write "
                                         "USR1, TERM or a number",
                                         text));
  const auto number = parse_count(text, "signal", 1, 64);
  if (!number) return tl::unexpected(number.error());
  return static_cast<std::uint8_t>(*number);
}

}  // namespace

Expected<ArrayWish> parse_array(string_view text) {
  const std::size_t percent = text.find('%');
  const string_view range = text.substr(0, percent);
  const std::size_t dash = range.find('-');
  if (dash == string_view::npos)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no range of indexes; write 1-100, or "
                            "1-100%10 for ten at once",
                            text));
  constexpr std::uint64_t most = UINT32_MAX - 1;
  const auto from = parse_count(range.substr(0, dash), "first index", 0, most);
  if (!from) return tl::unexpected(from.error());
  const auto to = parse_count(range.substr(dash + 1), "last index", 0, most);
  if (!to) return tl::unexpected(to.error());
  if (*from > *to)
    return fail(Errc::usage, fmt::format("\"{}\" ends before it begins", text));
  ArrayWish out{static_cast<std::uint32_t>(*from),
                static_cast<std::uint32_t>(*to), 0};
  if (percent == string_view::npos) return out;
  const auto running = parse_count(text.substr(percent + 1),
                                   "number of sessions at once", 1, most);
  if (!running) return tl::unexpected(running.error());
  out.running_max = static_cast<std::uint32_t>(*running);
  return out;
}

Expected<WarningWish> parse_warning(string_view text) {
  const std::size_t sign = text.find('@');
  if (sign == string_view::npos)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no warning; write SIGNAL@DURATION, such "
                            "as USR1@60s",
                            text));
  const auto signal = parse_signal(text.substr(0, sign));
  if (!signal) return tl::unexpected(signal.error());
  const auto before = parse_duration(text.substr(sign + 1));
  if (!before) return tl::unexpected(before.error());
  if (*before == 0)
    return fail(Errc::usage, "a warning comes some time before the limit");
  return WarningWish{*signal, *before};
}

}  // namespace reeve::tools

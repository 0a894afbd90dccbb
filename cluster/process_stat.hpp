// What Linux tells of a process in /proc/PID/stat, out of that file's text.
// Pure; proc(5) has the fields.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace reeve::cluster {

struct ProcessStat {
  std::string_view name;  // of the text; may hold spaces and parentheses
  char state = 0;
  int parent = 0;
  std::uint64_t start_ticks = 0;  // of the machine's clock, since its start

  // Its first thread has; who waits for it may not know yet.
  bool has_ended() const { return state == 'Z' || state == 'X'; }
  bool is_stopped() const { return state == 'T' || state == 't'; }
};

// Nothing for what is no such text, e.g. of a process that is gone.
inline std::optional<ProcessStat> process_stat(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == text.npos || close == text.npos || close < open)
    return std::nullopt;
  ProcessStat out;
  out.name = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);

  constexpr int state_field = 3;
  constexpr int parent_field = 4;
  constexpr int start_field = 22;
  const auto read = [](std::string_view field, auto& into) {
    const auto [end, bad] =
        std::from_chars(field.data(), field.data() + field.size(), into);
    return bad == std::errc() && end == field.data() + field.size();
  };
  for (int number = state_field; number <= start_field; ++number) {
    if (text.size() < 2 || text.front() != ' ') return std::nullopt;
    text.remove_prefix(1);
    const std::string_view field = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(field.size());
    if (number == state_field) {
      if (field.size() != 1) return std::nullopt;
      out.state = field.front();
    } else if (number == parent_field
                   ? !read(field, out.parent)
                   : number == start_field && !read(field, out.start_ticks)) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace reeve::cluster

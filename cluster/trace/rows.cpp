#include "cluster/trace/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cluster/trace/trace.hpp"
#include "cluster/types.hpp"

namespace reeve::trace {

using std::string_view;

namespace {

constexpr std::size_t shown_bytes = 120;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' && c != '\t';
}

}  // namespace

std::uint64_t nanoseconds(double seconds) {
  return static_cast<std::uint64_t>(seconds) * second_ns +
         static_cast<std::uint64_t>((seconds - std::floor(seconds)) * 1e9);
}

std::string shown(string_view text) {
  std::string out(text.substr(0, shown_bytes));
  std::replace_if(out.begin(), out.end(), is_control, '?');
  if (text.size() > shown_bytes) out += "...";
  return out;
}

Expected<bool> Lines::next() {
  if (rest_.empty()) return false;
  if (number_ == 0) {
    const auto lines = std::count(rest_.begin(), rest_.end(), '\n');
    if (static_cast<std::size_t>(lines) > trace_lines_max)
      return fail(Errc::usage,
                  fmt::format("{} has {} lines; at most {} are read: cut it "
                              "into parts",
                              file_, lines, trace_lines_max));
  }
  const std::size_t end = std::min(rest_.find('\n'), rest_.size());
  line_ = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
  ++number_;
  if (number_ == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.remove_prefix(3);
  const auto foreign = std::find_if(line_.begin(), line_.end(), is_control);
  if (foreign != line_.end())
    return fail(
        Errc::damaged,
        fmt::format(
            "{}:{}:{}: byte {:#04x}: this is no text{}", file_, number_,
            foreign - line_.begin() + 1, static_cast<unsigned char>(*foreign),
            line_.starts_with("\x1f\x8b") ? "; unpack it with gunzip" : ""));
  if (line_.size() > trace_line_bytes_max)
    return error(fmt::format("{} bytes in one line; at most {} are read",
                             line_.size(), trace_line_bytes_max));
  return true;
}

tl::unexpected<Error> Lines::error(string_view what) const {
  return fail(Errc::usage, fmt::format("{}:{}: {}", file_, number_, what));
}

tl::unexpected<Error> Lines::error_at(std::size_t offset,
                                      string_view what) const {
  return fail(Errc::usage,
              fmt::format("{}:{}:{}: {}", file_, number_, offset + 1, what));
}

Expected<bool> Rows::next_row() {
  for (;;) {
    const auto more = lines_.next();
    if (!more || !*more) return more;
    const string_view line = lines_.line();
    if (line.empty()) continue;
    if (line[0] != '#') return true;
    if (width_ == 0) comments_.append(line).append("\n");
  }
}

Status Rows::header(std::span<const string_view> known, std::size_t required) {
  const auto more = next_row();
  if (!more) return tl::unexpected(more.error());
  if (!*more)
    return fail(Errc::usage, fmt::format("{}: the file is empty; a header line "
                                         "with column names is expected",
                                         lines_.file()));
  split();
  width_ = cells_.size();
  columns_.assign(known.size(), -1);
  for (std::size_t i = 0; i < known.size(); ++i)
    for (std::size_t j = 0; j < cells_.size(); ++j)
      if (cells_[j] == known[i]) columns_[i] = static_cast<int>(j);
  for (std::size_t i = 0; i < required; ++i)
    if (columns_[i] < 0)
      return lines_.error(
          fmt::format("column \"{}\" is missing; the header is \"{}\"",
                      known[i], shown(lines_.line())));
  return {};
}

Expected<bool> Rows::next() {
  const auto more = next_row();
  if (!more || !*more) return more;
  split();
  if (cells_.size() != width_)
    return lines_.error(fmt::format("{} columns where the header has {}",
                                    cells_.size(), width_));
  return true;
}

string_view Rows::text(std::size_t column) const {
  return columns_[column] < 0
             ? string_view()
             : cells_[static_cast<std::size_t>(columns_[column])];
}

Expected<std::uint64_t> Rows::number(std::size_t column,
                                     std::uint64_t most) const {
  const string_view cell = text(column);
  std::uint64_t value = 0;
  const char* end = cell.data() + cell.size();
  const auto taken = std::from_chars(cell.data(), end, value);
  if (taken.ec != std::errc{} || taken.ptr != end || value > most)
    return error(column, fmt::format("\"{}\" is no whole number up to {}",
                                     shown(cell), most));
  return value;
}

Expected<double> Rows::seconds(std::size_t column) const {
  const string_view cell = text(column);
  if (cell.empty()) return -1.0;
  double value = 0;
  const char* end = cell.data() + cell.size();
  const auto taken = std::from_chars(cell.data(), end, value);
  if (taken.ec != std::errc{} || taken.ptr != end || !(value >= 0) ||
      value > trace_seconds_max)
    return error(column,
                 fmt::format("\"{}\" is no time in seconds", shown(cell)));
  return value;
}

tl::unexpected<Error> Rows::error(std::size_t column, string_view what) const {
  if (columns_[column] < 0) return lines_.error(what);
  return lines_.error_at(
      static_cast<std::size_t>(text(column).data() - lines_.line().data()),
      what);
}

void Rows::split() {
  cells_.clear();
  string_view rest = lines_.line();
  for (;;) {
    const std::size_t comma = rest.find(',');
    cells_.push_back(rest.substr(0, comma));
    if (comma == string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace reeve::trace

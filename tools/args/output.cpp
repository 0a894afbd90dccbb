#include "tools/args/output.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cluster/check.hpp"
#include "cluster/printable.hpp"
#include "schema/json.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t gap = 2;
constexpr std::size_t cut_width_min = 6;
constexpr int yields_max = 9;
constexpr std::size_t columns_max = 10'000;
constexpr std::size_t error_indent = 2;

bool continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::size_t code_points(string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return !continuation(c); }));
}

string fitted(string_view text, std::size_t width) {
  if (code_points(text) <= width) return string(text);
  std::size_t end = 0;
  for (std::size_t points = 0; end < text.size(); ++end)
    if (!continuation(text[end]) && ++points == width) break;
  return string(text.substr(0, end)) + "…";
}

void write_all(int file, string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      // As any program whose reader went away.
      ::signal(SIGPIPE, SIG_DFL);
      ::raise(SIGPIPE);
      ::_exit(141);
    } else if (errno != EINTR && errno != EAGAIN) {
      if (file != STDERR_FILENO) say("reeve: " + output_problem(errno));
      ::_exit(1);
    }
  }
}

// By the environment; 0 when it says none.
std::size_t told_width() {
  const char* columns = std::getenv("COLUMNS");
  return columns == nullptr ? 0 : columns_of(columns);
}

// Of the terminal that errors go to; 0: it is none, a log has whole lines.
std::size_t error_width() {
  if (::isatty(STDERR_FILENO) != 1) return 0;
  if (const std::size_t told = told_width()) return told;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size.ws_col : 0;
}

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

Terminal Terminal::of_process() {
  Terminal out;
  out.is_terminal = ::isatty(STDOUT_FILENO) == 1;
  out.width = told_width();
  if (!out.is_terminal) return out;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  out.colour = (no_colour == nullptr || *no_colour == '\0') &&
               term != nullptr && string_view(term) != "dumb";
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    if (out.width == 0) out.width = size.ws_col;
    out.height = size.ws_row;
  }
  return out;
}

std::size_t columns_of(string_view text) {
  std::size_t width = 0;
  const char* end = text.data() + text.size();
  const auto taken = std::from_chars(text.data(), end, width);
  const bool good = taken.ec == std::errc{} && taken.ptr == end;
  return good && width <= columns_max ? width : 0;
}

string toned(string_view text, Tone tone, bool colour) {
  if (!colour || tone == Tone::plain) return string(text);
  static constexpr const char* codes[] = {"0", "32", "31", "33", "2", "1"};
  return fmt::format("\033[{}m{}\033[0m", codes[static_cast<int>(tone)], text);
}

Tone tone_of(string_view state) {
  if (state == "running" || state == "up") return Tone::good;
  if (state == "failed" || state == "lost" || state == "down") return Tone::bad;
  if (state == "pending" || state == "placed" || state == "starting" ||
      state == "stopping" || state == "draining" || state == "drained")
    return Tone::busy;
  if (state == "cancelled" || state == "succeeded") return Tone::faint;
  return Tone::plain;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<string> cells) {
  REEVE_CHECK(cells.size() == columns_.size(),
              fmt::format("a row of {} cells in a table of {} columns",
                          cells.size(), columns_.size()));
  Row row;
  for (auto& cell : cells) {
    row.cells.push_back(cell.empty() ? "-" : printable(cell));
    row.tones.push_back(Tone::plain);
  }
  rows_.push_back(std::move(row));
}

void Table::tone(std::size_t column, Tone tone) {
  rows_.back().tones[column] = tone;
}

namespace {

std::size_t line_width(const std::vector<std::size_t>& widths) {
  std::size_t total = 0;
  for (const std::size_t width : widths)
    if (width != 0) total += width + (total == 0 ? 0 : gap);
  return total;
}

}  // namespace

// Text gives way down to a few letters; a number that is cut is another one.
void Table::cut(std::vector<std::size_t>& widths, std::size_t limit,
                int least_rank) const {
  for (int rank = yields_max; rank >= least_rank; --rank)
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::size_t total = line_width(widths);
      if (total <= limit) return;
      if (columns_[i].yields != rank || columns_[i].align == Align::right)
        continue;
      const std::size_t least = std::min(widths[i], cut_width_min);
      widths[i] -= std::min(total - limit, widths[i] - least);
    }
}

std::vector<std::size_t> Table::widths(std::size_t limit) const {
  std::vector<std::size_t> whole;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = code_points(columns_[i].title);
    for (const Row& row : rows_)
      width = std::max(width, code_points(row.cells[i]));
    whole.push_back(width);
  }
  std::vector<std::size_t> out = whole;
  if (limit == 0) return out;
  for (int rank = yields_max; rank >= 0; --rank)
    for (std::size_t i = columns_.size(); i-- > 0;) {
      out = whole;
      cut(out, limit, std::min(rank, 1));
      if (line_width(out) <= limit) return out;
      if (columns_[i].yields == rank && rank > 0) whole[i] = 0;
    }
  return out;
}

void Table::line(string& out, const Row& row,
                 const std::vector<std::size_t>& widths, bool colour) const {
  bool first = true;
  std::size_t padding = 0;  // owed by what came before
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] == 0) continue;
    const string cell = fitted(row.cells[i], widths[i]);
    if (!std::exchange(first, false)) padding += gap;
    const std::size_t room = widths[i] - code_points(cell);
    if (columns_[i].align == Align::right) padding += room;
    out.append(padding, ' ');
    out += toned(cell, row.tones[i], colour);
    padding = columns_[i].align == Align::left ? room : 0;
  }
  out += '\n';
}

string Table::text(const Terminal& terminal) const {
  const auto columns = widths(terminal.width);
  Row head;
  for (const Column& column : columns_) {
    head.cells.push_back(column.title);
    head.tones.push_back(Tone::strong);
  }
  string plain;
  line(plain, head, columns, false);
  string out;
  line(out, head, columns, terminal.colour);
  const bool lost = std::count(columns.begin(), columns.end(), 0u) > 0;
  if (lost && code_points(plain) + 1 <= terminal.width)
    out.insert(out.size() - 1, " …");
  for (const Row& row : rows_) line(out, row, columns, terminal.colour);
  return out;
}

namespace {

// Where the code point after the first `points` begins; colours are not
// counted.
std::size_t offset_of(string_view text, std::size_t points) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\033') {
      at = std::min(text.find('m', at), text.size() - 1) + 1;
      continue;
    }
    if (!continuation(text[at]) && points-- == 0) return at;
    ++at;
  }
  return text.size();
}

void wrap_line(string& out, string_view line, std::size_t width,
               std::size_t indent) {
  std::size_t room = width;
  std::size_t keep = indent;  // no break before this in the first line
  for (;;) {
    const std::size_t end = offset_of(line, room);
    if (end == line.size()) break;
    // The space may be just where the room ends.
    const std::size_t space = line.rfind(' ', end);
    const bool good = space != string_view::npos && space > keep;
    out += line.substr(0, good ? space : end);
    line.remove_prefix(good ? space + 1 : end);
    out += '\n';
    out.append(indent, ' ');
    room = width - indent;
    keep = 0;
  }
  out += line;
}

}  // namespace

string wrapped(string_view text, std::size_t width, std::size_t indent) {
  if (width == 0) return string(text);
  if (indent > width / 2) indent = std::min<std::size_t>(2, width / 2);
  string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    wrap_line(out, text.substr(0, end), width, indent);
    text.remove_prefix(end);
    if (text.empty()) break;
    out += '\n';
    text.remove_prefix(1);
  }
  return out;
}

void Sheet::add(string_view title, string value) {
  if (!value.empty()) lines_.emplace_back(title, printable(value));
}

string Sheet::text(const Terminal& terminal) const {
  std::size_t width = 0;
  for (const auto& [title, value] : lines_)
    width = std::max(width, title.size());
  string out;
  for (const auto& [title, value] : lines_)
    out += wrapped(fmt::format("{:<{}}  {}\n", title + ':', width + 1, value),
                   terminal.width, width + 3);
  return out;
}

void JsonObject::key(string_view key) {
  if (out_.size() > 1) out_ += ',';
  schema::append_json_string(out_, key);
  out_ += ':';
}

JsonObject& JsonObject::text(string_view name, string_view value) {
  key(name);
  schema::append_json_string(out_, value);
  return *this;
}

JsonObject& JsonObject::number(string_view name, std::uint64_t value) {
  return raw(name, fmt::format("{}", value));
}

JsonObject& JsonObject::integer(string_view name, std::int64_t value) {
  return raw(name, fmt::format("{}", value));
}

JsonObject& JsonObject::integer(string_view name, std::optional<int> value) {
  return raw(name, value ? fmt::format("{}", *value) : "null");
}

JsonObject& JsonObject::real(string_view name, double value) {
  return raw(name, fmt::format("{:.3f}", value));
}

JsonObject& JsonObject::truth(string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::time(string_view name, std::uint64_t time_at) {
  if (time_at == 0) return raw(name, "null");
  return text(name, schema::rfc3339(time_at));
}

JsonObject& JsonObject::raw(string_view name, string_view json) {
  key(name);
  out_ += json;
  return *this;
}

string json_array(const std::vector<string>& items) {
  return fmt::format("[{}]", fmt::join(items, ","));
}

string output_problem(int code) {
  return fmt::format(
      "cannot write the output: {}",
      code == EBADF ? "standard output is closed" : std::strerror(code));
}

void print(string_view text) {
  write_all(STDOUT_FILENO, text);
}

void say(string_view text) {
  string out;
  for (std::size_t end = 0; end != string_view::npos;) {
    end = text.find('\n');
    out += printable(text.substr(0, end)) + '\n';
    if (end != string_view::npos) text.remove_prefix(end + 1);
  }
  write_all(STDERR_FILENO, out);
}

string_view code_name(Errc code) {
  switch (code) {
    case Errc::usage: return "usage";
    case Errc::rejected: return "rejected";
    case Errc::not_found: return "not_found";
    case Errc::unreachable: return "unreachable";
    case Errc::damaged: return "damaged";
    case Errc::busy: return "busy";
    case Errc::no_space: return "no_space";
    case Errc::io: return "io";
    case Errc::unsupported: return "unsupported";
    case Errc::internal: return "internal";
  }
  return "internal";
}

int report(const Error& error, bool json) {
  if (json) {
    JsonObject inner;
    inner.text("code", code_name(error.code)).text("text", error.text);
    say(JsonObject().raw("error", inner.done()).done());
  } else {
    say(wrapped(fmt::format("reeve: {}", error.text), error_width(),
                error_indent));
  }
  return exit_code(error.code);
}

Progress::Progress(bool quiet)
    : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1),
      next_ns_(monotonic_ns() + silent_ns) {}

Progress::~Progress() {
  clear();
}

bool Progress::due() {
  return enabled_ && monotonic_ns() >= next_ns_;
}

void Progress::show(string_view text) {
  if (!enabled_) return;
  write_all(STDERR_FILENO, fmt::format("\r\033[K{}", text));
  shown_ = true;
  next_ns_ = monotonic_ns() + 100'000'000;
}

void Progress::clear() {
  if (shown_) write_all(STDERR_FILENO, "\r\033[K");
  shown_ = false;
}

}  // namespace reeve::tools

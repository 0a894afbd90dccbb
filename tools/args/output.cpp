#include "tools/args/output.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cluster/check.hpp"
#include "schema/json.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t gap = 2;
constexpr std::size_t cut_width_min = 6;

bool continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::size_t code_points(string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return !continuation(c); }));
}

// Control characters would move the cursor or colour the rest.
string printable(string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return text;
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
      if (file != STDERR_FILENO)
        say(fmt::format("reeve: cannot write the output: {}",
                        std::strerror(errno)));
      ::_exit(1);
    }
  }
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
  if (!out.is_terminal) return out;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  out.colour = (no_colour == nullptr || *no_colour == '\0') &&
               term != nullptr && string_view(term) != "dumb";
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) out.width = size.ws_col;
  return out;
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
    row.cells.push_back(cell.empty() ? "-" : printable(std::move(cell)));
    row.tones.push_back(Tone::plain);
  }
  rows_.push_back(std::move(row));
}

void Table::tone(std::size_t column, Tone tone) {
  rows_.back().tones[column] = tone;
}

std::vector<std::size_t> Table::widths(std::size_t limit) const {
  std::vector<std::size_t> out;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = code_points(columns_[i].title);
    for (const Row& row : rows_)
      width = std::max(width, code_points(row.cells[i]));
    out.push_back(width);
    total += width + (i == 0 ? 0 : gap);
  }
  if (limit == 0) return out;
  // The first to yield is the one with the greatest number.
  for (int rank = 9; rank > 0 && total > limit; --rank)
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].yields != rank || total <= limit) continue;
      const std::size_t least = std::min(out[i], cut_width_min);
      const std::size_t cut = std::min(total - limit, out[i] - least);
      out[i] -= cut;
      total -= cut;
    }
  return out;
}

void Table::line(string& out, const Row& row,
                 const std::vector<std::size_t>& widths, bool colour) const {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const string cell = fitted(row.cells[i], widths[i]);
    const string padding(widths[i] - code_points(cell), ' ');
    if (i != 0) out.append(gap, ' ');
    if (columns_[i].align == Align::right) out += padding;
    out += toned(cell, row.tones[i], colour);
    const bool last = i + 1 == columns_.size();
    if (columns_[i].align == Align::left && !last) out += padding;
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
  string out;
  line(out, head, columns, terminal.colour);
  for (const Row& row : rows_) line(out, row, columns, terminal.colour);
  return out;
}

void Sheet::add(string_view title, string value) {
  if (!value.empty()) lines_.emplace_back(title, printable(std::move(value)));
}

string Sheet::text() const {
  std::size_t width = 0;
  for (const auto& [title, value] : lines_)
    width = std::max(width, title.size());
  string out;
  for (const auto& [title, value] : lines_)
    out += fmt::format("{:<{}}  {}\n", title + ':', width + 1, value);
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

void print(string_view text) {
  write_all(STDOUT_FILENO, text);
}

void say(string_view text) {
  write_all(STDERR_FILENO, fmt::format("{}\n", text));
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
    say(fmt::format("reeve: {}", error.text));
  }
  return exit_code(error.code);
}

Progress::Progress(bool quiet)
    : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

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

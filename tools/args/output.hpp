// What people and scripts see: tables that fit the terminal, colours only
// where they help, JSON documents made of parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::tools {

// What the output goes to. `of_process` looks at standard output; NO_COLOR
// and TERM=dumb turn colours off, COLUMNS is the width of terminal and pipe.
struct Terminal {
  bool is_terminal = false;
  bool colour = false;
  std::size_t width = 0;   // 0: unlimited
  std::size_t height = 0;  // 0: not known
  static Terminal of_process();
};

enum class Tone { plain, good, bad, busy, faint, strong };

std::string toned(std::string_view text, Tone tone, bool colour);

// The tone that a session's or node's state is shown in.
Tone tone_of(std::string_view state);

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
    // Where the terminal is narrow, the greatest gives way first: text is cut,
    // then whole columns are left out. 0 stays.
    int yields = 0;
  };

  explicit Table(std::vector<Column> columns);
  void add(std::vector<std::string> cells);
  // Colours the last row's cell.
  void tone(std::size_t column, Tone tone);
  bool empty() const { return rows_.empty(); }
  // Aligned by code points; no line is wider than `terminal.width`. A head
  // that ends with "…" has lost a column.
  std::string text(const Terminal& terminal) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::vector<Tone> tones;
  };
  // Of each column; 0: it is left out.
  std::vector<std::size_t> widths(std::size_t limit) const;
  void cut(std::vector<std::size_t>& widths, std::size_t limit,
           int least_rank) const;
  void line(std::string& out, const Row& row,
            const std::vector<std::size_t>& widths, bool colour) const;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// Lines that are wider than `width` (0: none is) go on below, at a space where
// there is one, `indent` columns in. Colours take no room.
std::string wrapped(std::string_view text, std::size_t width,
                    std::size_t indent);

// "title: value" lines with the values aligned.
class Sheet {
 public:
  void add(std::string_view title, std::string value);
  std::string text(const Terminal& terminal = {}) const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// One JSON object, field by field. Values of `raw` are JSON already.
class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value);
  JsonObject& number(std::string_view key, std::uint64_t value);
  JsonObject& integer(std::string_view key, std::int64_t value);
  // null without a value.
  JsonObject& integer(std::string_view key, std::optional<int> value);
  JsonObject& real(std::string_view key, double value);
  JsonObject& truth(std::string_view key, bool value);
  JsonObject& time(std::string_view key, std::uint64_t time_at);
  JsonObject& raw(std::string_view key, std::string_view json);
  std::string done() const { return out_ + '}'; }

 private:
  void key(std::string_view key);
  std::string out_ = "{";
};

std::string json_array(const std::vector<std::string>& items);

// A failed write of it, by its errno. One that was closed before the start
// refuses all (tools/standard_files.hpp).
std::string output_problem(int code);
// Writes all of it to standard output; a reader that went away (EPIPE) ends
// the process quietly, any other failure is told.
void print(std::string_view text);
// To standard error, with a line end. Lines may be many; any other control
// character is a space.
void say(std::string_view text);

// "123" as a width; 0 for what is none.
std::size_t columns_of(std::string_view text);

// The error for people, one line that only a terminal has wrapped, and as
// {"error": {"code", "text"}} on standard error with --json. Returns the exit
// code.
int report(const Error& error, bool json);

std::string_view code_name(Errc code);

// One line on standard error that is written over, on a terminal only, from the
// first second on, ten times a second at most.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // True when it is time for a new text.
  bool due();
  void show(std::string_view text);
  void clear();

 private:
  static constexpr std::uint64_t silent_ns = 1'000'000'000;

  bool enabled_;
  bool shown_ = false;
  std::uint64_t next_ns_;
};

}  // namespace reeve::tools

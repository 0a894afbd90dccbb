// Lines and cells of a recorded workload, with the place of each for errors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::trace {

// Ten thousand years of seconds: far above any trace, safe in nanoseconds.
inline constexpr double trace_seconds_max = 1.8e10;

std::uint64_t nanoseconds(double seconds);

// Lines of a text, one at a time.
class Lines {
 public:
  Lines(std::string_view text, std::string_view file)
      : rest_(text), file_(file) {}

  // False at the end. Without the line's end. Errc::usage for a text of more
  // than trace_lines_max, or a line over trace_line_bytes_max; Errc::damaged
  // for bytes that are no text.
  Expected<bool> next();

  std::string_view line() const { return line_; }
  std::size_t number() const { return number_; }
  std::string_view file() const { return file_; }

  // About the line as a whole, or about what begins at `offset` of it.
  tl::unexpected<Error> error(std::string_view what) const;
  tl::unexpected<Error> error_at(std::size_t offset,
                                 std::string_view what) const;

 private:
  std::string_view rest_;
  std::string_view file_;
  std::string_view line_;
  std::size_t number_ = 0;
};

// A CSV read by the names in its header, one row at a time. Lines that begin
// with "#" and blank ones are passed over.
class Rows {
 public:
  Rows(std::string_view text, std::string_view file) : lines_(text, file) {}

  // Finds the columns; the first `required` of the known ones must be there.
  Status header(std::span<const std::string_view> known, std::size_t required);

  // False at the end of the text.
  Expected<bool> next();

  std::string_view text(std::size_t column) const;
  Expected<std::uint64_t> number(std::size_t column, std::uint64_t most) const;
  // Seconds, whole or with decimals; an empty cell is -1.
  Expected<double> seconds(std::size_t column) const;

  tl::unexpected<Error> error(std::size_t column, std::string_view what) const;

  // What the comments before the header said, in one.
  std::string_view comments() const { return comments_; }

 private:
  // The next line that is no comment.
  Expected<bool> next_row();
  void split();

  Lines lines_;
  std::string comments_;
  std::size_t width_ = 0;
  std::vector<std::string_view> cells_;
  std::vector<int> columns_;
};

// A piece of a line as an error shows it: cut, and without control characters.
std::string shown(std::string_view text);

}  // namespace reeve::trace

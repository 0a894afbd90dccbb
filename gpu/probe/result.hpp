// What a probe found, one line of JSON for each check.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace reeve::gpu::probe {

// A measured rate: bytes or operations per second.
struct Figure {
  std::string name;  // "memory_read", "fp32", ...
  double value = 0;

  bool operator==(const Figure&) const = default;
};

struct Result {
  std::string check;  // "memory", "bandwidth", "fp32", ...
  double seconds = 0;
  std::vector<Figure> figures;
  // What was wrong with what the device computed or kept, one sentence each.
  std::vector<std::string> wrong;
  // Why the check could not be made; empty when it was.
  std::string error;

  bool operator==(const Result&) const = default;
};

// The last one: without it the probe did not come to its end.
constexpr std::string_view end_of_probe = "end";

// One line, without its end.
std::string to_line(const Result& result);
// What is no result is told in one sentence.
tl::expected<Result, std::string> parse_line(std::string_view line);

// A longer line is none of the probe's.
constexpr std::size_t result_line_bytes_max = 64 * 1024;

}  // namespace reeve::gpu::probe

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "tools/args/output.hpp"
#include "tools/cli/session/follow.hpp"

namespace reeve::tools {
namespace {

// A line without an end is shown at this length.
constexpr std::size_t open_line_bytes_max = 64 << 10;

Status write_to(int file, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(file, data.data(), data.size());
    if (n > 0) {
      data.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd ready{file, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno == EPIPE) {
      return fail(Errc::io, std::string(reader_is_gone));
    } else if (errno != EINTR) {
      return fail(Errc::io, output_problem(errno));
    }
  }
  return {};
}

int file_of(StreamKey key) {
  return key.stream == 2 ? STDERR_FILENO : STDOUT_FILENO;
}

}  // namespace

Status OutputWriter::write(StreamKey key, std::string_view data) {
  if (!label_ranks_) return write_to(file_of(key), data);
  std::string& line = open_lines_[key];
  std::string whole;
  while (!data.empty()) {
    const std::size_t end = data.find('\n');
    line += data.substr(0, end);
    data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
    if (end == std::string_view::npos && line.size() < open_line_bytes_max)
      break;
    whole += fmt::format("{}: {}\n", key.rank, line);
    line.clear();
  }
  return write_to(file_of(key), whole);
}

Status OutputWriter::finish() {
  for (auto& [key, line] : open_lines_) {
    if (line.empty()) continue;
    auto good = write_to(file_of(key), fmt::format("{}: {}\n", key.rank, line));
    if (!good) return good;
    line.clear();
  }
  return {};
}

}  // namespace reeve::tools

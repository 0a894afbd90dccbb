#include "tools/trace/text_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace reeve::tools {

Expected<std::string> read_text_file(const std::string& path) {
  std::error_code broken;
  const auto size = std::filesystem::file_size(path, broken);
  if (broken)
    return fail(Errc::not_found,
                fmt::format("cannot read {}: {}", path, broken.message()));
  if (size > text_file_bytes_max)
    return fail(Errc::usage, fmt::format("{} has {} bytes; at most {} are read",
                                         path, size, text_file_bytes_max));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in && size > 0) text << in.rdbuf();
  if (!in)
    return fail(Errc::not_found,
                fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return std::move(text).str();
}

}  // namespace reeve::tools

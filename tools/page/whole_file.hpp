// A file that is there whole or not at all: written beside its place and put
// there at the end.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve::tools {

class WholeFile {
 public:
  // Fails early where nothing could be written: Errc::io names the path and
  // why. "-" is standard output; what is no regular file (a pipe, a device)
  // is written to as it is.
  static Expected<WholeFile> open(const std::filesystem::path& path);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();  // without finish() nothing is left

  Status finish(std::string_view bytes);

 private:
  WholeFile() = default;
  std::filesystem::path path_;
  std::string beside_;  // empty: written in place
  int file_ = -1;
};

}  // namespace reeve::tools

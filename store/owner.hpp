// One process writes a log: the file `owner` is locked while it does and
// holds its process id for people to read.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include "cluster/error.hpp"

namespace reeve::store {

// So long a process that was killed may go on holding it.
inline constexpr std::chrono::milliseconds ending_wait{2'000};

class Owner {
 public:
  // Errc::busy naming the process that holds the log. Waits for one that is
  // ending.
  static Expected<std::unique_ptr<Owner>> take(
      const std::filesystem::path& file);
  // Who holds the log, if anybody does.
  static std::optional<pid_t> holder(const std::filesystem::path& file);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner();

 private:
  Owner(int fd, std::filesystem::path file);

  int fd_;
  std::filesystem::path file_;
};

}  // namespace reeve::store

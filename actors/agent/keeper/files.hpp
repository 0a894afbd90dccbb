// Small helpers around file descriptors and one-line kernel files.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/error.hpp"

namespace reeve::keeper {

// Owns one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// "reading /x/y: No such file or directory", from errno.
Error system_error(std::string what, int error);

Expected<std::string> read_file(const std::string& path);
// One write of the whole text to an existing file, as kernel files want it.
Status write_kernel_file(const std::string& path, std::string_view text);
// The first number in the text; `otherwise` when there is none.
std::uint64_t to_number(std::string_view text, std::uint64_t otherwise = 0);
// The number after `name` and a space at the start of a line.
std::uint64_t field(std::string_view text, std::string_view name);

// User and system.
std::uint64_t cpu_ns_of(const rusage& used);

std::uint64_t unix_now_ns();
std::uint64_t boot_now_ns();

}  // namespace reeve::keeper

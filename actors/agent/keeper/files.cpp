#include "actors/agent/keeper/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

namespace reeve::keeper {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Error system_error(std::string what, int error) {
  return {Errc::io, std::move(what) + ": " + std::strerror(error)};
}

Expected<std::string> read_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return tl::unexpected(system_error("reading " + path, errno));
  std::string text;
  char buffer[4096];
  for (;;) {
    auto got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(system_error("reading " + path, errno));
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Status write_kernel_file(const std::string& path, std::string_view text) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return tl::unexpected(system_error("opening " + path, errno));
  if (::write(fd.get(), text.data(), text.size()) < 0) {
    return tl::unexpected(system_error(
        "writing \"" + std::string(text) + "\" to " + path, errno));
  }
  return {};
}

std::uint64_t to_number(std::string_view text, std::uint64_t otherwise) {
  std::uint64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (line.size() > name.size() && line.starts_with(name) &&
        line[name.size()] == ' ') {
      return to_number(line.substr(name.size() + 1));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return 0;
}

std::uint64_t cpu_ns_of(const rusage& used) {
  auto ns = [](const timeval& at) {
    return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(at.tv_usec) * 1000u;
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

namespace {
std::uint64_t clock_ns(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(at.tv_nsec);
}
}  // namespace

std::uint64_t unix_now_ns() {
  return clock_ns(CLOCK_REALTIME);
}
std::uint64_t boot_now_ns() {
  return clock_ns(CLOCK_BOOTTIME);
}

}  // namespace reeve::keeper

#include "bus/private_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace reeve::bus {
namespace {

auto os_error(const std::filesystem::path& file, const char* what) {
  return fail(
      errno == ENOENT ? Errc::not_found
                      : (errno == ENOSPC ? Errc::no_space : Errc::io),
      fmt::format("{} {}: {}", what, file.string(), std::strerror(errno)));
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

Status write_private_file(const std::filesystem::path& file,
                          std::string_view text) {
  const auto present = read_private_file(file, text.size());
  if (present && *present == text) return {};
  const std::string fresh = fmt::format("{}.{}", file.string(), ::getpid());
  const auto failed = [&](const char* what) {
    auto error = os_error(file, what);
    ::unlink(fresh.c_str());
    return error;
  };
  {
    ::unlink(fresh.c_str());
    const Descriptor out{
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (out.fd < 0) return failed("write");
    while (!text.empty()) {
      const ssize_t n = ::write(out.fd, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("write");
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(out.fd) != 0) return failed("sync");
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) return failed("replace");
  const std::string folder =
      file.has_parent_path() ? file.parent_path().string() : ".";
  const Descriptor in{
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (in.fd < 0 || ::fsync(in.fd) != 0) return os_error(file, "sync");
  return {};
}

Expected<std::string> read_private_file(const std::filesystem::path& file,
                                        std::size_t bytes_max) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return os_error(file, "read");
  struct stat info {};
  if (::fstat(in.fd, &info) != 0) return os_error(file, "read");
  if ((info.st_mode & 077) != 0)
    return fail(Errc::rejected,
                fmt::format("{} has mode {:o}, others may read the secret "
                            "in it: chmod 600 it, or make new ones",
                            file.string(), info.st_mode & 07777));
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t n = ::read(in.fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(file, "read");
    if (n == 0) return text;
    text.append(block, static_cast<std::size_t>(n));
    if (text.size() > bytes_max)
      return fail(Errc::damaged,
                  fmt::format("{} is over {} bytes: not a file of ours",
                              file.string(), bytes_max));
  }
}

}  // namespace reeve::bus

#include "tools/page/whole_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace reeve::tools {
namespace {

tl::unexpected<Error> cannot(const std::filesystem::path& path, int error) {
  return fail(Errc::io, fmt::format("cannot write {}: {}", path.native(),
                                    std::strerror(error)));
}

// Whether the path is something that a rename must not replace.
bool in_place(const std::filesystem::path& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode) &&
         !S_ISDIR(found.st_mode);
}

mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace

Expected<WholeFile> WholeFile::open(const std::filesystem::path& path) {
  WholeFile out;
  out.path_ = path;
  if (path == "-") {
    out.file_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  } else if (in_place(path)) {
    out.file_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  } else if (std::filesystem::is_directory(path)) {
    return cannot(path, EISDIR);
  } else {
    out.beside_ = path.native() + ".XXXXXX";
    out.file_ = ::mkostemp(out.beside_.data(), O_CLOEXEC);
    if (out.file_ < 0) out.beside_.clear();
  }
  if (out.file_ < 0) return cannot(path, errno);
  return out;
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : path_(std::move(other.path_)),
      beside_(std::exchange(other.beside_, {})),
      file_(std::exchange(other.file_, -1)) {}

WholeFile::~WholeFile() {
  if (file_ >= 0) ::close(file_);
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

Status WholeFile::finish(std::string_view bytes) {
  int error = write_all(file_, bytes);
  if (error == 0 && !beside_.empty() && ::fchmod(file_, usual_mode()) != 0)
    error = errno;
  if (::close(std::exchange(file_, -1)) != 0 && error == 0) error = errno;
  if (error == 0 && !beside_.empty()) {
    if (::rename(beside_.c_str(), path_.c_str()) != 0) error = errno;
    if (error == 0) beside_.clear();
  }
  if (error != 0) return cannot(path_, error);
  return {};
}

}  // namespace reeve::tools

#include "store/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace reeve::store {

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

int FileHandle::release() {
  return std::exchange(fd_, -1);
}

tl::unexpected<Error> fail_errno(const char* what,
                                 const std::filesystem::path& file) {
  const int error = errno;
  const Errc code = error == ENOENT                      ? Errc::not_found
                    : error == ENOSPC || error == EDQUOT ? Errc::no_space
                                                         : Errc::io;
  return fail(code, std::string(what) + " " + file.string() + ": " +
                        std::strerror(error));
}

Status sync_directory(const std::filesystem::path& directory) {
  const FileHandle fd(
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open", directory);
  if (::fsync(fd.get()) != 0) return fail_errno("cannot sync", directory);
  return {};
}

Status write_all(const FileHandle& to, std::span<const std::byte> bytes,
                 const std::filesystem::path& name) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(to.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write", name);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status make_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return fail(Errc::io, "cannot make the directory " + directory.string() +
                              ": " + error.message());
  return {};
}

}  // namespace reeve::store

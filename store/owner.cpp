#include "store/owner.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "cluster/process_stat.hpp"
#include "store/file.hpp"

namespace reeve::store {

namespace {

// Record locks do not conflict inside one process, and closing any descriptor
// of the file drops them, so the process keeps its own list and looks there
// before it opens the file. The process id tells a forked child that the list
// it inherited is its parent's.
std::mutex held_mutex;
std::map<std::filesystem::path, pid_t>& held_files() {
  static std::map<std::filesystem::path, pid_t> files;
  return files;
}

tl::unexpected<Error> held_by(const std::filesystem::path& file,
                              const std::string& pid) {
  return fail(Errc::busy, "the log in " + file.parent_path().string() +
                              " is held by process " + pid +
                              ": stop that process first");
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

std::optional<pid_t> locked_by(int fd) {
  struct flock lock = whole_file();
  if (::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK &&
      lock.l_pid > 0)
    return lock.l_pid;
  return std::nullopt;
}

std::string holder_of(int fd) {
  if (const auto pid = locked_by(fd)) return std::to_string(*pid);
  char text[32];
  const ssize_t got = ::pread(fd, text, sizeof(text), 0);
  std::string pid(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "(unknown)" : pid;
}

// Its first thread has ended, and others may hold files for a moment longer.
bool is_ending(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const auto stat = cluster::process_stat(text);
  return !stat || stat->has_ended();
}

Status lock_whole(int fd, const std::filesystem::path& file) {
  const auto deadline = std::chrono::steady_clock::now() + ending_wait;
  struct flock lock = whole_file();
  while (::fcntl(fd, F_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES)
      return fail_errno("cannot lock", file);
    const auto holder = locked_by(fd);
    if ((holder && !is_ending(*holder)) ||
        std::chrono::steady_clock::now() >= deadline)
      return held_by(file, holder_of(fd));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

}  // namespace

Expected<std::unique_ptr<Owner>> Owner::take(
    const std::filesystem::path& given) {
  std::error_code error;
  const auto file = std::filesystem::weakly_canonical(given, error);
  if (error) return fail(Errc::io, given.string() + ": " + error.message());
  const std::lock_guard guard(held_mutex);
  const auto held = held_files().find(file);
  if (held != held_files().end() && held->second == ::getpid())
    return held_by(file, std::to_string(::getpid()) + " (this one)");
  FileHandle fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return fail_errno("cannot open", file);
  if (auto locked = lock_whole(fd.get(), file); !locked)
    return tl::unexpected(locked.error());
  const std::string pid = std::to_string(::getpid()) + "\n";
  // The text is for people; the lock is what counts, so a full disk is no
  // reason to refuse here.
  if (::ftruncate(fd.get(), 0) == 0) [[maybe_unused]]
    const ssize_t put = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
  held_files()[file] = ::getpid();
  return std::unique_ptr<Owner>(new Owner(fd.release(), file));
}

std::optional<pid_t> Owner::holder(const std::filesystem::path& given) {
  std::error_code error;
  const auto file = std::filesystem::weakly_canonical(given, error);
  if (error) return std::nullopt;
  const std::lock_guard guard(held_mutex);
  const auto held = held_files().find(file);
  if (held != held_files().end() && held->second == ::getpid())
    return ::getpid();
  // F_GETLK of a write lock needs no right to write.
  const FileHandle fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.valid() ? locked_by(fd.get()) : std::nullopt;
}

Owner::Owner(int fd, std::filesystem::path file)
    : fd_(fd), file_(std::move(file)) {}

Owner::~Owner() {
  const std::lock_guard guard(held_mutex);
  [[maybe_unused]] const int cut = ::ftruncate(fd_, 0);
  ::close(fd_);
  held_files().erase(file_);
}

}  // namespace reeve::store

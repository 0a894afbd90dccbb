#include "store/reserve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "cluster/units.hpp"
#include "store/file.hpp"

namespace reeve::store {

namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::uint64_t allocated_bytes(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

bool lay(const std::filesystem::path& file, std::uint64_t bytes) {
  const FileHandle fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return false;
  if (::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) == 0)
    return true;
  ::unlink(file.c_str());
  return false;
}

}  // namespace

Reserve::Reserve(std::filesystem::path ballast, std::filesystem::path reserve,
                 std::uint64_t floor_bytes, std::uint64_t kept_bytes)
    : ballast_(std::move(ballast)),
      reserve_(std::move(reserve)),
      floor_bytes_(floor_bytes),
      kept_bytes_(kept_bytes),
      // The database's own log is laid out by a memory table's size at a time,
      // and opening the database lays out a fresh one.
      reserve_bytes_(floor_bytes == 0 ? 0
                                      : 3 * kept_bytes + reserve_facts_bytes) {
  ballast_held_ =
      floor_bytes_ != 0 && allocated_bytes(ballast_) >= floor_bytes_;
  reserve_held_ =
      reserve_bytes_ != 0 && allocated_bytes(reserve_) >= reserve_bytes_;
  look();
}

bool Reserve::admission_open() {
  const std::lock_guard guard(mutex_);
  if (now_ms() - looked_at_ms_ >= look_interval_ms) look();
  return admission_open_;
}

std::string Reserve::room() {
  const std::lock_guard guard(mutex_);
  // A ballast that was given up is to be laid again first.
  const std::uint64_t needed = ballast_held_ ? floor_bytes_ : 2 * floor_bytes_;
  return "the disk under " + ballast_.parent_path().string() + " has " +
         format_bytes(seen_free_bytes_) + " free, and new sessions need " +
         format_bytes(needed) + " (log.floor is " + format_bytes(floor_bytes_) +
         ")";
}

Status Reserve::allow(std::uint64_t bytes) {
  const std::lock_guard guard(mutex_);
  std::uint64_t free_bytes = look();
  const auto fits = [&] {
    return free_bytes >= bytes && free_bytes - bytes >= kept_bytes_;
  };
  // Nothing is refused while there is something to give up.
  if (!fits() && ballast_held_) {
    drop_ballast();
    admission_open_ = false;
    seen_free_bytes_ = free_bytes = this->free_bytes();
  }
  if (!fits() && drop_reserve())
    seen_free_bytes_ = free_bytes = this->free_bytes();
  if (fits()) return {};
  return fail(Errc::no_space,
              "the disk under " + ballast_.parent_path().string() + " has " +
                  std::to_string(free_bytes) + " bytes free, and " +
                  std::to_string(bytes) + " more would leave less than " +
                  std::to_string(kept_bytes_) + ": free some space");
}

std::uint64_t Reserve::free_bytes() {
  struct statvfs info {};
  // Not knowing is no reason to stop: a write that fails says so itself.
  if (::statvfs(ballast_.parent_path().c_str(), &info) != 0)
    return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

// Returns the free bytes beside ballast and reserve.
std::uint64_t Reserve::look() {
  looked_at_ms_ = now_ms();
  return seen_free_bytes_ = look_and_lay();
}

std::uint64_t Reserve::look_and_lay() {
  std::uint64_t free_bytes = this->free_bytes();
  if (free_bytes == std::numeric_limits<std::uint64_t>::max()) {
    admission_open_ = true;
    return free_bytes;
  }
  if (ballast_held_ && free_bytes < floor_bytes_ / 2) {
    drop_ballast();
    free_bytes += floor_bytes_;
  } else if (!ballast_held_ && free_bytes >= 2 * floor_bytes_ &&
             lay_ballast()) {
    free_bytes -= floor_bytes_;
  }
  if (ballast_held_ && !reserve_held_ && reserve_bytes_ != 0 &&
      free_bytes >= floor_bytes_ + reserve_bytes_ &&
      lay(reserve_, reserve_bytes_)) {
    reserve_held_ = true;
    free_bytes -= reserve_bytes_;
  }
  admission_open_ = ballast_held_ && free_bytes >= floor_bytes_;
  return free_bytes;
}

bool Reserve::lay_ballast() {
  return ballast_held_ = floor_bytes_ == 0 || lay(ballast_, floor_bytes_);
}

void Reserve::drop_ballast() {
  ::unlink(ballast_.c_str());
  ballast_held_ = false;
}

bool Reserve::drop_reserve() {
  if (!std::exchange(reserve_held_, false)) return false;
  ::unlink(reserve_.c_str());
  return true;
}

}  // namespace reeve::store

// Small helpers around file descriptors and errno.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "cluster/error.hpp"

namespace reeve::store {

// Owns one descriptor.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

// The sentence for the current errno: not_found, no_space or io.
tl::unexpected<Error> fail_errno(const char* what,
                                 const std::filesystem::path& file);

// Makes a created, renamed or removed name in this directory durable.
Status sync_directory(const std::filesystem::path& directory);

Status write_all(const FileHandle& to, std::span<const std::byte> bytes,
                 const std::filesystem::path& name);

// Makes the directory and its parents.
Status make_directory(const std::filesystem::path& directory);

}  // namespace reeve::store

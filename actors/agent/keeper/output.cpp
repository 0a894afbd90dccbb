#include "actors/agent/keeper/output.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace reeve::keeper {
namespace {

std::vector<std::uint64_t> tail_offsets(const std::string& directory) {
  std::vector<std::uint64_t> offsets;
  DIR* dir = ::opendir(directory.c_str());
  if (!dir) return offsets;
  while (auto* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') offsets.push_back(to_number(entry->d_name));
  }
  ::closedir(dir);
  std::sort(offsets.begin(), offsets.end());
  return offsets;
}

std::uint64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0
             ? static_cast<std::uint64_t>(info.st_size)
             : 0;
}

void remove_tail(const std::string& path) {
  const auto tail = path + ".tail";
  for (auto offset : tail_offsets(tail)) {
    ::unlink((tail + "/" + std::to_string(offset)).c_str());
  }
  ::rmdir(tail.c_str());
}

// Bytes of a file whose first byte has the offset `start`.
Expected<std::string> read_from(const std::string& path, std::uint64_t start,
                                std::uint64_t offset, std::size_t bytes_max) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::string();
  if (!fd) return tl::unexpected(system_error("opening " + path, errno));
  std::string bytes(bytes_max, '\0');
  std::size_t got = 0;
  while (got < bytes_max) {
    auto n = ::pread(fd.get(), bytes.data() + got, bytes_max - got,
                     static_cast<off_t>(offset - start + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(system_error("reading " + path, errno));
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

}  // namespace

std::string output_path(const std::string& directory, const TaskKey& key,
                        Stream stream) {
  return directory + "/" + to_string(key) +
         (stream == Stream::out ? ".out" : ".err");
}

OutputFile::OutputFile(std::string path, std::uint64_t bytes_max)
    : path_(std::move(path)) {
  if (bytes_max == 0) bytes_max = output_bytes_default;
  bytes_max = std::max(bytes_max, output_bytes_min);
  head_max_ = bytes_max / 2;
  tail_max_ = bytes_max / 4;
}

std::string OutputFile::tail_path(std::uint64_t offset) const {
  return path_ + ".tail/" + std::to_string(offset);
}

Status OutputFile::open_head() {
  file_.reset(
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) return tl::unexpected(system_error("making " + path_, errno));
  return {};
}

Status OutputFile::open_tail() {
  auto directory = path_ + ".tail";
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return tl::unexpected(system_error("making " + directory, errno));
  }
  // Make room first: of three files the oldest goes.
  if (in_tail_ && previous_tail_ != 0) {
    ::unlink(tail_path(previous_tail_).c_str());
  }
  previous_tail_ = in_tail_ ? tail_start_ : 0;
  tail_start_ = end_;
  in_tail_ = true;
  auto path = tail_path(end_);
  file_.reset(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) return tl::unexpected(system_error("making " + path, errno));
  return {};
}

Status OutputFile::append(std::string_view bytes) {
  Status result;
  while (!bytes.empty()) {
    if (end_ == 0 && !file_) {
      if (auto opened = open_head(); !opened) result = opened;
    }
    if (!in_tail_ && end_ >= head_max_) {
      if (auto opened = open_tail(); !opened) result = opened;
    } else if (in_tail_ && end_ - tail_start_ >= tail_max_) {
      if (auto opened = open_tail(); !opened) result = opened;
    }
    auto room = in_tail_ ? tail_max_ - (end_ - tail_start_) : head_max_ - end_;
    auto size = std::min<std::uint64_t>(room, bytes.size());
    auto start = in_tail_ ? tail_start_ : 0;
    std::size_t done = 0;
    while (file_ && done < size) {
      auto n = ::pwrite(file_.get(), bytes.data() + done, size - done,
                        static_cast<off_t>(end_ - start + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        result = tl::unexpected(system_error("writing " + path_, errno));
        break;
      }
      done += static_cast<std::size_t>(n);
    }
    end_ += size;
    bytes.remove_prefix(size);
  }
  return result;
}

Expected<OutputPiece> read_output(const std::string& directory,
                                  const TaskKey& key, Stream stream,
                                  std::uint64_t offset, std::size_t bytes_max) {
  auto path = output_path(directory, key, stream);
  auto head = read_from(path, 0, offset, bytes_max);
  if (!head) return tl::unexpected(head.error());
  if (!head->empty()) return OutputPiece{offset, std::move(*head)};
  auto tails = tail_offsets(path + ".tail");
  for (std::size_t at = 0; at < tails.size(); ++at) {
    if (at + 1 < tails.size() && tails[at + 1] <= offset) continue;
    auto from = std::max(offset, tails[at]);
    auto file = path + ".tail/" + std::to_string(tails[at]);
    auto bytes = read_from(file, tails[at], from, bytes_max);
    if (!bytes) return tl::unexpected(bytes.error());
    if (!bytes->empty()) return OutputPiece{from, std::move(*bytes)};
  }
  return OutputPiece{offset, {}};
}

std::uint64_t output_bytes(const std::string& directory, const TaskKey& key) {
  std::uint64_t bytes = 0;
  for (auto stream : {Stream::out, Stream::err}) {
    auto path = output_path(directory, key, stream);
    const auto head = size_of(path);
    bytes += head;
    if (head == 0) continue;
    for (auto offset : tail_offsets(path + ".tail")) {
      bytes += size_of(path + ".tail/" + std::to_string(offset));
    }
  }
  return bytes;
}

void empty_output(const std::string& directory, const TaskKey& key) {
  auto path = output_path(directory, key, Stream::out);
  // First, so that no reader takes the task for one that wrote nothing.
  Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  remove_tail(path);
  path = output_path(directory, key, Stream::err);
  remove_tail(path);
  ::unlink(path.c_str());
}

// The file is made at the first byte, so one of a task that wrote has some.
bool output_is_gone(const std::string& directory, const TaskKey& key) {
  struct stat info {};
  const auto path = output_path(directory, key, Stream::out);
  return ::stat(path.c_str(), &info) == 0 && info.st_size == 0;
}

void remove_output(const std::string& directory, const TaskKey& key) {
  for (auto stream : {Stream::out, Stream::err}) {
    auto path = output_path(directory, key, stream);
    ::unlink(path.c_str());
    remove_tail(path);
  }
}

}  // namespace reeve::keeper

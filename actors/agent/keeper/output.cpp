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

std::optional<std::uint64_t> size_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
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

struct Written {
  std::size_t bytes = 0;
  int error = 0;
};

Written write_at(int fd, std::string_view bytes, std::uint64_t at) {
  Written out;
  while (out.bytes < bytes.size()) {
    auto n = ::pwrite(fd, bytes.data() + out.bytes, bytes.size() - out.bytes,
                      static_cast<off_t>(at + out.bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      out.error = errno;
      break;
    }
    out.bytes += static_cast<std::size_t>(n);
  }
  return out;
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

std::string OutputFile::path_of(std::uint64_t start) const {
  return start == 0 ? path_ : path_ + ".tail/" + std::to_string(start);
}

// The file that goes on at the end.
Status OutputFile::open() {
  file_.reset();
  if (end_ != 0) {
    if (auto ready = open_tail(); !ready) return ready;
  }
  auto path = path_of(end_);
  file_.reset(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) return tl::unexpected(system_error("making " + path, errno));
  current_ = {end_, 0};
  return {};
}

Status OutputFile::open_tail() {
  auto directory = path_ + ".tail";
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return tl::unexpected(system_error("making " + directory, errno));
  }
  if (current_.start != 0 && current_.size != 0) tails_.push_back(current_);
  current_ = {};
  make_room_in_tail();
  return {};
}

// Before a file is added: what stays fits into one, so that both fit into two.
void OutputFile::make_room_in_tail() {
  std::uint64_t bytes = 0;
  for (const auto& tail : tails_) bytes += tail.size;
  while (bytes > tail_max_ || tails_.size() >= tail_files_max) {
    bytes -= tails_.front().size;
    ::unlink(path_of(tails_.front().start).c_str());
    tails_.erase(tails_.begin());
  }
}

// What follows lies in a file of its own, so that no file has a hole; made at
// once, its name tells readers how much is missing.
void OutputFile::drop(std::uint64_t bytes) {
  // An empty head would say that the output made room for newer one.
  if (file_ && current_.size == 0) ::unlink(path_of(current_.start).c_str());
  end_ += bytes;
  (void)open();
}

Status OutputFile::append(std::string_view bytes) {
  Status result;
  while (!bytes.empty()) {
    if (!file_ || current_.size >= bytes_max_of(current_)) {
      if (auto opened = open(); !opened) {
        end_ += bytes.size();
        return opened;
      }
    }
    auto room = bytes_max_of(current_) - current_.size;
    auto part = bytes.substr(0, room);
    auto written = write_at(file_.get(), part, current_.size);
    current_.size += written.bytes;
    end_ += written.bytes;
    if (written.error != 0) {
      result = tl::unexpected(system_error("writing " + path_, written.error));
      drop(part.size() - written.bytes);
    }
    bytes.remove_prefix(part.size());
  }
  return result;
}

Expected<OutputPiece> read_output(const std::string& directory,
                                  const TaskKey& key, Stream stream,
                                  std::uint64_t offset, std::size_t bytes_max) {
  auto path = output_path(directory, key, stream);
  // First: no file of these is made before the one before it is complete.
  auto tails = tail_offsets(path + ".tail");
  auto head = read_from(path, 0, offset, bytes_max);
  if (!head) return tl::unexpected(head.error());
  if (!head->empty()) return OutputPiece{offset, std::move(*head)};
  for (std::size_t at = 0; at < tails.size(); ++at) {
    if (at + 1 < tails.size() && tails[at + 1] <= offset) continue;
    auto from = std::max(offset, tails[at]);
    auto file = path + ".tail/" + std::to_string(tails[at]);
    auto bytes = read_from(file, tails[at], from, bytes_max);
    if (!bytes) return tl::unexpected(bytes.error());
    if (!bytes->empty()) return OutputPiece{from, std::move(*bytes)};
  }
  return OutputPiece{tails.empty() ? offset : std::max(offset, tails.back()),
                     {}};
}

std::optional<std::uint64_t> output_bytes(const std::string& directory,
                                          const TaskKey& key) {
  std::optional<std::uint64_t> bytes;
  const auto add = [&](const std::string& path) {
    if (const auto size = size_of(path)) bytes = bytes.value_or(0) + *size;
  };
  for (auto stream : {Stream::out, Stream::err}) {
    const auto path = output_path(directory, key, stream);
    add(path);
    for (auto offset : tail_offsets(path + ".tail")) {
      add(path + ".tail/" + std::to_string(offset));
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

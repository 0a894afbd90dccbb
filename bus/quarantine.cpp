#include "bus/quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

namespace reeve::bus {
namespace {

constexpr std::size_t head_bytes_max = 32;
constexpr std::string_view suffix = ".message";

std::string hex_head(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes.first(std::min(bytes.size(), head_bytes_max)))
    fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<int>(b));
  return text;
}

std::filesystem::path file_path(const std::filesystem::path& directory,
                                std::uint64_t number) {
  return directory / fmt::format("{:08}{}", number, suffix);
}

// The highest number of a kept file; files of an earlier run stay until newer
// ones push them out.
std::uint64_t last_file(const std::filesystem::path& directory) {
  std::uint64_t last = 0;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    std::uint64_t number = 0;
    const auto parsed =
        std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc() &&
        parsed.ptr == name.data() + name.size() - suffix.size())
      last = std::max(last, number);
  }
  return last;
}

}  // namespace

Quarantine::Quarantine(QuarantineOptions options)
    : options_(std::move(options)) {
  if (options_.directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(options_.directory, error);
  next_file_ = last_file(options_.directory) + 1;
}

void Quarantine::add(std::string_view kind, std::string_view subject,
                     Bytes bytes, std::string_view reason) {
  Quarantined entry{0,
                    std::string(kind),
                    std::string(subject),
                    bytes.size(),
                    std::string(reason),
                    hex_head(bytes)};
  const std::lock_guard lock(mutex_);
  entry.number = ++count_;
  if (may_write()) write(next_file_++, entry, bytes);
  recent_.push_back(std::move(entry));
  if (recent_.size() > options_.recent_max) recent_.pop_front();
}

bool Quarantine::may_write() {
  if (options_.directory.empty()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    written_this_second_ = 0;
  }
  return written_this_second_++ < options_.files_per_second_max;
}

// A text head, an empty line, then the bytes as they came.
void Quarantine::write(std::uint64_t file, const Quarantined& entry,
                       Bytes bytes) const {
  std::ofstream out(file_path(options_.directory, file), std::ios::binary);
  out << fmt::format("expected: {}\nsubject: {}\nbytes: {}\nreason: {}\n\n",
                     entry.kind, entry.subject, entry.bytes, entry.reason);
  const std::size_t kept = std::min(bytes.size(), options_.file_bytes_max);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(kept));
  if (file <= options_.files_max) return;
  std::error_code error;
  std::filesystem::remove(
      file_path(options_.directory, file - options_.files_max), error);
}

std::uint64_t Quarantine::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::vector<Quarantined> Quarantine::recent() const {
  const std::lock_guard lock(mutex_);
  return {recent_.begin(), recent_.end()};
}

}  // namespace reeve::bus

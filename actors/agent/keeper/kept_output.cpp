#include "actors/agent/keeper/kept_output.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/agent/keeper/output.hpp"

namespace reeve::keeper {
namespace {

// Of "17.1.0.out", "17.1.0.err.tail" and the like.
std::optional<TaskKey> key_of(std::string_view name) {
  const char* at = name.data();
  const char* const end = at + name.size();
  const auto take = [&](auto& number) {
    const auto parsed = std::from_chars(at, end, number);
    const bool good =
        parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '.';
    at = parsed.ptr + 1;
    return good;
  };
  TaskKey key;
  if (!take(key.session) || !take(key.attempt) || !take(key.rank))
    return std::nullopt;
  return key;
}

std::uint64_t written_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return 0;
  constexpr std::uint64_t ns_per_s = 1'000'000'000;
  return static_cast<std::uint64_t>(info.st_mtim.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(info.st_mtim.tv_nsec);
}

}  // namespace

KeptOutput::KeptOutput(std::string directory, std::size_t outputs_max)
    : directory_(std::move(directory)), outputs_max_(outputs_max) {}

void KeptOutput::find(const std::function<bool(const TaskKey&)>& is_held) {
  std::map<TaskKey, std::uint64_t> found;
  DIR* dir = ::opendir(directory_.c_str());
  if (!dir) return;
  while (auto* entry = ::readdir(dir)) {
    const auto key = key_of(entry->d_name);
    if (!key || is_held(*key)) continue;
    auto& newest = found[*key];
    newest = std::max(newest, written_at(directory_ + "/" + entry->d_name));
  }
  ::closedir(dir);
  std::vector<std::pair<std::uint64_t, TaskKey>> by_age;
  for (const auto& [key, when] : found) by_age.emplace_back(when, key);
  std::sort(by_age.begin(), by_age.end());
  for (const auto& [when, key] : by_age) add(key);
}

void KeptOutput::add(const TaskKey& key) {
  if (output_is_gone(directory_, key)) {
    emptied_.push_back(key);
  } else if (const auto bytes = output_bytes(directory_, key)) {
    kept_.push_back({key, *bytes});
    bytes_ += *bytes;
  }
  trim();
}

void KeptOutput::set_bytes_max(std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  trim();
}

void KeptOutput::trim() {
  while (bytes_ > bytes_max_ && kept_.size() > 1) {
    empty_output(directory_, kept_.front().key);
    emptied_.push_back(kept_.front().key);
    bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
  while (emptied_.size() + kept_.size() > outputs_max_) {
    if (emptied_.empty()) {
      remove_output(directory_, kept_.front().key);
      bytes_ -= kept_.front().bytes;
      kept_.pop_front();
    } else {
      remove_output(directory_, emptied_.front());
      emptied_.pop_front();
    }
  }
}

}  // namespace reeve::keeper

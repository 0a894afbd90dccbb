// The newest rejections, by command: one that arrives twice gets one answer,
// though it might be accepted by then. They are in memory only. A manager that
// begins anew may decide again what its predecessor rejected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "schema/types_generated.h"

namespace reeve::manager {

// The oldest is forgotten first.
inline constexpr std::size_t rejections_kept_max = 4096;

class RecentRejections {
 public:
  // The answer that the command got; null: it was not rejected, or long ago.
  const std::vector<std::byte>* find(const schema::Id128& command) const {
    const auto found = answers_.find(key_of(command));
    return found == answers_.end() ? nullptr : &found->second;
  }

  void add(const schema::Id128& command, std::vector<std::byte> answer) {
    const Key key = key_of(command);
    if (!answers_.emplace(key, std::move(answer)).second) return;
    by_age_.push_back(key);
    if (by_age_.size() <= rejections_kept_max) return;
    answers_.erase(by_age_.front());
    by_age_.pop_front();
  }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  static Key key_of(const schema::Id128& id) { return {id.high(), id.low()}; }

  std::map<Key, std::vector<std::byte>> answers_;
  std::deque<Key> by_age_;
};

}  // namespace reeve::manager

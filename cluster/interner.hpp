// Byte strings kept once, with a count of their users. Ids are dense and are
// used again after the last release.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "cluster/check.hpp"

namespace reeve::cluster {

class Interner {
 public:
  using Id = std::uint32_t;

  // One more user of `text`.
  Id intern(std::string_view text) {
    if (const auto found = ids_.find(text); found != ids_.end()) {
      ++entries_[found->second].users;
      return found->second;
    }
    Id id = static_cast<Id>(entries_.size());
    if (free_.empty()) {
      entries_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    Entry& entry = entries_[id];
    entry.bytes = std::make_unique_for_overwrite<char[]>(text.size());
    if (!text.empty()) std::memcpy(entry.bytes.get(), text.data(), text.size());
    entry.size = static_cast<std::uint32_t>(text.size());
    entry.users = 1;
    ids_.emplace(view(entry), id);
    return id;
  }

  void release(Id id) {
    Entry& entry = entries_[id];
    REEVE_CHECK(entry.users > 0, "a text was released once too often");
    if (--entry.users > 0) return;
    ids_.erase(view(entry));
    entry.bytes.reset();
    free_.push_back(id);
  }

  std::string_view get(Id id) const { return view(entries_[id]); }
  std::size_t size() const { return ids_.size(); }

 private:
  struct Entry {
    std::unique_ptr<char[]> bytes;
    std::uint32_t size = 0;
    std::uint32_t users = 0;
  };
  static std::string_view view(const Entry& entry) {
    return {entry.bytes.get(), entry.size};
  }

  std::vector<Entry> entries_;
  std::vector<Id> free_;
  boost::unordered_flat_map<std::string_view, Id> ids_;
};

}  // namespace reeve::cluster

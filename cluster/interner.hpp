// Byte strings kept once, with a count of their users. Ids are dense and are
// used again after the last release. Growth and release never look at the
// bytes of other strings, so steady coming and going stays cheap.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
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
    const std::uint32_t hash = hash_of(text);
    if (!buckets_.empty())
      for (Id id = bucket(hash); id != none; id = entries_[id].next)
        if (entries_[id].hash == hash && get(id) == text) {
          ++entries_[id].users;
          return id;
        }
    if (size_ >= buckets_.size()) grow();
    const Id id = new_entry(text, hash);
    entries_[id].next = bucket(hash);
    bucket(hash) = id;
    ++size_;
    return id;
  }

  void release(Id id) {
    Entry& entry = entries_[id];
    REEVE_CHECK(entry.users > 0, "a text was released once too often");
    if (--entry.users > 0) return;
    Id* link = &bucket(entry.hash);
    while (*link != id) link = &entries_[*link].next;
    *link = entry.next;
    entry.bytes.reset();
    free_.push_back(id);
    --size_;
  }

  std::string_view get(Id id) const {
    return {entries_[id].bytes.get(), entries_[id].size};
  }
  std::uint32_t users(Id id) const { return entries_[id].users; }
  std::size_t size() const { return size_; }

 private:
  static constexpr Id none = ~Id{0};
  struct Entry {
    std::unique_ptr<char[]> bytes;
    std::uint32_t size = 0;
    std::uint32_t users = 0;
    std::uint32_t hash = 0;
    Id next = none;  // in its bucket
  };

  static std::uint32_t hash_of(std::string_view text) {
    const std::uint64_t hash = std::hash<std::string_view>{}(text);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
  }
  Id& bucket(std::uint32_t hash) {
    return buckets_[hash & (buckets_.size() - 1)];
  }

  Id new_entry(std::string_view text, std::uint32_t hash) {
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
    entry.hash = hash;
    return id;
  }

  void grow() {
    buckets_.assign(buckets_.empty() ? 16 : 2 * buckets_.size(), none);
    for (Id id = 0; id < entries_.size(); ++id) {
      if (entries_[id].users == 0) continue;
      entries_[id].next = bucket(entries_[id].hash);
      bucket(entries_[id].hash) = id;
    }
  }

  std::vector<Entry> entries_;
  std::vector<Id> free_;
  std::vector<Id> buckets_;  // a power of two of them
  std::size_t size_ = 0;
};

}  // namespace reeve::cluster

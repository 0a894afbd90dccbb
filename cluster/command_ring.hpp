// The newest commands that changed something, each with the answer it got:
// a bounded ring with an index. The oldest is forgotten first.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cluster/limits.hpp"
#include "cluster/types.hpp"

namespace reeve::cluster {

// What a command was answered with, for the client that asks again.
struct CommandAnswer {
  Sequence seq;
  SessionId session;
};

class CommandRing {
 public:
  using Key = std::array<std::uint64_t, 2>;  // high, low

  // Null when it is not known (any more). Holds until the next push.
  CommandAnswer* find(const Key& key) {
    if (buckets_.empty()) return nullptr;
    for (Index at = bucket(key); at != none; at = entries_[at].next)
      if (entries_[at].key[0] == key[0] && entries_[at].key[1] == key[1])
        return &entries_[at].answer;
    return nullptr;
  }
  const CommandAnswer* find(const Key& key) const {
    return const_cast<CommandRing*>(this)->find(key);
  }

  // A command that is not in the ring.
  void push(const Key& key, const CommandAnswer& answer) {
    if (buckets_.empty()) buckets_.assign(bucket_count, none);
    const bool full = entries_.size() == recent_commands_max;
    const Index at = full ? oldest_ : static_cast<Index>(entries_.size());
    if (full) {
      unlink(at);
      oldest_ = (oldest_ + 1) % recent_commands_max;
    } else {
      entries_.emplace_back();
    }
    entries_[at] = {key, answer, bucket(key)};
    bucket(key) = at;
  }

  std::size_t size() const { return entries_.size(); }
  // From the oldest to the newest.
  template <class Visit>
  void visit(Visit&& visit) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[(oldest_ + i) % entries_.size()];
      visit(entry.key, entry.answer);
    }
  }

 private:
  using Index = std::uint32_t;
  static constexpr Index none = ~Index{0};
  // Few enough entries in a bucket that most questions about a new command
  // are answered by an empty one.
  static constexpr unsigned bucket_bits = 17;
  static constexpr std::size_t bucket_count = std::size_t{1} << bucket_bits;
  static_assert(bucket_count >= 2 * recent_commands_max);
  struct Entry {
    Key key{};
    CommandAnswer answer;
    Index next = none;  // in its bucket
  };

  Index& bucket(const Key& key) {
    const std::uint64_t hash = (key[0] ^ key[1]) * 0x9E3779B97F4A7C15;
    return buckets_[hash >> (64 - bucket_bits)];
  }
  void unlink(Index at) {
    Index* link = &bucket(entries_[at].key);
    while (*link != at) link = &entries_[*link].next;
    *link = entries_[at].next;
  }

  std::vector<Entry> entries_;
  std::vector<Index> buckets_;
  Index oldest_ = 0;
};

}  // namespace reeve::cluster

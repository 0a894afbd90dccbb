// The waiting sessions of one class, in order: a sorted array whose head moves
// on, since nearly all come at the end and leave at the front.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <vector>

namespace reeve::cluster::scheduling {

// The place of a session in its queue; the least is the head. Ids ascend in
// the order of submission.
struct OrderKey {
  std::int32_t priority = 0;
  std::uint64_t rank = 0;  // by the order of the policy, see order.cpp
  std::uint64_t session = 0;

  bool operator==(const OrderKey&) const = default;
  std::strong_ordering operator<=>(const OrderKey& other) const {
    if (priority != other.priority) return other.priority <=> priority;
    if (rank != other.rank) return rank <=> other.rank;
    return session <=> other.session;
  }
  static OrderKey first() { return {INT32_MAX, 0, 0}; }
  static OrderKey last() { return {INT32_MIN, UINT64_MAX, UINT64_MAX}; }
};

class Line {
 public:
  using Position = std::vector<OrderKey>::const_iterator;

  bool empty() const { return head_ == keys_.size(); }
  std::size_t size() const { return keys_.size() - head_; }
  const OrderKey& front() const { return keys_[head_]; }
  Position begin() const {
    return keys_.begin() + static_cast<std::ptrdiff_t>(head_);
  }
  Position end() const { return keys_.end(); }

  void insert(const OrderKey& key) {
    if (empty() || keys_.back() < key) {
      keys_.push_back(key);
    } else if (head_ > 0 && key < front()) {
      keys_[--head_] = key;
    } else {
      keys_.insert(std::lower_bound(begin(), end(), key), key);
    }
  }

  void erase(const OrderKey& key) {
    const auto at = std::lower_bound(begin(), end(), key);
    if (at == end() || *at != key) return;
    if (at != begin()) {
      keys_.erase(at);
    } else if (++head_ > size()) {
      keys_.erase(keys_.begin(), begin());
      head_ = 0;
    }
  }

 private:
  std::vector<OrderKey> keys_;
  std::size_t head_ = 0;
};

}  // namespace reeve::cluster::scheduling

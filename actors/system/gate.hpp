// Counts the messages of one kind that wait for an actor, and keeps those out
// that would be too many. From any thread; the actor calls `leave`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace reeve::actors {

class Gate {
 public:
  explicit Gate(std::size_t waiting_max) : waiting_max_(waiting_max) {}

  // False: as many wait already; this one is dropped and counted.
  bool enter() {
    if (waiting_.fetch_add(1) < waiting_max_) return true;
    leave();
    ++dropped_;
    return false;
  }
  void leave() { --waiting_; }

  std::size_t waiting() const { return waiting_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  const std::size_t waiting_max_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace reeve::actors

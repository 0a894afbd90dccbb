// The log of a busy cell, as decisions make it: sessions are submitted, placed,
// started and end, with names, commands and environments as people write them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "cluster/decide.hpp"

namespace reeve::bench {

// Whole events back to back: one commit.
struct Commit {
  std::uint32_t count = 0;
  std::vector<std::byte> events;
};

// Four in five events are of sessions that run through; `waiting_max` of them
// wait at any moment, one in eight has a GPU, one in fifty fails.
class LogMaker {
 public:
  explicit LogMaker(std::uint32_t waiting_max);

  // At least `events` events, in commits of about `group` of them.
  void make(std::uint64_t events, std::uint32_t group,
            const std::function<void(const Commit&)>& take);
  // Sessions with names and commands of their own, that only wait.
  void submit_waiting(std::uint32_t count);

  const cluster::State& state() const { return state_; }

 private:
  void absorb();
  void submit();
  void place();
  void start();
  void exit();

  cluster::State state_;
  cluster::EventWriter writer_;
  std::size_t absorbed_ = 0;
  Time now_{1'700'000'000 * second_ns};
  std::uint32_t waiting_max_;
  std::uint64_t submitted_ = 0;
  std::uint32_t next_node_ = 0;
  std::deque<SessionId> waiting_;
  std::deque<SessionId> placed_;
  std::deque<SessionId> running_;
};

}  // namespace reeve::bench

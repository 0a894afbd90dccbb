// One life of a process: what was to happen in it does not once it is dead,
// and waits while it stands still.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "tests/sim/loop.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/random.hpp"

namespace reeve::sim {

class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(Loop& loop, Random& random) : loop_(loop), random_(random) {}
  virtual ~Process() = default;

  void die() { alive_ = false; }
  bool alive() const { return alive_; }
  void stall(Time until) { stalled_until_ = std::max(stalled_until_, until); }

 protected:
  // In order with all that was sent on the same channel.
  void send(int channel, std::uint64_t delay_ns_max, Loop::Action action) {
    Time& last = channels_[channel];
    last = std::max(last,
                    Time{loop_.now().value + random_.below(delay_ns_max + 1)});
    run_at(last, std::move(action));
  }
  void later(std::uint64_t delay_ns, Loop::Action action) {
    run_at(Time{loop_.now().value + delay_ns}, std::move(action));
  }

  Loop& loop_;
  Random& random_;

 private:
  void run_at(Time when, Loop::Action action) {
    loop_.at(when, [self = weak_from_this(), action = std::move(action)] {
      if (const auto process = self.lock()) process->run(action);
    });
  }
  void run(const Loop::Action& action) {
    if (!alive_) return;
    if (loop_.now() >= stalled_until_) return action();
    run_at(stalled_until_, action);
  }

  bool alive_ = true;
  Time stalled_until_;
  std::map<int, Time> channels_;
};

// The clock of a host: true time, set wrongly by some amount.
class HostClock {
 public:
  explicit HostClock(const Loop& loop) : loop_(loop) {}
  Time now() const { return Time{loop_.now().value + base_ns + ahead_ns_}; }
  void jump(std::int64_t by_ns) {
    ahead_ns_ += static_cast<std::uint64_t>(by_ns);
  }

 private:
  static constexpr std::uint64_t base_ns = 1'700'000'000 * second_ns;
  const Loop& loop_;
  std::uint64_t ahead_ns_ = 0;  // wraps for what is behind
};

}  // namespace reeve::sim

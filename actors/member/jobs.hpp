// Work that other threads hand to one, in order.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

namespace reeve::actors {

// Questions that may wait for a manager that stands by; who asks asks again.
inline constexpr std::size_t standby_queries_max = 1'024;
// The same for what agents have seen; they tell it again each second.
inline constexpr std::size_t witness_inputs_max = 1'024;

class Jobs {
 public:
  using Job = std::function<void()>;
  // False, and nothing is added, where so many wait already.
  bool add(Job job, std::size_t waiting_max = SIZE_MAX) {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= waiting_max) return false;
    jobs_.push_back(std::move(job));
    changed_.notify_one();
    return true;
  }
  // Nothing when none comes in time.
  std::optional<Job> next(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return !jobs_.empty(); });
    if (jobs_.empty()) return std::nullopt;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
};

}  // namespace reeve::actors

// Work that other threads hand to one, in order, and what it does when nothing
// else waits.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

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
    return add_to(jobs_, std::move(job), waiting_max);
  }
  // Behind all that `add` has added by the time that it is its turn. The bound
  // is for these alone.
  bool add_last(Job job, std::size_t waiting_max = SIZE_MAX) {
    return add_to(last_, std::move(job), waiting_max);
  }
  // Nothing when none comes in time.
  std::optional<Job> next(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout,
                      [&] { return !jobs_.empty() || !last_.empty(); });
    std::deque<Job>& from = jobs_.empty() ? last_ : jobs_;
    if (from.empty()) return std::nullopt;
    Job job = std::move(from.front());
    from.pop_front();
    return job;
  }

 private:
  bool add_to(std::deque<Job>& jobs, Job job, std::size_t waiting_max) {
    const std::lock_guard lock(mutex_);
    if (jobs.size() >= waiting_max) return false;
    jobs.push_back(std::move(job));
    changed_.notify_one();
    return true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::deque<Job> last_;
};

}  // namespace reeve::actors

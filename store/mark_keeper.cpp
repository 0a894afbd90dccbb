#include "store/mark_keeper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace reeve::store {

MarkKeeper::MarkKeeper(HeadMark mark, std::uint32_t interval_ms,
                       std::uint32_t lag_commits_max)
    : mark_(std::move(mark)),
      interval_(interval_ms),
      lag_commits_max_(std::max(lag_commits_max, 1u)),
      latest_(mark_.mark().head),
      thread_([this] { run(); }) {}

MarkKeeper::~MarkKeeper() {
  [[maybe_unused]] const Status done = finish();
}

Status MarkKeeper::committed(const Head& head) {
  std::unique_lock lock(mutex_);
  latest_ = head;
  const bool was_idle = lag_commits_++ == 0;
  const bool behind = lag_commits_ >= lag_commits_max_;
  if (was_idle || behind) changed_.notify_all();
  changed_.wait(lock, [this] {
    return lag_commits_ < lag_commits_max_ || !outcome_ || stop_;
  });
  return outcome_;
}

Status MarkKeeper::finish() {
  {
    const std::lock_guard guard(mutex_);
    if (stop_) return outcome_;
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (outcome_) outcome_ = mark_.write_both(latest_);
  return outcome_;
}

std::uint64_t MarkKeeper::lag_commits() {
  const std::lock_guard guard(mutex_);
  return lag_commits_;
}

void MarkKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stop_ && outcome_) {
    changed_.wait(lock, [this] { return lag_commits_ > 0 || stop_; });
    changed_.wait_for(lock, interval_, [this] {
      return lag_commits_ >= lag_commits_max_ || stop_;
    });
    if (stop_) return;
    const Head head = latest_;
    const std::uint64_t covered = lag_commits_;
    lock.unlock();
    Status written = mark_.write(head);
    lock.lock();
    outcome_ = std::move(written);
    if (outcome_) lag_commits_ -= covered;
    changed_.notify_all();
  }
}

}  // namespace reeve::store

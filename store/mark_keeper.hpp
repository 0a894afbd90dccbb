// Keeps the head mark near the head from a thread of its own, so that commits
// do not wait for it: it lags by at most `interval_ms` and `lag_commits_max`.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "cluster/error.hpp"
#include "store/head_mark.hpp"

namespace reeve::store {

class MarkKeeper {
 public:
  MarkKeeper(HeadMark mark, std::uint32_t interval_ms,
             std::uint32_t lag_commits_max);
  ~MarkKeeper();

  // After a commit was synced. Waits only when `lag_commits_max` commits are
  // not yet marked. An error is that of an earlier write of the mark: the
  // caller must stop.
  Status committed(const Head& head);

  // Stops the thread and, when no write ever failed, makes the mark exact.
  Status finish();

  // How many commits wait to be marked.
  std::uint64_t lag_commits();

 private:
  void run();

  HeadMark mark_;
  const std::chrono::milliseconds interval_;
  const std::uint64_t lag_commits_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Head latest_;
  std::uint64_t lag_commits_ = 0;
  bool stop_ = false;
  Status outcome_;
  std::thread thread_;
};

}  // namespace reeve::store

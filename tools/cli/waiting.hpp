// Progress of calls that block: what is waited for, and how long already.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "tools/cli/context.hpp"

namespace reeve::tools {

// "replaying 1200000 events, 12s", where Progress shows it, until its end.
class Waiting {
 public:
  // `what` is asked from another thread.
  Waiting(bool quiet, std::function<std::string()> what);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  void run();

  Progress progress_;  // the thread's
  const std::function<std::string()> what_;
  const std::uint64_t begun_ns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace reeve::tools

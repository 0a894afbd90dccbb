// A cell that one manager keeps alone, while others have joined it: waits until
// all of them are there.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "bus/address.hpp"

namespace reeve::tools {

class Growth {
 public:
  // Called from a thread of its own, once.
  explicit Growth(std::function<void()> on_all_there);
  // Ends the thread.
  ~Growth();
  Growth(const Growth&) = delete;
  Growth& operator=(const Growth&) = delete;

  // Where the others' bus servers listen for servers; empty: there are none.
  // From any thread.
  void await(std::vector<bus::Address> others);

 private:
  void run();

  const std::function<void()> on_all_there_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bus::Address> others_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace reeve::tools

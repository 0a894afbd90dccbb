// A cell that one manager keeps alone, while others have joined it: waits until
// all of them are there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "bus/address.hpp"

namespace reeve::tools {

class Growth {
 public:
  // `on_all_there` is called from a thread of its own, and again, each time so
  // much later, until it says that it is done.
  explicit Growth(std::function<bool()> on_all_there,
                  std::chrono::milliseconds again = std::chrono::seconds(5));
  // Ends.
  ~Growth();
  Growth(const Growth&) = delete;
  Growth& operator=(const Growth&) = delete;

  // Where the others' bus servers listen for servers; empty: there are none.
  // From any thread, also after the end.
  void await(std::vector<bus::Address> others);

  // Ends the thread: `on_all_there` is not called any more.
  void end();

 private:
  void run();

  const std::function<bool()> on_all_there_;
  const std::chrono::milliseconds again_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bus::Address> others_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace reeve::tools

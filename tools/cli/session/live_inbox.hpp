// What the bus's threads hand to whoever follows a session: all its events,
// and of its output as much as fits. What is dropped is in the files.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

#include "bus/buffer.hpp"

namespace reeve::tools {

// A reader that stands still, a pager for example, holds no more than this.
inline constexpr std::size_t live_output_bytes_max = 16u << 20;

class LiveInbox {
 public:
  struct Entry {
    bus::Message message;
    bool is_event = false;
    // What it counts for: many small pieces take memory, too.
    std::size_t bytes() const { return message.data.size() + sizeof *this; }
  };

  // Any thread.
  void put(Entry entry);
  std::optional<Entry> take();
  // Whether output was dropped since this was asked.
  bool take_dropped();

 private:
  std::mutex mutex_;
  std::deque<Entry> entries_;
  std::size_t output_bytes_ = 0;
  bool dropped_ = false;
};

}  // namespace reeve::tools

#include "tools/cli/session/live_inbox.hpp"

#include <utility>

namespace reeve::tools {

void LiveInbox::put(Entry entry) {
  const std::lock_guard lock(mutex_);
  if (!entry.is_event) {
    if (output_bytes_ + entry.bytes() > live_output_bytes_max) {
      dropped_ = true;
      return;
    }
    output_bytes_ += entry.bytes();
  }
  entries_.push_back(std::move(entry));
}

std::optional<LiveInbox::Entry> LiveInbox::take() {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return std::nullopt;
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  if (!entry.is_event) output_bytes_ -= entry.bytes();
  return entry;
}

bool LiveInbox::take_dropped() {
  const std::lock_guard lock(mutex_);
  return std::exchange(dropped_, false);
}

}  // namespace reeve::tools

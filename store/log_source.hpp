// What a LogReader reads from. For log.cpp and log_reader.cpp.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>

#include "store/database.hpp"
#include "store/log_reader.hpp"

namespace reeve::store {

// The acknowledged head, shared between the writer and its readers.
class HeadCell {
 public:
  Head get() const {
    const std::lock_guard guard(mutex_);
    return head_;
  }
  void set(const Head& head) {
    const std::lock_guard guard(mutex_);
    head_ = head;
  }

 private:
  mutable std::mutex mutex_;
  Head head_;
};

struct LogReader::Source {
  std::shared_ptr<Database> database;
  std::shared_ptr<HeadCell> head;
  LogId log_id{};
  std::filesystem::path directory;  // empty for the open log of this process
};

}  // namespace reeve::store

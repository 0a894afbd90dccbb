// The reply subjects of one connection: which handler waits behind which
// token. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bus/buffer.hpp"

namespace reeve::bus {

class Replies {
 public:
  using Handler = std::function<void(const Message&)>;

  // `prefix` is unique to the connection and within its principal's inbox.
  explicit Replies(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string open(std::string_view request_subject, Handler handler);
  void close(std::string_view reply_subject);
  std::string pattern() const { return prefix_ + ".*"; }

  // False if nobody waits there (any more).
  bool deliver(const Message& message);
  // The server refused to publish on `request_subject`: tells all who wait
  // for an answer to it.
  void refuse(std::string_view request_subject);

 private:
  struct Entry {
    std::string request_subject;
    std::shared_ptr<const Handler> handler;
  };
  std::uint64_t token_of(std::string_view reply_subject) const;

  const std::string prefix_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, Entry> open_;
};

}  // namespace reeve::bus

#include "bus/replies.hpp"

#include <charconv>
#include <vector>

namespace reeve::bus {

std::string Replies::open(std::string_view request_subject, Handler handler) {
  auto shared = std::make_shared<const Handler>(std::move(handler));
  const std::lock_guard lock(mutex_);
  const std::uint64_t token = ++last_;
  open_.emplace(token, Entry{std::string(request_subject), std::move(shared)});
  return prefix_ + "." + std::to_string(token);
}

std::uint64_t Replies::token_of(std::string_view reply_subject) const {
  if (reply_subject.size() <= prefix_.size() + 1) return 0;
  if (reply_subject.substr(0, prefix_.size()) != prefix_) return 0;
  reply_subject.remove_prefix(prefix_.size() + 1);
  const char* end = reply_subject.data() + reply_subject.size();
  std::uint64_t token = 0;
  const auto parsed = std::from_chars(reply_subject.data(), end, token);
  return parsed.ec == std::errc() && parsed.ptr == end ? token : 0;
}

void Replies::close(std::string_view reply_subject) {
  const std::lock_guard lock(mutex_);
  open_.erase(token_of(reply_subject));
}

bool Replies::deliver(const Message& message) {
  std::shared_ptr<const Handler> handler;
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(token_of(message.subject));
    if (found == open_.end()) return false;
    handler = found->second.handler;
  }
  (*handler)(message);
  return true;
}

void Replies::refuse(std::string_view request_subject) {
  std::vector<std::shared_ptr<const Handler>> handlers;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [token, entry] : open_)
      if (entry.request_subject == request_subject)
        handlers.push_back(entry.handler);
  }
  Message message = Message::copy(request_subject, {}, {});
  message.delivery = Delivery::forbidden;
  for (const auto& handler : handlers) (*handler)(message);
}

}  // namespace reeve::bus

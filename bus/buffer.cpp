#include "bus/buffer.hpp"

#include <cstring>

namespace reeve::bus {
namespace {

std::shared_ptr<std::uint64_t[]> words_for(std::size_t bytes) {
  return std::make_shared_for_overwrite<std::uint64_t[]>(bytes / 8 + 1);
}

}  // namespace

Buffer Buffer::copy(Bytes bytes) {
  auto words = words_for(bytes.size());
  auto* start = reinterpret_cast<std::byte*>(words.get());
  if (!bytes.empty()) std::memcpy(start, bytes.data(), bytes.size());
  return {std::move(words), Bytes(start, bytes.size())};
}

Message Message::copy(std::string_view subject, std::string_view reply,
                      Bytes data) {
  auto words = words_for(data.size() + subject.size() + reply.size());
  auto* start = reinterpret_cast<std::byte*>(words.get());
  auto* name = reinterpret_cast<char*>(start) + data.size();
  if (!data.empty()) std::memcpy(start, data.data(), data.size());
  subject.copy(name, subject.size());
  reply.copy(name + subject.size(), reply.size());
  Message message;
  message.data = Bytes(start, data.size());
  message.subject = {name, subject.size()};
  message.reply = {name + subject.size(), reply.size()};
  message.block = std::move(words);
  return message;
}

}  // namespace reeve::bus

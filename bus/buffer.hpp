// Bytes that arrived or wait to be sent, in memory that FlatBuffers may read
// in place: 8-aligned, immutable, shared by its copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace reeve::bus {

using Bytes = std::span<const std::byte>;

class Buffer {
 public:
  Buffer() = default;
  static Buffer copy(Bytes bytes);
  // A view of `bytes`, which lie in `block` and are 8-aligned.
  Buffer(std::shared_ptr<const void> block, Bytes bytes)
      : block_(std::move(block)), bytes_(bytes) {}

  Bytes bytes() const { return bytes_; }
  operator Bytes() const { return bytes_; }
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::shared_ptr<const void> block_;
  Bytes bytes_;
};

// Why a reply subject got this message instead of an answer.
enum class Delivery {
  data,           // an ordinary message
  no_responders,  // nobody is subscribed to the request's subject
  forbidden,      // the server refused the request: no permission
};

// One message. All views live as long as any copy of it does: a handler that
// passes it on keeps a copy (`hold`), which costs no allocation.
struct Message {
  std::string_view subject;
  std::string_view reply;
  Bytes data;  // 8-aligned
  Delivery delivery = Delivery::data;
  std::shared_ptr<const void> block;

  static Message copy(std::string_view subject, std::string_view reply,
                      Bytes data);
  Message hold() const { return *this; }
  Buffer buffer() const { return {block, data}; }
};

}  // namespace reeve::bus

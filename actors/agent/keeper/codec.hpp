// Bytes of the keeper's socket and journal: little-endian integers, strings
// with a length before them. Both ends are one build on one machine; the
// protocol's version is checked at hello.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::keeper {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  void texts(const std::vector<std::string>& values) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) text(value);
  }

 private:
  std::string& out_;
};

// Reads never go past the end: after the first short read everything is zero
// or empty and `complete()` is false.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <class T>
  T number() {
    T value{};
    if (take(sizeof value)) {
      std::memcpy(&value, in_.data() + at_ - sizeof value, sizeof value);
    }
    return value;
  }
  std::string_view text() {
    auto size = number<std::uint32_t>();
    return take(size) ? in_.substr(at_ - size, size) : std::string_view{};
  }
  std::vector<std::string> texts() {
    std::vector<std::string> values;
    auto count = number<std::uint32_t>();
    while (ok_ && count-- > 0) values.emplace_back(text());
    return values;
  }
  bool ok() const { return ok_; }
  // True when everything was read and nothing is left over.
  bool complete() const { return ok_ && at_ == in_.size(); }

 private:
  bool take(std::size_t size) {
    if (!ok_ || in_.size() - at_ < size) {
      ok_ = false;
      return false;
    }
    at_ += size;
    return true;
  }

  std::string_view in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace reeve::keeper

#include "store/log_id.hpp"

namespace reeve::store {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

}  // namespace

std::string text_of(const LogId& id) {
  std::string text;
  for (const std::byte byte : id) {
    const auto value = std::to_integer<unsigned>(byte);
    text += hex_digits[value >> 4];
    text += hex_digits[value & 0xf];
  }
  return text;
}

std::optional<LogId> parse_log_id(std::string_view text) {
  LogId id{};
  if (text.size() != 2 * id.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = hex_digits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    id[i / 2] = id[i / 2] << 4 | static_cast<std::byte>(digit);
  }
  return id;
}

}  // namespace reeve::store

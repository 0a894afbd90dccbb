#include "cluster/nkey.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace reeve::cluster {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr unsigned digit_bits = 5;
// The first letter of a text is the upper five bits of its first byte.
constexpr std::uint8_t user_byte = 20 << 3;  // U
constexpr std::uint8_t seed_byte = 18 << 3;  // S
constexpr std::size_t checksum_bytes = 2;

using Bytes = std::vector<std::uint8_t>;

// CRC-16/XMODEM.
std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint16_t crc = 0;
  for (const std::uint8_t byte : bytes) {
    crc = static_cast<std::uint16_t>(crc ^ byte << 8);
    for (int bit = 0; bit < 8; ++bit)
      crc = static_cast<std::uint16_t>((crc & 0x8000) ? crc << 1 ^ 0x1021
                                                      : crc << 1);
  }
  return crc;
}

std::string to_text(Bytes bytes) {
  const std::uint16_t crc = checksum(bytes);
  bytes.push_back(static_cast<std::uint8_t>(crc));
  bytes.push_back(static_cast<std::uint8_t>(crc >> 8));
  std::string text;
  std::uint32_t held = 0;
  unsigned held_bits = 0;
  for (const std::uint8_t byte : bytes) {
    held = held << 8 | byte;
    for (held_bits += 8; held_bits >= digit_bits; held_bits -= digit_bits)
      text += alphabet[held >> (held_bits - digit_bits) & 31];
  }
  if (held_bits > 0) text += alphabet[held << (digit_bits - held_bits) & 31];
  return text;
}

std::optional<Bytes> to_bytes(std::string_view text) {
  Bytes bytes;
  std::uint32_t held = 0;
  unsigned held_bits = 0;
  for (const char letter : text) {
    const auto digit = alphabet.find(letter);
    if (digit == std::string_view::npos) return std::nullopt;
    held = held << digit_bits | static_cast<std::uint32_t>(digit);
    held_bits += digit_bits;
    if (held_bits < 8) continue;
    held_bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(held >> held_bits));
  }
  return bytes;
}

std::string key_text(Bytes head, const KeyBytes& key) {
  for (const std::byte byte : key)
    head.push_back(std::to_integer<std::uint8_t>(byte));
  return to_text(std::move(head));
}

// Writing what was read again catches a wrong checksum, kind or spare bit.
template <class Write>
std::optional<KeyBytes> parse(std::string_view text, std::size_t chars,
                              std::size_t head_bytes, Write write) {
  if (text.size() != chars) return std::nullopt;
  const auto bytes = to_bytes(text);
  KeyBytes key{};
  if (!bytes || bytes->size() < head_bytes + key.size() + checksum_bytes)
    return std::nullopt;
  std::transform(
      bytes->begin() + static_cast<std::ptrdiff_t>(head_bytes),
      bytes->begin() + static_cast<std::ptrdiff_t>(head_bytes + key.size()),
      key.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  if (write(key) != text) return std::nullopt;
  return key;
}

}  // namespace

std::string user_key_text(const KeyBytes& public_key) {
  return key_text({user_byte}, public_key);
}

std::string user_seed_text(const KeyBytes& seed) {
  return key_text({seed_byte | user_byte >> 5, (user_byte & 31) << 3}, seed);
}

std::optional<KeyBytes> parse_user_key(std::string_view text) {
  return parse(text, user_key_chars, 1, user_key_text);
}

std::optional<KeyBytes> parse_user_seed(std::string_view text) {
  return parse(text, user_seed_chars, 2, user_seed_text);
}

}  // namespace reeve::cluster

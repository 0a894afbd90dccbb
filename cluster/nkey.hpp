// The text form of the keys by which the bus knows its users (nkeys, as
// nats-server has them): Ed25519 keys in base32 with a checksum. Pure text;
// keys are made and used in bus/nkey.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace reeve::cluster {

using KeyBytes = std::array<std::byte, 32>;

// Characters of a user's public key ("U...") and of its seed ("SU...").
inline constexpr std::size_t user_key_chars = 56;
inline constexpr std::size_t user_seed_chars = 58;

std::string user_key_text(const KeyBytes& public_key);
std::string user_seed_text(const KeyBytes& seed);

// Nothing when it is not the text of such a key, to the last bit.
std::optional<KeyBytes> parse_user_key(std::string_view text);
std::optional<KeyBytes> parse_user_seed(std::string_view text);

}  // namespace reeve::cluster

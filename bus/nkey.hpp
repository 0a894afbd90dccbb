// The key pair by which the bus knows a principal: an Ed25519 nkey. Its text
// form is that of cluster/nkey.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "bus/buffer.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

struct UserKey {
  std::string public_key;  // U...
  std::string seed;        // SU..., the secret half
};

using Signature = std::array<std::byte, 64>;

// From the kernel's randomness.
UserKey make_user_key();

// Errc::usage when `seed` is not the text of a seed. No error tells it.
Expected<std::string> public_key_of(std::string_view seed);
Expected<Signature> sign(std::string_view seed, Bytes message);

}  // namespace reeve::bus

#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace reeve::tools {

// RFC 4648, with padding, in one line.
std::string base64(std::span<const std::byte> bytes);

}  // namespace reeve::tools

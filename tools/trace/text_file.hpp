// Whole files as text.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/error.hpp"

namespace reeve::tools {

inline constexpr std::uint64_t text_file_bytes_max = 1ull << 30;

// Errc::not_found when it cannot be read; Errc::usage over the bound.
Expected<std::string> read_text_file(const std::string& path);

}  // namespace reeve::tools

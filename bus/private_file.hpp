// Small files that only their owner may read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve::bus {

// Replaces the file as a whole, mode 0600: a reader sees the old or the new.
// One that holds `text` already is left as it is, so a full disk is no matter.
Status write_private_file(const std::filesystem::path& file,
                          std::string_view text);

inline constexpr std::size_t private_file_bytes_max = 64 << 10;

// Errc::not_found when there is none, Errc::rejected when its mode lets
// others read it, Errc::damaged above `bytes_max`.
Expected<std::string> read_private_file(
    const std::filesystem::path& file,
    std::size_t bytes_max = private_file_bytes_max);

}  // namespace reeve::bus

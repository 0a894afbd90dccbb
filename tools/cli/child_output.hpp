// What another program prints.
#pragma once

#include <string>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::tools {

inline constexpr std::size_t child_output_bytes_max = 4'096;

// Runs words[0] (a path) and returns its standard output, without line ends
// at the end, cut at the bound. Errc::io when it fails.
Expected<std::string> output_of(std::vector<std::string> words);

}  // namespace reeve::tools

// Whether a host that joined a cell still has the keys by which it is of it: a
// data directory may have been emptied but for its settings.
#pragma once

#include <filesystem>

#include "cluster/error.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

// Errc::not_found with how to join again. Of a host whose settings do not say
// that it joined there is nothing to miss: it begins a cell with them.
Status check_kept_keys(const Config& config, const std::filesystem::path& data);

}  // namespace reeve::tools

// The newest epoch that a manager alone began with a data directory, beside the
// log: it tells when an older copy of the log was put in the log's place.
#pragma once

#include <filesystem>

#include "cluster/error.hpp"
#include "cluster/types.hpp"

namespace reeve::tools {

// 0 without a note; Errc::damaged when it holds no number.
Expected<Epoch> noted_epoch(const std::filesystem::path& data);
// On disk when it returns.
Status note_epoch(const std::filesystem::path& data, Epoch epoch);

}  // namespace reeve::tools

// What to do about a log that is not whole, said once for all its faults.
#pragma once

#include <filesystem>

#include "cluster/error.hpp"

namespace reeve::store {

// `error` with the next step, when it is Errc::damaged and names none.
// `directory`: of the log or of the cell around it, for people.
Error with_advice(Error error, const std::filesystem::path& directory);

}  // namespace reeve::store

// The nats-server of a directory, as a process that may have outlived who
// started it.
#pragma once

#include <filesystem>

#include "bus/child.hpp"

namespace reeve::bus {

// The recorded process, or else one that this user started with `-c config`
// alone, this very file: its daemon may have been killed before it could record
// it. Errc::not_found.
Expected<Child> find_server_process(const ProcessIdentity& recorded,
                                    const std::filesystem::path& config);

}  // namespace reeve::bus

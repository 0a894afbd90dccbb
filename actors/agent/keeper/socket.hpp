// The unix socket in the keeper's directory. Paths longer than the kernel's
// 108 bytes are reached through the directory's descriptor.
#pragma once

#include <string>

#include "actors/agent/keeper/files.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// Removes a left-over socket and listens; for the holder of the lock only.
Expected<Fd> listen_in(const std::string& directory);
// `unreachable` when nobody listens there.
Expected<Fd> connect_in(const std::string& directory);
// Whether the peer is the same user, or root.
bool peer_is_trusted(int socket);

}  // namespace reeve::keeper

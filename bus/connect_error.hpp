// Why a connection could not be made, for people.
#pragma once

#include <nats/status.h>

#include <string_view>

#include "bus/credentials.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// `detail`: what the library says of it.
Error connect_error(natsStatus status, std::string_view detail,
                    const Credentials& credentials);

Error unknown_key(const Credentials& credentials);
// A certificate of another cell is rejected, too, and says nothing of the key.
bool is_unknown_key(const Error& error, const Credentials& credentials);

}  // namespace reeve::bus

// Which servers of the bus's cluster agree on where streams are kept. A server
// joins them by itself when it comes; one that never comes back counts for
// their majority until they are told. By the system account alone.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "bus/connection.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// What a server is known by to the others: made of its name. Of one that is
// away a server that came after that does not know more.
std::string server_id(std::string_view name);

// Their ids, as the one that leads them says. Errc::unreachable: none leads.
Expected<std::vector<std::string>> stream_servers(
    Connection& system, std::chrono::milliseconds timeout);

// Has them led by another than the one of this name, where two others could.
Status lead_servers_elsewhere(Connection& system, std::string_view name,
                              std::chrono::milliseconds timeout);

// That one is none of them any more; what it kept of streams is kept by another
// that is there or, where there is none, by the next that comes.
Status forget_stream_server(Connection& system, std::string_view id,
                            std::chrono::milliseconds timeout);

}  // namespace reeve::bus

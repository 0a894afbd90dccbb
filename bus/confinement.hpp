// What a process that others reach over the network keeps of our own rights.
//
// A process of root without a capability is the owner of root's files and no
// more: it reads no file of others, traces and signals nobody else's process,
// mounts nothing and loads no module.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>

namespace reeve::bus {

// Bit n is the capability of number n (linux/capability.h).
using Capabilities = std::uint64_t;

// For the calling thread and what it starts from then on: no exec gives new
// privileges, and of our capabilities only `kept` outlive one. Who is not root
// passes on no others anyway; root without CAP_SETPCAP passes on all it has.
void confine_thread(Capabilities kept);

// What a server needs beyond our user id to work in `directory` and listen at
// `ports`. Mostly nothing; else CAP_DAC_READ_SEARCH where the way there is
// closed to this user, or another user but root can close it; CAP_DAC_OVERRIDE
// where something in there is another user's; CAP_NET_BIND_SERVICE for a port
// that not everybody may take.
Capabilities needed_capabilities(const std::filesystem::path& directory,
                                 std::initializer_list<int> ports);

// False for a process that may get new privileges: no confined thread started
// it.
bool is_confined(int pid);

}  // namespace reeve::bus

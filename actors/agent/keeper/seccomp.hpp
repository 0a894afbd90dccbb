// The system calls a task may not make: a deny list in classic BPF, built
// once. What is refused fails with EPERM, so that programs can go on.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace reeve::keeper {

// Mounting, namespaces, kernel modules, tracing of other processes, keyrings,
// BPF, io_uring and the like. clone3 gives ENOSYS, since its flags cannot be
// seen by a filter: libraries then fall back to clone. Calls of another
// architecture (32-bit programs) give ENOSYS.
std::vector<sock_filter> denied_calls_filter();

// Holds for the calling process and all it starts; needs no_new_privs.
// Returns 0 or errno. Makes no library call that allocates.
int install_filter(const std::vector<sock_filter>& filter);

}  // namespace reeve::keeper

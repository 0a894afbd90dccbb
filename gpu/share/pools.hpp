// Memory pools keep what was freed for the next allocation; the session is
// charged with all that a pool holds, used or not.
#pragma once

#include <cstddef>

#include "gpu/share/cuda_abi.hpp"

namespace reeve::gpu::share {

// True where the address was of a pool: it was dropped from it.
bool free_of_pool(cuda::Address address);
// Lets the pools of a device give up what nobody uses; true where it helped.
bool trim_pools(std::size_t device);

}  // namespace reeve::gpu::share

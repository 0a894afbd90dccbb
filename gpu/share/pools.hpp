// Memory pools keep what was freed for the next allocation; the session is
// charged with all that a pool holds, used or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "gpu/share/cuda_abi.hpp"

namespace reeve::gpu::share {

struct PoolAllocation {
  cuda::Pool pool = nullptr;
  std::uint64_t bytes = 0;
};

// As Session's: lifted before the driver frees it. Empty: it is of no pool.
std::optional<PoolAllocation> lift_from_pool(cuda::Address address);
void settle_in_pool(const PoolAllocation& gone);
void put_back_in_pool(cuda::Address address, const PoolAllocation& back);
// Lets the pools of a device give up what nobody uses; true where it helped.
bool trim_pools(std::size_t device);

}  // namespace reeve::gpu::share

// Frees at the driver what is charged under a key.
#pragma once

#include "gpu/share/pools.hpp"
#include "gpu/share/session.hpp"

namespace reeve::gpu::share {

// `real` asks the driver.
template <class Real>
cuda::Result freed(std::uint64_t key, Real real) {
  Session& session = Session::get();
  const auto lifted = session.lift(key);
  const cuda::Result result = real();
  if (result == cuda::success)
    session.settle(lifted);
  else
    session.put_back(lifted);
  return result;
}

// Of a pool or not.
template <class Real>
cuda::Result freed_address(cuda::Address address, Real real) {
  const auto lifted = lift_from_pool(address);
  if (!lifted) return freed(address, real);
  const cuda::Result result = real();
  if (result == cuda::success)
    settle_in_pool(*lifted);
  else
    put_back_in_pool(address, *lifted);
  return result;
}

}  // namespace reeve::gpu::share

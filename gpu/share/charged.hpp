// What the hooks have in common: how the session is charged with what a program
// takes, and no more with what it gives back.
#pragma once

#include "gpu/share/pools.hpp"
#include "gpu/share/session.hpp"

// Begins a hook that takes memory: finds the driver's own entry point.
#define REEVE_REAL(member)                \
  const auto real = Driver::get().member; \
  if (!real) return not_initialized;      \
  if (refused()) return cuda::out_of_memory

namespace reeve::gpu::share {

inline bool passes() {
  return Session::get().member() == Session::Member::no;
}

inline bool refused() {
  return Session::get().member() == Session::Member::refused;
}

inline std::uint64_t key_of(const void* handle) {
  return reinterpret_cast<std::uintptr_t>(handle);
}

inline cuda::Context current_context() {
  cuda::Context context = nullptr;
  if (const auto ask = Driver::get().context) ask(&context);
  return context;
}

inline bool take_or_trim(std::size_t device, std::uint64_t bytes) {
  Session& session = Session::get();
  return session.take(device, bytes) ||
         (trim_pools(device) && session.take(device, bytes));
}

// Makes something of `bytes` on a device if the session may have it. `make`
// asks the driver; `key` tells afterwards under what it is kept.
template <class Make, class Key>
cuda::Result charged(std::size_t device, std::uint64_t bytes, Make make,
                     Key key) {
  Session& session = Session::get();
  if (!take_or_trim(device, bytes)) return cuda::out_of_memory;
  const cuda::Result result = make();
  if (result != cuda::success) {
    session.give_back(device, bytes);
    return result;
  }
  session.keep(key(), {device, bytes, current_context()});
  return result;
}

// Frees what is charged under the key: `real` asks the driver.
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

#include "gpu/share/pools.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "gpu/share/charged.hpp"
#include "gpu/share/hooks.hpp"
#include "gpu/share/session.hpp"

namespace reeve::gpu::share {
namespace {

struct PoolUse {
  std::size_t device = 0;
  std::uint64_t used = 0;  // by allocations that live
  std::uint64_t kept = 0;  // charged beyond that
};

class Pools {
 public:
  static Pools& get() {
    static auto* const pools = new Pools;
    return *pools;
  }

  template <class Make>
  cuda::Result allocate(std::size_t device, cuda::Pool pool, cuda::Address* to,
                        std::uint64_t bytes, Make make) {
    const std::lock_guard lock(mutex_);
    PoolUse& use = pools_[pool];
    use.device = device;
    if (!take(pool, use, bytes)) return cuda::out_of_memory;
    const cuda::Result result = make();
    if (result != cuda::success) {
      Session::get().give_back(device, bytes);
    } else {
      allocations_[*to] = {pool, bytes};
      use.used += bytes;
    }
    look(pool, use);
    return result;
  }

  std::optional<PoolAllocation> lift(cuda::Address address) {
    const std::lock_guard lock(mutex_);
    const auto at = allocations_.find(address);
    if (at == allocations_.end()) return std::nullopt;
    const PoolAllocation gone = at->second;
    allocations_.erase(at);
    return gone;
  }

  void put_back(cuda::Address address, const PoolAllocation& back) {
    const std::lock_guard lock(mutex_);
    allocations_[address] = back;
  }

  void settle(const PoolAllocation& gone) {
    const std::lock_guard lock(mutex_);
    PoolUse& use = pools_[gone.pool];
    // It stays with the pool until the pool is seen to have given it up.
    use.used -= std::min(use.used, gone.bytes);
    use.kept += gone.bytes;
    look(gone.pool, use);
  }

  bool trim(std::size_t device) {
    const std::lock_guard lock(mutex_);
    bool helped = false;
    for (auto& [pool, use] : pools_) {
      if (use.device != device || use.kept == 0) continue;
      const auto before = use.kept;
      if (const auto real = Driver::get().pool_trim) real(pool, 0);
      look(pool, use);
      helped = helped || use.kept < before;
    }
    return helped;
  }

  void look_at(cuda::Pool pool) {
    const std::lock_guard lock(mutex_);
    if (const auto at = pools_.find(pool); at != pools_.end())
      look(pool, at->second);
  }

  void forget(cuda::Pool pool) {
    const std::lock_guard lock(mutex_);
    const auto at = pools_.find(pool);
    if (at == pools_.end()) return;
    Session::get().give_back(at->second.device, at->second.kept);
    at->second.kept = 0;
    if (at->second.used == 0) pools_.erase(at);
  }

 private:
  // What the pool keeps serves first and is charged already.
  bool take(cuda::Pool pool, PoolUse& use, std::uint64_t bytes) {
    look(pool, use);
    const std::uint64_t kept = std::min(use.kept, bytes);
    Session& session = Session::get();
    if (!session.take(use.device, bytes - kept)) {
      if (const auto real = Driver::get().pool_trim) real(pool, 0);
      look(pool, use);
      return session.take(use.device, bytes);
    }
    use.kept -= kept;
    return true;
  }

  // Charges what the driver says that the pool holds beyond what is used.
  void look(cuda::Pool pool, PoolUse& use) {
    const auto real = Driver::get().pool_attribute;
    std::uint64_t reserved = 0;
    if (!real || real(pool, cuda::pool_reserved_current, &reserved) != 0)
      return;
    const std::uint64_t kept = reserved > use.used ? reserved - use.used : 0;
    Session& session = Session::get();
    if (kept <= use.kept) {
      session.give_back(use.device, use.kept - kept);
      use.kept = kept;
      return;
    }
    // Held already, so it is charged as far as the limit goes.
    const std::uint64_t more =
        std::min(kept - use.kept, session.ledger().free(use.device));
    if (session.take(use.device, more)) use.kept += more;
  }

  std::mutex mutex_;
  std::unordered_map<cuda::Pool, PoolUse> pools_;
  std::unordered_map<cuda::Address, PoolAllocation> allocations_;
};

cuda::Result from_pool(cuda::Address* to, std::size_t bytes, cuda::Pool pool,
                       cuda::Result (*make)(cuda::Address*, std::size_t,
                                            cuda::Pool, cuda::Stream, int),
                       cuda::Stream stream, int per_thread) {
  const auto call = [&] { return make(to, bytes, pool, stream, per_thread); };
  Session& session = Session::get();
  if (session.member() == Session::Member::no) return call();
  if (session.member() == Session::Member::refused) return cuda::out_of_memory;
  cuda::DeviceNumber number = 0;
  const Driver& driver = Driver::get();
  if (!driver.context_device || driver.context_device(&number) != 0)
    return call();
  const std::size_t device = session.index_of(number);
  if (device >= session.ledger().device_count()) return cuda::out_of_memory;
  // Captured, it is the graph's, and of no pool that is given here.
  if (const auto graph = captured_graph(stream, per_thread))
    return charged(device, bytes, call, [&] {
      note_captured(stream, per_thread, graph);
      return key_of(graph);
    });
  if (!pool && driver.device_pool) driver.device_pool(&pool, number);
  return Pools::get().allocate(device, pool, to, bytes, call);
}

cuda::Result plain(cuda::Address* to, std::size_t bytes, cuda::Pool,
                   cuda::Stream stream, int per_thread) {
  return Driver::get().alloc_async[per_thread](to, bytes, stream);
}

cuda::Result given(cuda::Address* to, std::size_t bytes, cuda::Pool pool,
                   cuda::Stream stream, int per_thread) {
  return Driver::get().alloc_from_pool[per_thread](to, bytes, pool, stream);
}

bool captured(cuda::Stream stream, int per_thread) {
  int capturing = 0;
  const auto real = Driver::get().is_capturing[per_thread];
  return real && real(stream, &capturing) == 0 && capturing != 0;
}

cuda::Result free_async(cuda::Address address, cuda::Stream stream,
                        int per_thread) {
  const auto real = Driver::get().free_async[per_thread];
  if (!real) return not_initialized;
  const bool shared = Session::get().member() == Session::Member::yes;
  // Freed in a graph, it is taken again each time the graph is launched.
  const bool in_graph = shared && captured(stream, per_thread);
  if (!shared || in_graph) return real(address, stream);
  return freed_address(address, [&] { return real(address, stream); });
}

}  // namespace

std::optional<PoolAllocation> lift_from_pool(cuda::Address address) {
  return Pools::get().lift(address);
}

void settle_in_pool(const PoolAllocation& gone) {
  Pools::get().settle(gone);
}

void put_back_in_pool(cuda::Address address, const PoolAllocation& back) {
  Pools::get().put_back(address, back);
}

bool trim_pools(std::size_t device) {
  return Pools::get().trim(device);
}

}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuMemAllocAsync(cuda::Address* to, std::size_t bytes,
                                        cuda::Stream stream) {
  if (!Driver::get().alloc_async[0]) return not_initialized;
  return from_pool(to, bytes, nullptr, plain, stream, 0);
}

REEVE_HOOK cuda::Result cuMemAllocAsync_ptsz(cuda::Address* to,
                                             std::size_t bytes,
                                             cuda::Stream stream) {
  if (!Driver::get().alloc_async[1]) return not_initialized;
  return from_pool(to, bytes, nullptr, plain, stream, 1);
}

REEVE_HOOK cuda::Result cuMemAllocFromPoolAsync(cuda::Address* to,
                                                std::size_t bytes,
                                                cuda::Pool pool,
                                                cuda::Stream stream) {
  if (!Driver::get().alloc_from_pool[0]) return not_initialized;
  return from_pool(to, bytes, pool, given, stream, 0);
}

REEVE_HOOK cuda::Result cuMemAllocFromPoolAsync_ptsz(cuda::Address* to,
                                                     std::size_t bytes,
                                                     cuda::Pool pool,
                                                     cuda::Stream stream) {
  if (!Driver::get().alloc_from_pool[1]) return not_initialized;
  return from_pool(to, bytes, pool, given, stream, 1);
}

REEVE_HOOK cuda::Result cuMemFreeAsync(cuda::Address address,
                                       cuda::Stream stream) {
  return free_async(address, stream, 0);
}

REEVE_HOOK cuda::Result cuMemFreeAsync_ptsz(cuda::Address address,
                                            cuda::Stream stream) {
  return free_async(address, stream, 1);
}

REEVE_HOOK cuda::Result cuMemPoolTrimTo(cuda::Pool pool, std::size_t bytes) {
  const auto real = Driver::get().pool_trim;
  if (!real) return not_initialized;
  const cuda::Result result = real(pool, bytes);
  if (Session::get().member() == Session::Member::yes)
    Pools::get().look_at(pool);
  return result;
}

REEVE_HOOK cuda::Result cuMemPoolDestroy(cuda::Pool pool) {
  const auto real = Driver::get().pool_destroy;
  if (!real) return not_initialized;
  if (Session::get().member() == Session::Member::yes)
    Pools::get().forget(pool);
  return real(pool);
}

}  // extern "C"

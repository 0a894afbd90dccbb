// Memory that is created, mapped and released apart: it lives until nobody
// holds its handle and it is mapped nowhere.
#include <map>
#include <unordered_set>

#include "gpu/share/hooks.hpp"
#include "gpu/share/session.hpp"

namespace reeve::gpu::share {
namespace {

struct Mapped {
  std::size_t bytes;
  cuda::AllocationHandle handle;
};

class Mappings {
 public:
  static Mappings& get() {
    static auto* const mappings = new Mappings;
    return *mappings;
  }

  // What a release did, so that it can be undone.
  struct Release {
    bool was_last = false;     // nobody holds the handle any more
    Session::Lifted lifted{};  // nor is it mapped: not charged any more
  };
  Release release(cuda::AllocationHandle handle) {
    const std::lock_guard lock(mutex_);
    if (const auto more = more_handles_.find(handle);
        more != more_handles_.end()) {
      if (--more->second == 0) more_handles_.erase(more);
      return {};
    }
    released_.insert(handle);
    return {true, lift_if_unused(handle)};
  }

  void release_failed(cuda::AllocationHandle handle, const Release& gone) {
    const std::lock_guard lock(mutex_);
    if (gone.was_last)
      released_.erase(handle);
    else
      ++more_handles_[handle];
    Session::get().put_back(gone.lifted);
  }

  void retained(cuda::AllocationHandle handle) {
    const std::lock_guard lock(mutex_);
    // One that was given up lives again, held once.
    if (released_.erase(handle) == 0) ++more_handles_[handle];
  }

  void map(cuda::Address address, const Mapped& range) {
    const std::lock_guard lock(mutex_);
    ranges_[address] = range;
    ++ranges_of_[range.handle];
  }

  struct Unmapped {
    std::vector<std::pair<cuda::Address, Mapped>> ranges;
    Session::Lifted lifted;
  };
  Unmapped unmap(cuda::Address address, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    Unmapped gone;
    auto at = ranges_.lower_bound(address);
    while (at != ranges_.end() && at->first < address + bytes) {
      const auto handle = at->second.handle;
      gone.ranges.emplace_back(*at);
      at = ranges_.erase(at);
      --ranges_of_[handle];
      for (const auto& charge : lift_if_unused(handle))
        gone.lifted.push_back(charge);
    }
    return gone;
  }

  void unmap_failed(const Unmapped& gone) {
    for (const auto& [address, range] : gone.ranges) map(address, range);
    const std::lock_guard lock(mutex_);
    for (const auto& [key, charge] : gone.lifted)
      released_.insert(handle_of_key(key));
    Session::get().put_back(gone.lifted);
  }

 private:
  Session::Lifted lift_if_unused(cuda::AllocationHandle handle) {
    const auto at = released_.find(handle);
    if (at == released_.end() || ranges_of_[handle] > 0) return {};
    released_.erase(at);
    ranges_of_.erase(handle);
    return Session::get().lift(key_of_handle(handle));
  }

  std::mutex mutex_;
  std::map<cuda::Address, Mapped> ranges_;
  std::unordered_map<cuda::AllocationHandle, int> ranges_of_;
  // Handles beyond the first of cuMemCreate.
  std::unordered_map<cuda::AllocationHandle, int> more_handles_;
  std::unordered_set<cuda::AllocationHandle> released_;
};

}  // namespace
}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuMemRelease(cuda::AllocationHandle handle) {
  const auto real = Driver::get().release;
  if (!real) return not_initialized;
  const auto gone = Mappings::get().release(handle);
  const cuda::Result result = real(handle);
  if (result == cuda::success)
    Session::get().settle(gone.lifted);
  else
    Mappings::get().release_failed(handle, gone);
  return result;
}

REEVE_HOOK cuda::Result cuMemRetainAllocationHandle(
    cuda::AllocationHandle* handle, void* address) {
  const auto real = Driver::get().retain;
  if (!real) return not_initialized;
  const cuda::Result result = real(handle, address);
  if (result == cuda::success) Mappings::get().retained(*handle);
  return result;
}

REEVE_HOOK cuda::Result cuMemMap(cuda::Address address, std::size_t bytes,
                                 std::size_t offset,
                                 cuda::AllocationHandle handle,
                                 unsigned long long flags) {
  const auto real = Driver::get().map;
  if (!real) return not_initialized;
  const cuda::Result result = real(address, bytes, offset, handle, flags);
  if (result == cuda::success) Mappings::get().map(address, {bytes, handle});
  return result;
}

REEVE_HOOK cuda::Result cuMemUnmap(cuda::Address address, std::size_t bytes) {
  const auto real = Driver::get().unmap;
  if (!real) return not_initialized;
  const auto gone = Mappings::get().unmap(address, bytes);
  const cuda::Result result = real(address, bytes);
  if (result == cuda::success)
    Session::get().settle(gone.lifted);
  else
    Mappings::get().unmap_failed(gone);
  return result;
}

}  // extern "C"

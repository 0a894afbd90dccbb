// Memory that is created, mapped and released apart: it lives until nobody
// holds its handle and it is mapped nowhere.
#include <map>

#include "gpu/share/hooks.hpp"
#include "gpu/share/session.hpp"

namespace reeve::gpu::share {
namespace {

struct Mapped {
  std::size_t bytes;
  cuda::AllocationHandle handle;
};

struct Mappings {
  std::mutex mutex;
  std::map<cuda::Address, Mapped> ranges;
  std::unordered_map<cuda::AllocationHandle, int> ranges_of;
  // Handles beyond the first of cuMemCreate.
  std::unordered_map<cuda::AllocationHandle, int> more_handles;
  std::unordered_map<cuda::AllocationHandle, bool> released;

  static Mappings& get() {
    static auto* const mappings = new Mappings;
    return *mappings;
  }

  void drop_if_unused(cuda::AllocationHandle handle) {
    const auto at = released.find(handle);
    if (at == released.end() || ranges_of[handle] > 0) return;
    released.erase(at);
    ranges_of.erase(handle);
    Session::get().drop(key_of_handle(handle));
  }
};

}  // namespace
}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuMemRelease(cuda::AllocationHandle handle) {
  const auto real = Driver::get().release;
  if (!real) return not_initialized;
  const cuda::Result result = real(handle);
  if (result != cuda::success) return result;
  Mappings& mappings = Mappings::get();
  const std::lock_guard lock(mappings.mutex);
  if (auto& more = mappings.more_handles[handle]; more > 0) {
    --more;
    return result;
  }
  mappings.more_handles.erase(handle);
  mappings.released[handle] = true;
  mappings.drop_if_unused(handle);
  return result;
}

REEVE_HOOK cuda::Result cuMemRetainAllocationHandle(
    cuda::AllocationHandle* handle, void* address) {
  const auto real = Driver::get().retain;
  if (!real) return not_initialized;
  const cuda::Result result = real(handle, address);
  if (result != cuda::success) return result;
  Mappings& mappings = Mappings::get();
  const std::lock_guard lock(mappings.mutex);
  // One that was given up lives again, held once.
  if (mappings.released.erase(*handle) == 0) ++mappings.more_handles[*handle];
  return result;
}

REEVE_HOOK cuda::Result cuMemMap(cuda::Address address, std::size_t bytes,
                                 std::size_t offset,
                                 cuda::AllocationHandle handle,
                                 unsigned long long flags) {
  const auto real = Driver::get().map;
  if (!real) return not_initialized;
  const cuda::Result result = real(address, bytes, offset, handle, flags);
  if (result != cuda::success) return result;
  Mappings& mappings = Mappings::get();
  const std::lock_guard lock(mappings.mutex);
  mappings.ranges[address] = {bytes, handle};
  ++mappings.ranges_of[handle];
  return result;
}

REEVE_HOOK cuda::Result cuMemUnmap(cuda::Address address, std::size_t bytes) {
  const auto real = Driver::get().unmap;
  if (!real) return not_initialized;
  const cuda::Result result = real(address, bytes);
  if (result != cuda::success) return result;
  Mappings& mappings = Mappings::get();
  const std::lock_guard lock(mappings.mutex);
  auto at = mappings.ranges.lower_bound(address);
  while (at != mappings.ranges.end() && at->first < address + bytes) {
    const auto handle = at->second.handle;
    at = mappings.ranges.erase(at);
    --mappings.ranges_of[handle];
    mappings.drop_if_unused(handle);
  }
  return result;
}

}  // extern "C"

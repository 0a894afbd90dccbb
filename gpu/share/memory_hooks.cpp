// Entry points that take or give back device memory, and those that tell how
// much there is.
#include <algorithm>
#include <mutex>

#include "gpu/share/charged.hpp"
#include "gpu/share/gate.hpp"
#include "gpu/share/hooks.hpp"
#include "gpu/share/pools.hpp"
#include "gpu/share/session.hpp"

namespace reeve::gpu::share {
namespace {

// The size of an array as its elements take it; the driver may round it up.
std::uint64_t bytes_of(const cuda::Array3dDescriptor& array) {
  const auto element = [&]() -> std::uint64_t {
    switch (array.format) {
      case 0x01:
      case 0x08: return 1;
      case 0x02:
      case 0x09:
      case 0x10: return 2;
      default: return 4;
    }
  }();
  return element * std::max(array.channels, 1u) * array.width *
         std::max<std::size_t>(array.height, 1) *
         std::max<std::size_t>(array.depth, 1);
}

bool primary_is_gone(cuda::DeviceNumber device) {
  const auto state = Driver::get().primary_state;
  unsigned flags = 0;
  int active = 0;
  return state && state(device, &flags, &active) == 0 && active == 0;
}

// The context that programs share on a device, if it is there.
cuda::Context primary_of(cuda::DeviceNumber device) {
  const Driver& driver = Driver::get();
  unsigned flags = 0;
  int active = 0;
  cuda::Context primary = nullptr;
  if (!driver.primary_state || !driver.primary_retain ||
      driver.primary_state(device, &flags, &active) != 0 || active == 0 ||
      driver.primary_retain(&primary, device) != 0)
    return nullptr;
  driver.primary_release(device);
  return primary;
}

// The heap from which kernels allocate, of one context: charged in full once it
// was asked for. The one that each context begins with is a part of the
// context.
cuda::Result heap_set(std::size_t bytes, cuda::CtxSetLimit* real) {
  // Two threads that set it at once would both be charged.
  static auto* const mutex = new std::mutex;
  const std::lock_guard lock(*mutex);
  Session& session = Session::get();
  const cuda::Context context = current_context();
  if (!context) return real(cuda::limit_malloc_heap, bytes);
  const std::size_t device = session.current_device();
  const auto before = session.lift(key_of(context));
  std::uint64_t had = 0;
  for (const auto& [key, charge] : before) had += charge.bytes;
  const std::uint64_t more = bytes > had ? bytes - had : 0;
  const bool taken = take_or_trim(device, more);
  const cuda::Result result =
      taken ? real(cuda::limit_malloc_heap, bytes) : cuda::out_of_memory;
  if (result != cuda::success) {
    if (taken) session.give_back(device, more);
    session.put_back(before);
    return result;
  }
  session.give_back(device, had > bytes ? had - bytes : 0);
  session.keep(key_of(context), {device, bytes, context});
  return result;
}

// `real` ends the context at the driver.
template <class Real>
cuda::Result ended(cuda::Context context, Real real) {
  Session& session = Session::get();
  ContextEnd end(context);
  const auto lifted = session.lift_context(context);
  const cuda::Result result = real();
  end.done(result == cuda::success);
  if (result == cuda::success)
    session.settle(lifted);
  else
    session.put_back(lifted);
  return result;
}

}  // namespace
}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuMemAlloc_v2(cuda::Address* to, std::size_t bytes) {
  REEVE_REAL(alloc);
  if (passes()) return real(to, bytes);
  return charged(
      Session::get().current_device(), bytes, [&] { return real(to, bytes); },
      [&] { return *to; });
}

REEVE_HOOK cuda::Result cuMemAllocPitch_v2(cuda::Address* to,
                                           std::size_t* pitch,
                                           std::size_t width,
                                           std::size_t height,
                                           unsigned element) {
  REEVE_REAL(alloc_pitch);
  if (passes()) return real(to, pitch, width, height, element);
  // Rows are laid out to 512 bytes.
  const std::size_t row = (width + 511) / 512 * 512;
  return charged(
      Session::get().current_device(), row * height,
      [&] { return real(to, pitch, width, height, element); },
      [&] { return *to; });
}

REEVE_HOOK cuda::Result cuMemAllocManaged(cuda::Address* to, std::size_t bytes,
                                          unsigned flags) {
  REEVE_REAL(alloc_managed);
  if (passes()) return real(to, bytes, flags);
  return charged(
      Session::get().current_device(), bytes,
      [&] { return real(to, bytes, flags); }, [&] { return *to; });
}

REEVE_HOOK cuda::Result cuMemFree_v2(cuda::Address address) {
  const auto real = Driver::get().free;
  if (!real) return not_initialized;
  if (passes()) return real(address);
  return freed_address(address, [&] { return real(address); });
}

REEVE_HOOK cuda::Result cuMemCreate(cuda::AllocationHandle* to,
                                    std::size_t bytes,
                                    const cuda::AllocationProperties* how,
                                    unsigned long long flags) {
  REEVE_REAL(create);
  if (passes() || !how || how->location_type != cuda::location_is_device)
    return real(to, bytes, how, flags);
  return charged(
      Session::get().index_of(how->location_id), bytes,
      [&] { return real(to, bytes, how, flags); },
      [&] { return key_of_handle(*to); });
}

REEVE_HOOK cuda::Result cuArrayCreate_v2(cuda::Array* to,
                                         const cuda::ArrayDescriptor* how) {
  REEVE_REAL(array_create);
  if (passes() || !how) return real(to, how);
  return charged(
      Session::get().current_device(),
      bytes_of({how->width, how->height, 0, how->format, how->channels, 0}),
      [&] { return real(to, how); }, [&] { return key_of(*to); });
}

REEVE_HOOK cuda::Result cuArray3DCreate_v2(cuda::Array* to,
                                           const cuda::Array3dDescriptor* how) {
  REEVE_REAL(array3d_create);
  if (passes() || !how) return real(to, how);
  return charged(
      Session::get().current_device(), bytes_of(*how),
      [&] { return real(to, how); }, [&] { return key_of(*to); });
}

REEVE_HOOK cuda::Result cuMipmappedArrayCreate(
    cuda::MipmappedArray* to, const cuda::Array3dDescriptor* how,
    unsigned levels) {
  REEVE_REAL(mipmapped_create);
  if (passes() || !how) return real(to, how, levels);
  // All smaller levels together take at most as much as the first.
  return charged(
      Session::get().current_device(), bytes_of(*how) * (levels > 1 ? 2 : 1),
      [&] { return real(to, how, levels); }, [&] { return key_of(*to); });
}

REEVE_HOOK cuda::Result cuArrayDestroy(cuda::Array array) {
  const auto real = Driver::get().array_destroy;
  if (!real) return not_initialized;
  if (passes()) return real(array);
  return freed(key_of(array), [&] { return real(array); });
}

REEVE_HOOK cuda::Result cuMipmappedArrayDestroy(cuda::MipmappedArray array) {
  const auto real = Driver::get().mipmapped_destroy;
  if (!real) return not_initialized;
  if (passes()) return real(array);
  return freed(key_of(array), [&] { return real(array); });
}

REEVE_HOOK cuda::Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  const auto real = Driver::get().info;
  if (!real) return not_initialized;
  const cuda::Result result = real(free, total);
  if (result != cuda::success || passes()) return result;
  Session& session = Session::get();
  const std::size_t device = refused() ? 0 : session.current_device();
  if (refused() || device >= session.ledger().device_count()) {
    *free = *total = 0;
    return result;
  }
  *total = std::min<std::size_t>(*total,
                                 session.ledger().device(device).memory_bytes);
  *free = std::min<std::size_t>(*free, session.ledger().free(device));
  return result;
}

REEVE_HOOK cuda::Result cuDeviceTotalMem_v2(std::size_t* bytes,
                                            cuda::DeviceNumber number) {
  const auto real = Driver::get().device_total;
  if (!real) return not_initialized;
  const cuda::Result result = real(bytes, number);
  if (result != cuda::success || passes() || refused()) return result;
  Session& session = Session::get();
  const std::size_t device = session.index_of(number);
  if (device < session.ledger().device_count())
    *bytes = std::min<std::size_t>(
        *bytes, session.ledger().device(device).memory_bytes);
  return result;
}

REEVE_HOOK cuda::Result cuCtxSetLimit(int what, std::size_t bytes) {
  REEVE_REAL(context_limit);
  if (passes() || what != cuda::limit_malloc_heap) return real(what, bytes);
  return heap_set(bytes, real);
}

REEVE_HOOK cuda::Result cuCtxDestroy_v2(cuda::Context context) {
  const auto real = Driver::get().context_destroy;
  if (!real) return not_initialized;
  if (passes()) return real(context);
  return ended(context, [&] { return real(context); });
}

REEVE_HOOK cuda::Result cuDevicePrimaryCtxRelease_v2(
    cuda::DeviceNumber device) {
  const auto real = Driver::get().primary_release;
  if (!real) return not_initialized;
  const cuda::Context primary = passes() ? nullptr : primary_of(device);
  if (!primary) return real(device);
  ContextEnd end(primary);
  const cuda::Result result = real(device);
  const bool gone = result == cuda::success && primary_is_gone(device);
  end.done(gone);
  // Not lifted before: it may well live on.
  Session& session = Session::get();
  if (gone) session.settle(session.lift_context(primary));
  return result;
}

REEVE_HOOK cuda::Result cuDevicePrimaryCtxReset_v2(cuda::DeviceNumber device) {
  const auto real = Driver::get().primary_reset;
  if (!real) return not_initialized;
  const cuda::Context primary = passes() ? nullptr : primary_of(device);
  if (!primary) return real(device);
  return ended(primary, [&] { return real(device); });
}

}  // extern "C"

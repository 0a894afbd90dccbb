// dlsym and cuGetProcAddress, which hand out the shim's entry points in place
// of the driver's.
#include <cstring>
#include <string>

#include "gpu/share/driver.hpp"
#include "gpu/share/hooks.hpp"

namespace reeve::gpu::share {
namespace {

// What the driver means by a name without a suffix: the newest variant that
// the asked version of CUDA had. Of those hooked that is always the second,
// which all came before CUDA 12, but for the nodes of graphs.
void* hook_for(const char* symbol, int version, std::uint64_t flags) {
  const std::string name = symbol;
  if (flags & cuda::per_thread_stream)
    if (void* found = hook((name + "_ptsz").c_str())) return found;
  const bool newest = name != "cuGraphAddNode" || version >= 12030;
  if (newest)
    if (void* found = hook((name + "_v2").c_str())) return found;
  return hook(symbol);
}

void replace(const char* symbol, void** function, int version,
             std::uint64_t flags) {
  if (!symbol || !function || !*function) return;
  // The first variants of before CUDA 3.2 have other types. Those that have
  // no second are asked for by the version that brought them, 2.0 at times.
  if (version < 3020 && hook((std::string(symbol) + "_v2").c_str())) return;
  if (std::strcmp(symbol, "cuGetProcAddress") == 0 && version < 12000) {
    *function = hook("cuGetProcAddress");
    return;
  }
  if (void* found = hook_for(symbol, version, flags)) *function = found;
}

// The newest variant of cuGraphInstantiate has a name of its own and takes
// other arguments. Which one was found is seen by asking for that.
template <class Ask>
const char* name_for(const char* symbol, void* found, Ask ask) {
  constexpr const char* newest = "cuGraphInstantiateWithFlags";
  if (!symbol || std::strcmp(symbol, "cuGraphInstantiate") != 0) return symbol;
  void* other = nullptr;
  return ask(newest, &other) == cuda::success && other == found ? newest
                                                                : symbol;
}

}  // namespace
}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuGetProcAddress(const char* symbol, void** function,
                                         int version, std::uint64_t flags) {
  const auto real = Driver::get().proc_address_v1;
  if (!real) return not_initialized;
  const cuda::Result result = real(symbol, function, version, flags);
  if (result != cuda::success || !function) return result;
  const auto ask = [&](const char* name, void** to) {
    return real(name, to, version, flags);
  };
  replace(name_for(symbol, *function, ask), function, version, flags);
  return result;
}

REEVE_HOOK cuda::Result cuGetProcAddress_v2(const char* symbol, void** function,
                                            int version, std::uint64_t flags,
                                            int* status) {
  const auto real = Driver::get().proc_address;
  if (!real) return not_initialized;
  const cuda::Result result = real(symbol, function, version, flags, status);
  if (result != cuda::success || !function) return result;
  const auto ask = [&](const char* name, void** to) {
    int ignored = 0;
    return real(name, to, version, flags, &ignored);
  };
  replace(name_for(symbol, *function, ask), function, version, flags);
  return result;
}

// For a name that is not ours this must be a jump and no call: with RTLD_NEXT
// the C library looks at who asks. Built with optimization at all times.
REEVE_HOOK void* dlsym(void* library, const char* name) {
  if (name && name[0] == 'c' && name[1] == 'u') {
    if (void* ours = hook(name))
      return real_dlsym()(library, name) ? ours : nullptr;
  }
  return real_dlsym()(library, name);
}

}  // extern "C"

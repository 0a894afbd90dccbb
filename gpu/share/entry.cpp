// The ways in which a program finds the driver's entry points: by linking, by
// dlsym, and by cuGetProcAddress, which the CUDA runtime uses for all others.
#include <cstring>

#include "gpu/share/driver.hpp"
#include "gpu/share/hooks.hpp"

// clang-format off
#define REEVE_HOOKS(X) \
  X(cuMemAlloc_v2) X(cuMemAllocPitch_v2) X(cuMemAllocManaged) \
  X(cuMemFree_v2) X(cuMemAllocAsync) X(cuMemAllocAsync_ptsz) \
  X(cuMemAllocFromPoolAsync) X(cuMemAllocFromPoolAsync_ptsz) \
  X(cuMemFreeAsync) X(cuMemFreeAsync_ptsz) X(cuMemPoolTrimTo) \
  X(cuMemPoolDestroy) X(cuMemCreate) X(cuMemRelease) \
  X(cuMemRetainAllocationHandle) X(cuMemMap) X(cuMemUnmap) \
  X(cuArrayCreate_v2) X(cuArray3DCreate_v2) X(cuArrayDestroy) \
  X(cuMipmappedArrayCreate) X(cuMipmappedArrayDestroy) X(cuMemGetInfo_v2) \
  X(cuDeviceTotalMem_v2) X(cuCtxDestroy_v2) X(cuCtxSetLimit) \
  X(cuDevicePrimaryCtxRelease_v2) X(cuDevicePrimaryCtxReset_v2) \
  X(cuGraphAddMemAllocNode) X(cuGraphAddNode) \
  X(cuGraphAddNode_v2) X(cuGraphDestroy) X(cuGraphInstantiate) \
  X(cuGraphInstantiate_v2) X(cuGraphInstantiateWithFlags) \
  X(cuGraphInstantiateWithParams) X(cuGraphInstantiateWithParams_ptsz) \
  X(cuGraphExecDestroy) X(cuStreamEndCapture) X(cuStreamEndCapture_ptsz) \
  X(cuLaunchKernel) X(cuLaunchKernel_ptsz) X(cuLaunchKernelEx) \
  X(cuLaunchKernelEx_ptsz) \
  X(cuLaunchCooperativeKernel) X(cuLaunchCooperativeKernel_ptsz) \
  X(cuGraphLaunch) X(cuGraphLaunch_ptsz) X(cuGetProcAddress) \
  X(cuGetProcAddress_v2)
// clang-format on

#define REEVE_DECLARE(name) REEVE_HOOK void name();
extern "C" {
REEVE_HOOKS(REEVE_DECLARE)
}

namespace reeve::gpu::share {
namespace {

struct Entry {
  const char* name;
  void (*function)();
};

#define REEVE_ENTRY(name) {#name, ::name},
constexpr Entry entries[] = {REEVE_HOOKS(REEVE_ENTRY)};

}  // namespace

void* hook(const char* name) {
  for (const Entry& entry : entries)
    if (std::strcmp(entry.name, name) == 0)
      return reinterpret_cast<void*>(entry.function);
  return nullptr;
}

}  // namespace reeve::gpu::share

#include "gpu/share/driver.hpp"

#include <dlfcn.h>

#include <string>

namespace reeve::gpu::share {
namespace {

class Finder {
 public:
  // The library is there: somebody has just called into it.
  Finder() : library_(::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) {}

  template <class Function>
  void find(Function*& function, const char* name) const {
    if (library_)
      function = reinterpret_cast<Function*>(real_dlsym()(library_, name));
  }

  template <class Function>
  void find(Function* (&functions)[2], const std::string& name) const {
    find(functions[0], name.c_str());
    find(functions[1], (name + "_ptsz").c_str());
  }

 private:
  void* library_;
};

void find_memory(const Finder& finder, Driver& driver) {
  finder.find(driver.info, "cuMemGetInfo_v2");
  finder.find(driver.alloc, "cuMemAlloc_v2");
  finder.find(driver.alloc_pitch, "cuMemAllocPitch_v2");
  finder.find(driver.alloc_managed, "cuMemAllocManaged");
  finder.find(driver.alloc_async, "cuMemAllocAsync");
  finder.find(driver.alloc_from_pool, "cuMemAllocFromPoolAsync");
  finder.find(driver.free, "cuMemFree_v2");
  finder.find(driver.free_async, "cuMemFreeAsync");
  finder.find(driver.create, "cuMemCreate");
  finder.find(driver.release, "cuMemRelease");
  finder.find(driver.retain, "cuMemRetainAllocationHandle");
  finder.find(driver.map, "cuMemMap");
  finder.find(driver.unmap, "cuMemUnmap");
  finder.find(driver.array_create, "cuArrayCreate_v2");
  finder.find(driver.array3d_create, "cuArray3DCreate_v2");
  finder.find(driver.array_destroy, "cuArrayDestroy");
  finder.find(driver.mipmapped_create, "cuMipmappedArrayCreate");
  finder.find(driver.mipmapped_destroy, "cuMipmappedArrayDestroy");
  finder.find(driver.device_pool, "cuDeviceGetMemPool");
  finder.find(driver.pool_attribute, "cuMemPoolGetAttribute");
  finder.find(driver.pool_trim, "cuMemPoolTrimTo");
  finder.find(driver.pool_destroy, "cuMemPoolDestroy");
}

void find_graphs(const Finder& finder, Driver& driver) {
  finder.find(driver.graph_alloc_node, "cuGraphAddMemAllocNode");
  finder.find(driver.graph_node_v1, "cuGraphAddNode");
  finder.find(driver.graph_node, "cuGraphAddNode_v2");
  finder.find(driver.graph_destroy, "cuGraphDestroy");
  finder.find(driver.graph_instantiate_v1, "cuGraphInstantiate");
  finder.find(driver.graph_instantiate_v2, "cuGraphInstantiate_v2");
  finder.find(driver.graph_instantiate, "cuGraphInstantiateWithFlags");
  finder.find(driver.graph_instantiate_params, "cuGraphInstantiateWithParams");
  finder.find(driver.graph_exec_destroy, "cuGraphExecDestroy");
  finder.find(driver.end_capture, "cuStreamEndCapture");
  finder.find(driver.capture_info, "cuStreamGetCaptureInfo_v2");
}

void find_rest(const Finder& finder, Driver& driver) {
  // The second tells the instance of a device in MIG mode.
  finder.find(driver.device_uuid, "cuDeviceGetUuid_v2");
  if (!driver.device_uuid) finder.find(driver.device_uuid, "cuDeviceGetUuid");
  finder.find(driver.device_total, "cuDeviceTotalMem_v2");
  finder.find(driver.primary_release, "cuDevicePrimaryCtxRelease_v2");
  finder.find(driver.primary_reset, "cuDevicePrimaryCtxReset_v2");
  finder.find(driver.primary_retain, "cuDevicePrimaryCtxRetain");
  finder.find(driver.primary_state, "cuDevicePrimaryCtxGetState");
  finder.find(driver.context_device, "cuCtxGetDevice");
  finder.find(driver.context, "cuCtxGetCurrent");
  finder.find(driver.context_set, "cuCtxSetCurrent");
  finder.find(driver.context_destroy, "cuCtxDestroy_v2");
  finder.find(driver.context_limit, "cuCtxSetLimit");
  finder.find(driver.launch, "cuLaunchKernel");
  finder.find(driver.launch_ex, "cuLaunchKernelEx");
  finder.find(driver.launch_cooperative, "cuLaunchCooperativeKernel");
  finder.find(driver.graph_launch, "cuGraphLaunch");
  finder.find(driver.event_create, "cuEventCreate");
  finder.find(driver.event_destroy, "cuEventDestroy_v2");
  finder.find(driver.event_record, "cuEventRecord");
  finder.find(driver.event_query, "cuEventQuery");
  finder.find(driver.event_elapsed, "cuEventElapsedTime");
  finder.find(driver.is_capturing, "cuStreamIsCapturing");
  finder.find(driver.proc_address_v1, "cuGetProcAddress");
  finder.find(driver.proc_address, "cuGetProcAddress_v2");
}

Driver found() {
  Driver driver;
  const Finder finder;
  find_memory(finder, driver);
  find_graphs(finder, driver);
  find_rest(finder, driver);
  return driver;
}

}  // namespace

const Driver& Driver::get() {
  static const Driver driver = found();
  return driver;
}

DlSym* real_dlsym() {
  static DlSym* const real = [] {
    for (const char* version : {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17"})
      if (void* found = ::dlvsym(RTLD_NEXT, "dlsym", version))
        return reinterpret_cast<DlSym*>(found);
    return static_cast<DlSym*>(nullptr);
  }();
  return real;
}

}  // namespace reeve::gpu::share

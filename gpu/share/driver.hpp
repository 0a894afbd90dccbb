// The real driver behind the shim. Its entry points are looked up once, past
// the shim's own; an older driver has not got all of them.
#pragma once

#include "gpu/share/cuda_abi.hpp"

namespace reeve::gpu::share {

struct Driver {
  cuda::DeviceGetUuid* device_uuid = nullptr;
  cuda::DeviceTotalMem* device_total = nullptr;
  cuda::DeviceOnly* primary_release = nullptr;
  cuda::DeviceOnly* primary_reset = nullptr;
  cuda::PrimaryRetain* primary_retain = nullptr;
  cuda::PrimaryState* primary_state = nullptr;
  cuda::CtxGetDevice* context_device = nullptr;
  cuda::CtxGetCurrent* context = nullptr;
  cuda::CtxSetCurrent* context_set = nullptr;
  cuda::CtxDestroy* context_destroy = nullptr;
  cuda::CtxSetLimit* context_limit = nullptr;
  cuda::MemGetInfo* info = nullptr;
  cuda::MemAlloc* alloc = nullptr;
  cuda::MemAllocPitch* alloc_pitch = nullptr;
  cuda::MemAllocManaged* alloc_managed = nullptr;
  cuda::MemAllocAsync* alloc_async[2] = {};  // [1]: per-thread streams
  cuda::MemAllocFromPoolAsync* alloc_from_pool[2] = {};
  cuda::MemFree* free = nullptr;
  cuda::MemFreeAsync* free_async[2] = {};
  cuda::MemCreate* create = nullptr;
  cuda::MemRelease* release = nullptr;
  cuda::MemRetain* retain = nullptr;
  cuda::MemMap* map = nullptr;
  cuda::MemUnmap* unmap = nullptr;
  cuda::ArrayCreate* array_create = nullptr;
  cuda::Array3dCreate* array3d_create = nullptr;
  cuda::ArrayDestroy* array_destroy = nullptr;
  cuda::MipmappedArrayCreate* mipmapped_create = nullptr;
  cuda::MipmappedArrayDestroy* mipmapped_destroy = nullptr;
  cuda::DeviceGetMemPool* device_pool = nullptr;
  cuda::PoolGetAttribute* pool_attribute = nullptr;
  cuda::PoolTrimTo* pool_trim = nullptr;
  cuda::PoolDestroy* pool_destroy = nullptr;
  cuda::GraphAddMemAllocNode* graph_alloc_node = nullptr;
  cuda::GraphAddNodeV1* graph_node_v1 = nullptr;
  cuda::GraphAddNode* graph_node = nullptr;
  cuda::GraphDestroy* graph_destroy = nullptr;
  cuda::GraphInstantiateV1* graph_instantiate_v1 = nullptr;
  cuda::GraphInstantiateV1* graph_instantiate_v2 = nullptr;
  cuda::GraphInstantiate* graph_instantiate = nullptr;
  cuda::GraphInstantiateParams* graph_instantiate_params[2] = {};
  cuda::GraphExecDestroy* graph_exec_destroy = nullptr;
  cuda::StreamEndCapture* end_capture[2] = {};
  cuda::StreamCaptureInfo* capture_info[2] = {};
  cuda::LaunchKernel* launch[2] = {};
  cuda::LaunchKernelEx* launch_ex[2] = {};
  cuda::LaunchCooperativeKernel* launch_cooperative[2] = {};
  cuda::GraphLaunch* graph_launch[2] = {};
  cuda::EventCreate* event_create = nullptr;
  cuda::EventDestroy* event_destroy = nullptr;
  cuda::EventRecord* event_record[2] = {};
  cuda::EventQuery* event_query = nullptr;
  cuda::EventElapsed* event_elapsed = nullptr;
  cuda::StreamIsCapturing* is_capturing[2] = {};
  cuda::GetProcAddressV1* proc_address_v1 = nullptr;
  cuda::GetProcAddress* proc_address = nullptr;

  static const Driver& get();
};

constexpr cuda::Result not_initialized = 3;

// dlsym as the C library has it.
using DlSym = void*(void*, const char*);
DlSym* real_dlsym();

// The shim's entry point of that name; null if it has none.
void* hook(const char* name);

}  // namespace reeve::gpu::share

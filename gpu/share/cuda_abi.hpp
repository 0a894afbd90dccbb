// The entry points of the CUDA driver API that the shim stands in for or
// asks, declared from its documentation: entry points with a version suffix
// never change.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reeve::gpu::cuda {

using Result = int;
using Address = unsigned long long;
using DeviceNumber = int;
using Context = struct OpaqueContext*;
using Stream = struct OpaqueStream*;
using Event = struct OpaqueEvent*;
using Function = struct OpaqueFunction*;
using Array = struct OpaqueArray*;
using MipmappedArray = struct OpaqueMipmappedArray*;
using Pool = struct OpaquePool*;
using Graph = struct OpaqueGraph*;
using GraphNode = struct OpaqueGraphNode*;
using GraphExec = struct OpaqueGraphExec*;
using AllocationHandle = unsigned long long;

constexpr Result success = 0;
constexpr Result invalid_value = 1;
constexpr Result out_of_memory = 2;
constexpr Result not_ready = 600;

struct Uuid {
  unsigned char bytes[16];
};

struct ArrayDescriptor {
  std::size_t width;
  std::size_t height;
  int format;
  unsigned channels;
};

struct Array3dDescriptor {
  std::size_t width;
  std::size_t height;
  std::size_t depth;
  int format;
  unsigned channels;
  unsigned flags;
};

constexpr int location_is_device = 1;
constexpr int capture_active = 1;
constexpr std::uintptr_t stream_per_thread = 2;  // as a handle

struct AllocationProperties {
  int type;
  int handle_types;
  int location_type;
  int location_id;
  void* windows;
  unsigned char flags[8];
};

struct LaunchConfig {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  Stream stream;
  void* attributes;
  unsigned attribute_count;
};

struct AllocationNode {
  unsigned char pool[88];
  const void* access;
  std::size_t access_count;
  std::size_t bytes;
  Address address;
};

// The parameters of a node of a graph begin with its kind.
struct NodeParameters {
  int kind;
  int reserved[3];
  AllocationNode allocation;
};
constexpr int node_allocates = 10;

constexpr int pool_reserved_current = 5;
constexpr int limit_malloc_heap = 2;            // of malloc in kernels
constexpr std::uint64_t per_thread_stream = 2;  // of cuGetProcAddress

using DeviceGetUuid = Result(Uuid*, DeviceNumber);
using DeviceTotalMem = Result(std::size_t*, DeviceNumber);
using DeviceOnly = Result(DeviceNumber);
using PrimaryRetain = Result(Context*, DeviceNumber);
using PrimaryState = Result(DeviceNumber, unsigned*, int*);
using DeviceGetMemPool = Result(Pool*, DeviceNumber);
using CtxGetDevice = Result(DeviceNumber*);
using CtxGetCurrent = Result(Context*);
using CtxSetCurrent = Result(Context);
using CtxDestroy = Result(Context);
using CtxSetLimit = Result(int, std::size_t);
using MemGetInfo = Result(std::size_t*, std::size_t*);
using MemAlloc = Result(Address*, std::size_t);
using MemAllocPitch = Result(Address*, std::size_t*, std::size_t, std::size_t,
                             unsigned);
using MemAllocManaged = Result(Address*, std::size_t, unsigned);
using MemAllocAsync = Result(Address*, std::size_t, Stream);
using MemAllocFromPoolAsync = Result(Address*, std::size_t, Pool, Stream);
using MemFree = Result(Address);
using MemFreeAsync = Result(Address, Stream);
using MemCreate = Result(AllocationHandle*, std::size_t,
                         const AllocationProperties*, unsigned long long);
using MemRelease = Result(AllocationHandle);
using MemRetain = Result(AllocationHandle*, void*);
using MemMap = Result(Address, std::size_t, std::size_t, AllocationHandle,
                      unsigned long long);
using MemUnmap = Result(Address, std::size_t);
using ArrayCreate = Result(Array*, const ArrayDescriptor*);
using Array3dCreate = Result(Array*, const Array3dDescriptor*);
using ArrayDestroy = Result(Array);
using MipmappedArrayCreate = Result(MipmappedArray*, const Array3dDescriptor*,
                                    unsigned);
using MipmappedArrayDestroy = Result(MipmappedArray);
using PoolGetAttribute = Result(Pool, int, void*);
using PoolDestroy = Result(Pool);
using PoolTrimTo = Result(Pool, std::size_t);
using GraphAddMemAllocNode = Result(GraphNode*, Graph, const GraphNode*,
                                    std::size_t, AllocationNode*);
using GraphAddNodeV1 = Result(GraphNode*, Graph, const GraphNode*, std::size_t,
                              void*);
using GraphAddNode = Result(GraphNode*, Graph, const GraphNode*, const void*,
                            std::size_t, void*);
using GraphDestroy = Result(Graph);
using GraphInstantiateV1 = Result(GraphExec*, Graph, GraphNode*, char*,
                                  std::size_t);
using GraphInstantiate = Result(GraphExec*, Graph, unsigned long long);
using GraphInstantiateParams = Result(GraphExec*, Graph, void*);
using GraphExecDestroy = Result(GraphExec);
using StreamEndCapture = Result(Stream, Graph*);
using StreamCaptureInfo = Result(Stream, int*, std::uint64_t*, Graph*,
                                 const GraphNode**, std::size_t*);
using LaunchKernel = Result(Function, unsigned, unsigned, unsigned, unsigned,
                            unsigned, unsigned, unsigned, Stream, void**,
                            void**);
using LaunchKernelEx = Result(const LaunchConfig*, Function, void**, void**);
using LaunchCooperativeKernel = Result(Function, unsigned, unsigned, unsigned,
                                       unsigned, unsigned, unsigned, unsigned,
                                       Stream, void**);
using GraphLaunch = Result(GraphExec, Stream);
using EventCreate = Result(Event*, unsigned);
using EventDestroy = Result(Event);
using EventRecord = Result(Event, Stream);
using EventQuery = Result(Event);
using EventElapsed = Result(float*, Event, Event);
using StreamIsCapturing = Result(Stream, int*);
using GetProcAddressV1 = Result(const char*, void**, int, std::uint64_t);
using GetProcAddress = Result(const char*, void**, int, std::uint64_t, int*);

static_assert(sizeof(AllocationProperties) == 32 &&
              offsetof(AllocationProperties, location_id) == 12);
static_assert(offsetof(LaunchConfig, stream) == 32);
static_assert(offsetof(AllocationNode, bytes) == 104);

}  // namespace reeve::gpu::cuda

// A CUDA driver for tests. It has one device with 80 GB, on which kernels take
// REEVE_FAKE_KERNEL_US each, one after the other. Memory is counted and not
// there. It knows nothing of limits: those are the shim's.
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "gpu/share/cuda_abi.hpp"

using namespace reeve::gpu::cuda;

namespace {

constexpr std::size_t total_bytes = 80'000'000'000;
constexpr Result invalid_handle = 400;
constexpr Result not_found = 500;
constexpr Result capture_broken = 901;

std::mutex mutex;
std::uint64_t next_number = 0x1000;
std::uint64_t used_bytes = 0;
std::map<std::uint64_t, std::size_t> allocations;
std::uint64_t pool_used = 0;
std::uint64_t pool_reserved = 0;
std::map<std::uint64_t, std::size_t> pool_allocations;
std::int64_t busy_until_ns = 0;
int capturing = 0;
std::uint64_t captured = 0;  // the graph
int primary_users = 1;       // of the context that programs share

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

void (*on_free)() = nullptr;
AllocationHandle unmapped_handle = 0;
Result next_release = success;
unsigned limit_us = 0;
std::uint64_t freed_number = 0;  // it is given again meanwhile; 0: none is

std::uint64_t new_number() {
  if (freed_number == 0) return next_number += 0x1000;
  return std::exchange(freed_number, 0);
}

std::uint64_t make(std::size_t bytes) {
  const std::lock_guard lock(mutex);
  const std::uint64_t number = new_number();
  allocations[number] = bytes;
  used_bytes += bytes;
  return number;
}

// What another thread does between the end of a free and its return.
Result freed(std::uint64_t number) {
  if (!on_free) return success;
  freed_number = number;
  std::exchange(on_free, nullptr)();
  freed_number = 0;
  return success;
}

Result unmake(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex);
    const auto at = allocations.find(number);
    if (at == allocations.end()) return invalid_value;
    used_bytes -= at->second;
    allocations.erase(at);
  }
  return freed(number);
}

template <class Handle>
Handle handle(std::uint64_t number) {
  return reinterpret_cast<Handle>(static_cast<std::uintptr_t>(number));
}

template <class Handle>
std::uint64_t number(Handle of) {
  return reinterpret_cast<std::uintptr_t>(of);
}

Result from_pool(Address* to, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  *to = new_number();
  pool_allocations[*to] = bytes;
  pool_used += bytes;
  if (pool_used > pool_reserved) pool_reserved = pool_used;
  return success;
}

bool free_in_pool(Address address) {
  const std::lock_guard lock(mutex);
  const auto at = pool_allocations.find(address);
  if (at == pool_allocations.end()) return false;
  pool_used -= at->second;
  pool_allocations.erase(at);
  return true;
}

Result free_any(Address address) {
  return free_in_pool(address) ? freed(address) : unmake(address);
}

Result start_kernel() {
  const char* text = std::getenv("REEVE_FAKE_KERNEL_US");
  const std::int64_t ns = text ? std::strtoll(text, nullptr, 10) * 1000 : 0;
  const std::lock_guard lock(mutex);
  const std::int64_t now = now_ns();
  busy_until_ns = (busy_until_ns > now ? busy_until_ns : now) + ns;
  return success;
}

constexpr std::uint64_t primary = 1;
thread_local std::uint64_t current = primary;
std::map<std::uint64_t, int> lives;  // of each context: ended so many times
int dead_events_asked = 0;

// Good in the context it was made in, for as long as that lives.
struct FakeEvent {
  std::int64_t at_ns;
  std::uint64_t context;
  int life;
};

FakeEvent* living(Event event) {
  auto* const it = reinterpret_cast<FakeEvent*>(event);
  return it->life == lives[it->context] ? it : nullptr;
}

Result record(Event event) {
  const std::lock_guard lock(mutex);
  FakeEvent* const it = living(event);
  if (!it || it->context != current) return invalid_handle;
  const std::int64_t now = now_ns();
  it->at_ns = busy_until_ns > now ? busy_until_ns : now;
  return success;
}

Result end_context(std::uint64_t context) {
  const std::lock_guard lock(mutex);
  used_bytes = 0;
  allocations.clear();
  ++lives[context];
  return success;
}

}  // namespace

extern "C" {

Result cuInit(unsigned) {
  return success;
}
Result cuDeviceGetUuid_v2(Uuid* uuid, DeviceNumber) {
  for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<unsigned char>(i);
  return success;
}
Result cuDeviceTotalMem_v2(std::size_t* bytes, DeviceNumber) {
  *bytes = total_bytes;
  return success;
}
Result cuCtxGetDevice(DeviceNumber* device) {
  *device = 0;
  return success;
}
Result cuCtxGetCurrent(Context* context) {
  *context = handle<Context>(current);
  return success;
}
Result cuCtxSetCurrent(Context context) {
  current = number(context);
  return success;
}
Result cuCtxSetLimit(int, std::size_t bytes) {
  ::usleep(limit_us);
  return bytes % 2 == 0 ? success : invalid_value;
}
// Only for tests: how long cuCtxSetLimit takes from now on.
void fake_slow_limit(unsigned us) {
  limit_us = us;
}
Result cuCtxDestroy_v2(Context context) {
  return end_context(number(context));
}
// Only for tests: it ends in a way that nobody stands in for.
void fake_end_context(Context context) {
  end_context(number(context));
}
Result cuDevicePrimaryCtxRetain(Context* context, DeviceNumber) {
  *context = handle<Context>(primary);
  ++primary_users;
  return success;
}
Result cuDevicePrimaryCtxRelease_v2(DeviceNumber) {
  return --primary_users > 0 ? success : end_context(primary);
}
Result cuDevicePrimaryCtxGetState(DeviceNumber, unsigned* flags, int* active) {
  *flags = 0;
  *active = primary_users > 0;
  return success;
}
Result cuDevicePrimaryCtxReset_v2(DeviceNumber) {
  return end_context(primary);
}
Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(mutex);
  *total = total_bytes;
  *free = total_bytes - used_bytes - pool_reserved;
  return success;
}
Result cuMemAlloc_v2(Address* to, std::size_t bytes) {
  *to = make(bytes);
  return success;
}
Result cuMemAllocPitch_v2(Address* to, std::size_t* pitch, std::size_t width,
                          std::size_t height, unsigned) {
  *pitch = (width + 511) / 512 * 512;
  *to = make(*pitch * height);
  return success;
}
Result cuMemAllocManaged(Address* to, std::size_t bytes, unsigned) {
  *to = make(bytes);
  return success;
}
Result cuMemFree_v2(Address address) {
  return free_any(address);
}
Result cuMemAllocAsync(Address* to, std::size_t bytes, Stream) {
  return from_pool(to, bytes);
}
Result cuMemAllocAsync_ptsz(Address* to, std::size_t bytes, Stream) {
  return from_pool(to, bytes);
}
Result cuMemAllocFromPoolAsync(Address* to, std::size_t bytes, Pool, Stream) {
  return from_pool(to, bytes);
}
Result cuMemAllocFromPoolAsync_ptsz(Address* to, std::size_t bytes, Pool,
                                    Stream) {
  return from_pool(to, bytes);
}
Result cuMemFreeAsync(Address address, Stream) {
  return free_any(address);
}
Result cuMemFreeAsync_ptsz(Address address, Stream) {
  return free_any(address);
}
Result cuDeviceGetMemPool(Pool* pool, DeviceNumber) {
  *pool = handle<Pool>(7);
  return success;
}
Result cuMemPoolGetAttribute(Pool, int attribute, void* value) {
  if (attribute != pool_reserved_current) return invalid_value;
  const std::lock_guard lock(mutex);
  std::memcpy(value, &pool_reserved, sizeof pool_reserved);
  return success;
}
Result cuMemPoolTrimTo(Pool, std::size_t) {
  const std::lock_guard lock(mutex);
  pool_reserved = pool_used;
  return success;
}
Result cuMemPoolDestroy(Pool) {
  return cuMemPoolTrimTo(nullptr, 0);
}
Result cuMemCreate(AllocationHandle* to, std::size_t bytes,
                   const AllocationProperties*, unsigned long long) {
  *to = make(bytes);
  return success;
}
Result cuMemRelease(AllocationHandle handle) {
  const Result failure = std::exchange(next_release, success);
  return failure == success ? freed(handle) : failure;
}
// Only for tests: what the next cuMemRelease says, having done nothing.
void fake_fail_release(Result failure) {
  next_release = failure;
}
Result cuMemRetainAllocationHandle(AllocationHandle* to, void* address) {
  *to = number(address);
  return success;
}
Result cuMemMap(Address, std::size_t, std::size_t, AllocationHandle,
                unsigned long long) {
  return success;
}
Result cuMemUnmap(Address, std::size_t) {
  return freed(unmapped_handle);
}
// Only for tests: what the next free does before it returns; a handle that is
// free after the next cuMemUnmap.
void fake_on_free(void (*what)()) {
  on_free = what;
}
void fake_unmapped(AllocationHandle handle) {
  unmapped_handle = handle;
}
Result cuArrayCreate_v2(Array* to, const ArrayDescriptor* how) {
  *to = handle<Array>(make(how->width));
  return success;
}
Result cuArray3DCreate_v2(Array* to, const Array3dDescriptor* how) {
  *to = handle<Array>(make(how->width));
  return success;
}
Result cuArrayDestroy(Array array) {
  return unmake(number(array));
}
Result cuMipmappedArrayCreate(MipmappedArray* to, const Array3dDescriptor* how,
                              unsigned) {
  *to = handle<MipmappedArray>(make(how->width));
  return success;
}
Result cuMipmappedArrayDestroy(MipmappedArray array) {
  return unmake(number(array));
}
Result cuGraphAddMemAllocNode(GraphNode* node, Graph, const GraphNode*,
                              std::size_t, AllocationNode* how) {
  *node = handle<GraphNode>(9);
  how->address = 0x77000;
  return success;
}
Result cuGraphAddNode(GraphNode* node, Graph, const GraphNode*, std::size_t,
                      void*) {
  *node = handle<GraphNode>(9);
  return success;
}
Result cuGraphAddNode_v2(GraphNode* node, Graph, const GraphNode*, const void*,
                         std::size_t, void*) {
  *node = handle<GraphNode>(9);
  return success;
}
Result cuGraphDestroy(Graph) {
  return success;
}
Result instantiate(GraphExec* to) {
  *to = handle<GraphExec>(new_number());
  return success;
}
Result cuGraphInstantiate(GraphExec* to, Graph, GraphNode*, char* text,
                          std::size_t bytes) {
  // As told by who means this variant.
  return text && bytes == 1 ? instantiate(to) : invalid_value;
}
Result cuGraphInstantiate_v2(GraphExec* to, Graph graph, GraphNode* wrong,
                             char* text, std::size_t bytes) {
  return cuGraphInstantiate(to, graph, wrong, text, bytes);
}
Result cuGraphInstantiateWithFlags(GraphExec* to, Graph,
                                   unsigned long long flags) {
  return flags == 1 ? instantiate(to) : invalid_value;
}
Result cuGraphInstantiateWithParams(GraphExec* to, Graph, void*) {
  return instantiate(to);
}
Result cuGraphInstantiateWithParams_ptsz(GraphExec* to, Graph, void*) {
  return instantiate(to);
}
Result cuGraphExecDestroy(GraphExec) {
  return success;
}
Result cuLaunchKernel(Function, unsigned, unsigned, unsigned, unsigned,
                      unsigned, unsigned, unsigned, Stream, void**, void**) {
  return start_kernel();
}
Result cuLaunchKernel_ptsz(Function, unsigned, unsigned, unsigned, unsigned,
                           unsigned, unsigned, unsigned, Stream, void**,
                           void**) {
  return start_kernel();
}
Result cuLaunchKernelEx(const LaunchConfig*, Function, void**, void**) {
  return start_kernel();
}
Result cuLaunchKernelEx_ptsz(const LaunchConfig*, Function, void**, void**) {
  return start_kernel();
}
Result cuLaunchCooperativeKernel(Function, unsigned, unsigned, unsigned,
                                 unsigned, unsigned, unsigned, unsigned, Stream,
                                 void**) {
  return start_kernel();
}
Result cuLaunchCooperativeKernel_ptsz(Function, unsigned, unsigned, unsigned,
                                      unsigned, unsigned, unsigned, unsigned,
                                      Stream, void**) {
  return start_kernel();
}
Result cuGraphLaunch(GraphExec, Stream) {
  return start_kernel();
}
Result cuGraphLaunch_ptsz(GraphExec, Stream) {
  return start_kernel();
}
Result cuEventCreate(Event* event, unsigned) {
  const std::lock_guard lock(mutex);
  *event = reinterpret_cast<Event>(new FakeEvent{0, current, lives[current]});
  return success;
}
Result cuEventDestroy_v2(Event) {
  return success;
}
Result cuEventRecord(Event event, Stream) {
  return record(event);
}
Result cuEventRecord_ptsz(Event event, Stream) {
  return record(event);
}
Result cuEventQuery(Event event) {
  const std::lock_guard lock(mutex);
  const FakeEvent* const it = living(event);
  if (!it) {
    ++dead_events_asked;
    return invalid_handle;
  }
  return it->at_ns <= now_ns() ? success : not_ready;
}
// Only for tests: how often somebody asked of an event whose context is gone.
int fake_dead_events_asked() {
  const std::lock_guard lock(mutex);
  return dead_events_asked;
}
Result cuEventElapsedTime(float* ms, Event from, Event to) {
  const std::lock_guard lock(mutex);
  const FakeEvent* const first = living(from);
  const FakeEvent* const second = living(to);
  if (!first || !second || first->context != second->context)
    return invalid_handle;
  *ms = static_cast<float>(second->at_ns - first->at_ns) * 1e-6f;
  return success;
}
Result cuStreamIsCapturing(Stream, int* status) {
  *status = capturing;
  return success;
}
Result cuStreamIsCapturing_ptsz(Stream, int* status) {
  *status = capturing;
  return success;
}
Result cuStreamGetCaptureInfo_v2(Stream, int* status, std::uint64_t*,
                                 Graph* graph, const GraphNode**,
                                 std::size_t*) {
  *status = capturing;
  // Of a broken one nothing is told.
  *graph = capturing == 1 ? handle<Graph>(captured) : nullptr;
  return success;
}
Result cuStreamGetCaptureInfo_v2_ptsz(Stream stream, int* status,
                                      std::uint64_t* id, Graph* graph,
                                      const GraphNode** after,
                                      std::size_t* count) {
  return cuStreamGetCaptureInfo_v2(stream, status, id, graph, after, count);
}
Result cuStreamEndCapture(Stream, Graph* graph) {
  const int status = std::exchange(capturing, 0);
  *graph = status == 1 ? handle<Graph>(captured) : nullptr;
  return status == 1 ? success : capture_broken;
}
Result cuStreamEndCapture_ptsz(Stream stream, Graph* graph) {
  return cuStreamEndCapture(stream, graph);
}
// Only for tests: streams are being captured from now on; 2: it breaks off.
void fake_capture(int status) {
  if (capturing == 0) captured = new_number();
  capturing = status;
}

Result cuGetProcAddress_v2(const char*, void**, int, std::uint64_t, int*);
Result cuGetProcAddress(const char* symbol, void** function, int version,
                        std::uint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}

Result cuGetProcAddress_v2(const char* symbol, void** function, int version,
                           std::uint64_t flags, int*) {
  // The driver does not ask whoever stands in for dlsym.
  using DlSym = void*(void*, const char*);
  static const auto find =
      reinterpret_cast<DlSym*>(::dlvsym(RTLD_DEFAULT, "dlsym", "GLIBC_2.34"));
  static void* const self = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  std::string name = symbol;
  if (name == "cuGraphInstantiate" && version >= 12000) name += "WithFlags";
  *function = nullptr;
  if (flags & per_thread_stream)
    *function = find(self, (name + "_ptsz").c_str());
  if (!*function) *function = find(self, (name + "_v2").c_str());
  if (!*function) *function = find(self, name.c_str());
  return *function ? success : not_found;
}

}  // extern "C"

// A program that uses the CUDA driver, started by the tests below the shim:
//
//   share_program ROUTE CASE
//
// ROUTE is how it finds the driver: linked, dlsym, proc, proc-per-thread or
// proc-v1.
// CASE is what it does; it exits with 0 if all went as it must in a session
// with 1,000,000,000 bytes.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "gpu/share/cuda_abi.hpp"

using namespace reeve::gpu::cuda;

// clang-format off
#define REEVE_USED(X) \
  X(cuMemAlloc_v2, MemAlloc) X(cuMemAllocPitch_v2, MemAllocPitch) \
  X(cuMemAllocManaged, MemAllocManaged) X(cuMemFree_v2, MemFree) \
  X(cuMemAllocAsync, MemAllocAsync) \
  X(cuMemAllocFromPoolAsync, MemAllocFromPoolAsync) \
  X(cuMemFreeAsync, MemFreeAsync) X(cuMemPoolTrimTo, PoolTrimTo) \
  X(cuMemPoolDestroy, PoolDestroy) \
  X(cuMemCreate, MemCreate) X(cuMemRelease, MemRelease) X(cuMemMap, MemMap) \
  X(cuMemUnmap, MemUnmap) X(cuMemRetainAllocationHandle, MemRetain) \
  X(cuArrayCreate_v2, ArrayCreate) X(cuArray3DCreate_v2, Array3dCreate) \
  X(cuArrayDestroy, ArrayDestroy) \
  X(cuMipmappedArrayCreate, MipmappedArrayCreate) \
  X(cuMipmappedArrayDestroy, MipmappedArrayDestroy) \
  X(cuMemGetInfo_v2, MemGetInfo) X(cuDeviceTotalMem_v2, DeviceTotalMem) \
  X(cuCtxDestroy_v2, CtxDestroy) X(cuCtxSetLimit, CtxSetLimit) \
  X(cuDevicePrimaryCtxReset_v2, DeviceOnly) \
  X(cuDevicePrimaryCtxRelease_v2, DeviceOnly) \
  X(cuGraphAddMemAllocNode, GraphAddMemAllocNode) \
  X(cuGraphAddNode, GraphAddNodeV1) \
  X(cuGraphAddNode_v2, GraphAddNode) X(cuGraphDestroy, GraphDestroy) \
  X(cuGraphInstantiate, GraphInstantiateV1) \
  X(cuGraphInstantiateWithFlags, GraphInstantiate) \
  X(cuGraphInstantiateWithParams, GraphInstantiateParams) \
  X(cuGraphExecDestroy, GraphExecDestroy) \
  X(cuStreamEndCapture, StreamEndCapture) \
  X(cuLaunchKernel, LaunchKernel) X(cuLaunchKernelEx, LaunchKernelEx) \
  X(cuLaunchCooperativeKernel, LaunchCooperativeKernel) \
  X(cuGraphLaunch, GraphLaunch)
// clang-format on

#define REEVE_DECLARE(name, type) extern type name;
extern "C" {
REEVE_USED(REEVE_DECLARE)
GetProcAddress cuGetProcAddress_v2;
PrimaryRetain cuDevicePrimaryCtxRetain;
CtxSetCurrent cuCtxSetCurrent;
void fake_on_free(void (*what)());
void fake_unmapped(AllocationHandle handle);
void fake_fail_release(Result failure);
void fake_slow_limit(unsigned us);
void fake_end_context(Context context);
int fake_dead_events_asked();
void fake_capture(int status);
}

namespace {

#define REEVE_MEMBER(name, type) type* name = nullptr;
struct Api {
  REEVE_USED(REEVE_MEMBER)
};
Api api;

void fail(const char* what, int line) {
  fmt::print(stderr, "line {}: {}\n", line, what);
  std::fflush(stderr);
  ::_exit(1);
}
#define MUST(condition) \
  if (!(condition)) fail(#condition, __LINE__)

std::string base_name(std::string name) {
  if (name.size() > 3 && name.compare(name.size() - 3, 3, "_v2") == 0)
    name.resize(name.size() - 3);
  return name;
}

// As the CUDA runtime asks: by the version that brought the entry point.
int version_of(const char* name) {
  if (std::strcmp(name, "cuArrayDestroy") == 0) return 2000;
  if (std::strcmp(name, "cuGraphInstantiate") == 0) return 11000;
  return std::strcmp(name, "cuGraphAddNode") == 0 ? 12020 : 13000;
}

void* found(const std::string& route, const char* name, void* linked) {
  if (route == "linked") return linked;
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW);
  MUST(library != nullptr);
  if (route == "dlsym") return ::dlsym(library, name);
  void* function = nullptr;
  const int version = version_of(name);
  if (route == "proc-v1") {
    const auto ask = reinterpret_cast<GetProcAddressV1*>(
        ::dlsym(library, "cuGetProcAddress"));
    MUST(ask(base_name(name).c_str(), &function, version, 0) == success);
    return function;
  }
  const auto ask = reinterpret_cast<GetProcAddress*>(
      ::dlsym(library, "cuGetProcAddress_v2"));
  int status = 0;
  const std::uint64_t flags =
      route == "proc-per-thread" ? per_thread_stream : 0;
  MUST(ask(base_name(name).c_str(), &function, version, flags, &status) ==
       success);
  return function;
}

void find_all(const std::string& route) {
#define REEVE_FIND(name, type)        \
  api.name = reinterpret_cast<type*>( \
      found(route, #name, reinterpret_cast<void*>(&::name)));
  REEVE_USED(REEVE_FIND)
}

constexpr std::size_t limit = 1'000'000'000;
constexpr std::size_t most = 600'000'000;

std::size_t free_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  MUST(api.cuMemGetInfo_v2(&free, &total) == success);
  MUST(total == limit);
  return free;
}

// Two of `most` are too many, one and its end leave all as it was.
void one_but_not_two(const std::function<Result()>& make,
                     const std::function<void()>& unmake) {
  for (int again = 0; again < 3; ++again) {
    MUST(free_bytes() == limit);
    MUST(make() == success);
    MUST(free_bytes() == limit - most);
    MUST(make() == out_of_memory);
    MUST(free_bytes() == limit - most);
    unmake();
  }
  MUST(free_bytes() == limit);
}

void plain() {
  Address at = 0;
  one_but_not_two(
      [&] {
        Address got = 0;
        const Result result = api.cuMemAlloc_v2(&got, most);
        if (result == success) at = got;
        return result;
      },
      [&] { MUST(api.cuMemFree_v2(at) == success); });
}

void exact() {
  Address at = 0;
  Address more = 0;
  MUST(api.cuMemAlloc_v2(&at, limit + 1) == out_of_memory);
  MUST(api.cuMemAlloc_v2(&at, limit) == success);
  MUST(free_bytes() == 0);
  MUST(api.cuMemAlloc_v2(&more, 1) == out_of_memory);
  MUST(api.cuMemFree_v2(at) == success);
  MUST(api.cuMemFree_v2(at) != success);
  MUST(free_bytes() == limit);
}

void pitch() {
  Address at = 0;
  std::size_t row = 0;
  one_but_not_two(
      [&] {
        Address got = 0;
        // Rows of 511 bytes take 512.
        const Result result =
            api.cuMemAllocPitch_v2(&got, &row, 511, most / 512, 4);
        if (result == success) at = got;
        return result;
      },
      [&] { MUST(api.cuMemFree_v2(at) == success); });
}

void managed() {
  Address at = 0;
  one_but_not_two(
      [&] {
        Address got = 0;
        const Result result = api.cuMemAllocManaged(&got, most, 1);
        if (result == success) at = got;
        return result;
      },
      [&] { MUST(api.cuMemFree_v2(at) == success); });
}

void async(bool given_pool) {
  Address at = 0;
  const auto make = [&](std::size_t bytes) {
    Address got = 0;
    const Result result =
        given_pool ? api.cuMemAllocFromPoolAsync(
                         &got, bytes, reinterpret_cast<Pool>(7), nullptr)
                   : api.cuMemAllocAsync(&got, bytes, nullptr);
    if (result == success) at = got;
    return result;
  };
  MUST(make(most) == success);
  MUST(free_bytes() == limit - most);
  MUST(make(most) == out_of_memory);
  MUST(api.cuMemFreeAsync(at, nullptr) == success);
  // The pool keeps it, so the session still has it.
  MUST(free_bytes() == limit - most);
  // It serves again.
  MUST(make(most) == success);
  MUST(api.cuMemFree_v2(at) == success);
  // What is needed elsewhere is taken from the pool.
  Address plain_at = 0;
  MUST(api.cuMemAlloc_v2(&plain_at, most) == success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuMemFree_v2(plain_at) == success);
  MUST(make(most) == success);
  MUST(api.cuMemFreeAsync(at, nullptr) == success);
  MUST(api.cuMemPoolTrimTo(reinterpret_cast<Pool>(7), 0) == success);
  MUST(free_bytes() == limit);
}

void destroyed_pool() {
  const auto pool = reinterpret_cast<Pool>(7);
  Address at = 0;
  MUST(api.cuMemAllocFromPoolAsync(&at, most, pool, nullptr) == success);
  MUST(api.cuMemFreeAsync(at, nullptr) == success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuMemPoolDestroy(pool) == success);
  MUST(free_bytes() == limit);
}

// In a graph that is being captured, memory stays taken, until the graph ends.
void captured() {
  Address at = 0;
  for (int again = 0; again < 3; ++again) {
    fake_capture(1);
    MUST(api.cuMemAllocAsync(&at, most, nullptr) == success);
    MUST(api.cuMemFreeAsync(at, nullptr) == success);
    MUST(api.cuMemAllocFromPoolAsync(&at, most, nullptr, nullptr) ==
         out_of_memory);
    Graph graph = nullptr;
    MUST(api.cuStreamEndCapture(nullptr, &graph) == success);
    MUST(free_bytes() == limit - most);
    MUST(api.cuGraphDestroy(graph) == success);
    MUST(free_bytes() == limit);
  }
}

void broken_capture() {
  Address at = 0;
  Graph graph = nullptr;
  for (int again = 0; again < 3; ++again) {
    fake_capture(1);
    MUST(api.cuMemAllocAsync(&at, most, nullptr) == success);
    fake_capture(2);
    MUST(api.cuStreamEndCapture(nullptr, &graph) != success);
    MUST(free_bytes() == limit);
  }
  // The next one that breaks, without memory, leaves the one before it alone.
  fake_capture(1);
  MUST(api.cuMemAllocAsync(&at, most, nullptr) == success);
  Graph whole = nullptr;
  MUST(api.cuStreamEndCapture(nullptr, &whole) == success);
  fake_capture(1);
  fake_capture(2);
  MUST(api.cuStreamEndCapture(nullptr, &graph) != success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuGraphDestroy(whole) == success);
  MUST(free_bytes() == limit);
}

void graph_left() {
  Address at = 0;
  fake_capture(1);
  MUST(api.cuMemAllocAsync(&at, most, nullptr) == success);
  MUST(free_bytes() == limit - most);
}

AllocationProperties on_device() {
  AllocationProperties how{};
  how.type = 1;
  how.location_type = location_is_device;
  return how;
}

constexpr std::size_t little = 100'000'000;
std::uint64_t got_meanwhile = 0;

// What another thread gets while a free has not returned yet stays charged,
// though it is what was just freed.
template <class Number>
void freed_while(void (*get)(), Number given,
                 const std::function<Result()>& free) {
  MUST(free_bytes() == limit - little);
  got_meanwhile = 0;
  fake_on_free(get);
  MUST(free() == success);
  MUST(got_meanwhile == std::uint64_t(given));
  MUST(free_bytes() == limit - little);
}

void races() {
  Address at = 0;
  MUST(api.cuMemAlloc_v2(&at, little) == success);
  const auto get = [] {
    Address got = 0;
    MUST(api.cuMemAlloc_v2(&got, little) == success);
    got_meanwhile = got;
  };
  freed_while(get, at, [&] { return api.cuMemFree_v2(at); });
  freed_while(get, at, [&] { return api.cuMemFreeAsync(at, nullptr); });
  MUST(api.cuMemFree_v2(at) == success);
  MUST(api.cuMemFree_v2(at) != success);
}

void races_of_pools() {
  Address at = 0;
  MUST(api.cuMemAllocAsync(&at, little, nullptr) == success);
  const auto get = [] {
    Address got = 0;
    MUST(api.cuMemAllocAsync(&got, little, nullptr) == success);
    got_meanwhile = got;
  };
  freed_while(get, at, [&] { return api.cuMemFreeAsync(at, nullptr); });
  freed_while(get, at, [&] { return api.cuMemFree_v2(at); });
}

void races_of_arrays() {
  static constexpr ArrayDescriptor how = {little / 100, 100, 0x01, 1};
  static constexpr Array3dDescriptor mips = {little, 1, 1, 0x01, 1, 0};
  Array array = nullptr;
  MUST(api.cuArrayCreate_v2(&array, &how) == success);
  const auto number = reinterpret_cast<std::uintptr_t>(array);
  freed_while(
      [] {
        Array got = nullptr;
        MUST(api.cuArrayCreate_v2(&got, &how) == success);
        got_meanwhile = reinterpret_cast<std::uintptr_t>(got);
      },
      number, [&] { return api.cuArrayDestroy(array); });
  MUST(api.cuArrayDestroy(array) == success);
  MipmappedArray mipmapped = nullptr;
  MUST(api.cuMipmappedArrayCreate(&mipmapped, &mips, 1) == success);
  freed_while(
      [] {
        MipmappedArray got = nullptr;
        MUST(api.cuMipmappedArrayCreate(&got, &mips, 1) == success);
        got_meanwhile = reinterpret_cast<std::uintptr_t>(got);
      },
      reinterpret_cast<std::uintptr_t>(mipmapped),
      [&] { return api.cuMipmappedArrayDestroy(mipmapped); });
}

void races_of_handles() {
  static const auto how = on_device();
  const auto get = [] {
    AllocationHandle got = 0;
    MUST(api.cuMemCreate(&got, little, &how, 0) == success);
    got_meanwhile = got;
  };
  AllocationHandle handle = 0;
  MUST(api.cuMemCreate(&handle, little, &how, 0) == success);
  freed_while(get, handle, [&] { return api.cuMemRelease(handle); });
  MUST(api.cuMemMap(0x100000, little, 0, handle, 0) == success);
  MUST(api.cuMemRelease(handle) == success);
  fake_unmapped(handle);
  freed_while(get, handle, [&] { return api.cuMemUnmap(0x100000, little); });
  MUST(api.cuMemRelease(handle) == success);
  MUST(free_bytes() == limit);
}

void created() {
  const auto how = on_device();
  AllocationHandle handle = 0;
  one_but_not_two(
      [&] {
        AllocationHandle got = 0;
        const Result result = api.cuMemCreate(&got, most, &how, 0);
        if (result == success) handle = got;
        return result;
      },
      [&] { MUST(api.cuMemRelease(handle) == success); });
  AllocationProperties on_host = how;
  on_host.location_type = 2;
  MUST(api.cuMemCreate(&handle, 2 * limit, &on_host, 0) == success);
  MUST(free_bytes() == limit);
}

// Memory lives as long as it is mapped or held.
void mapped() {
  const auto how = on_device();
  AllocationHandle handle = 0;
  MUST(api.cuMemCreate(&handle, most, &how, 0) == success);
  MUST(api.cuMemMap(0x100000, most / 2, 0, handle, 0) == success);
  MUST(api.cuMemMap(0x900000000, most / 2, most / 2, handle, 0) == success);
  MUST(api.cuMemRelease(handle) == success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuMemUnmap(0x100000, most / 2) == success);
  MUST(free_bytes() == limit - most);
  AllocationHandle same = 0;
  MUST(api.cuMemRetainAllocationHandle(
           &same, reinterpret_cast<void*>(handle)) == success);
  MUST(same == handle);
  MUST(api.cuMemUnmap(0x900000000, most / 2) == success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuMemRelease(same) == success);
  MUST(free_bytes() == limit);
}

// A release that fails changes nothing: so many still end the memory.
void unreleased() {
  const auto how = on_device();
  for (const int more : {0, 1})
    for (const bool map : {false, true}) {
      AllocationHandle handle = 0;
      MUST(api.cuMemCreate(&handle, most, &how, 0) == success);
      AllocationHandle same = 0;
      if (more == 1)
        MUST(api.cuMemRetainAllocationHandle(
                 &same, reinterpret_cast<void*>(handle)) == success);
      if (map) MUST(api.cuMemMap(0x100000, most, 0, handle, 0) == success);
      for (int left = more; left >= 0; --left) {
        fake_fail_release(invalid_value);
        MUST(api.cuMemRelease(handle) == invalid_value);
        MUST(free_bytes() == limit - most);
        MUST(api.cuMemRelease(handle) == success);
        MUST(free_bytes() == (left > 0 || map ? limit - most : limit));
      }
      if (map) MUST(api.cuMemUnmap(0x100000, most) == success);
      MUST(free_bytes() == limit);
    }
}

void arrays() {
  Array array = nullptr;
  const auto keep = [&](Array got, Result result) {
    if (result == success) array = got;
    return result;
  };
  const auto unmake = [&] { MUST(api.cuArrayDestroy(array) == success); };
  // Elements of four channels of two bytes.
  const ArrayDescriptor flat = {most / 8 / 100, 100, 0x10, 4};
  one_but_not_two(
      [&] {
        Array got = nullptr;
        const Result result = api.cuArrayCreate_v2(&got, &flat);
        return keep(got, result);
      },
      unmake);
  const Array3dDescriptor deep = {most / 4 / 1000, 100, 10, 0x20, 1, 0};
  one_but_not_two(
      [&] {
        Array got = nullptr;
        const Result result = api.cuArray3DCreate_v2(&got, &deep);
        return keep(got, result);
      },
      unmake);
}

void mipmapped() {
  MipmappedArray array = nullptr;
  const Array3dDescriptor how = {most / 2, 1, 1, 0x01, 1, 0};
  one_but_not_two(
      [&] {
        MipmappedArray got = nullptr;
        const Result result = api.cuMipmappedArrayCreate(&got, &how, 5);
        if (result == success) array = got;
        return result;
      },
      [&] { MUST(api.cuMipmappedArrayDestroy(array) == success); });
}

void graphs() {
  const auto graph = reinterpret_cast<Graph>(0x500000008);
  GraphNode node = nullptr;
  AllocationNode how{};
  how.bytes = most;
  one_but_not_two(
      [&] {
        return api.cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &how);
      },
      [&] { MUST(api.cuGraphDestroy(graph) == success); });
  NodeParameters parameters{};
  parameters.kind = node_allocates;
  parameters.allocation.bytes = most;
  one_but_not_two(
      [&] {
        return api.cuGraphAddNode_v2(&node, graph, nullptr, nullptr, 0,
                                     &parameters);
      },
      [&] { MUST(api.cuGraphDestroy(graph) == success); });
  one_but_not_two(
      [&] { return api.cuGraphAddNode(&node, graph, nullptr, 0, &parameters); },
      [&] { MUST(api.cuGraphDestroy(graph) == success); });
}

// What a graph takes is taken by what was made of it, too.
void executables() {
  AllocationNode how{};
  how.bytes = most;
  GraphNode node = nullptr;
  char text = 0;
  const std::function<Result(GraphExec*, Graph)> ways[] = {
      [&](auto* to, auto of) {
        return api.cuGraphInstantiate(to, of, &node, &text, 1);
      },
      [&](auto* to, auto of) {
        return api.cuGraphInstantiateWithFlags(to, of, 1);
      },
      [&](auto* to, auto of) {
        return api.cuGraphInstantiateWithParams(to, of, nullptr);
      }};
  for (const auto& instantiate : ways)
    for (const bool graph_first : {true, false}) {
      const auto graph = reinterpret_cast<Graph>(0x500000008);
      GraphExec made = nullptr;
      GraphExec other = nullptr;
      MUST(api.cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &how) ==
           success);
      MUST(instantiate(&made, graph) == success);
      MUST(instantiate(&other, reinterpret_cast<Graph>(0x600000008)) ==
           success);
      const auto end = [&](bool the_graph) {
        return the_graph ? api.cuGraphDestroy(graph)
                         : api.cuGraphExecDestroy(made);
      };
      MUST(end(graph_first) == success);
      MUST(api.cuGraphExecDestroy(other) == success);
      MUST(free_bytes() == limit - most);
      MUST(end(!graph_first) == success);
      MUST(free_bytes() == limit);
    }
}

// By whatever version it is asked for, the variant found is the one meant.
void instantiate_variants() {
  GraphExec made = nullptr;
  GraphNode node = nullptr;
  char text = 0;
  int status = 0;
  void* found = nullptr;
  const auto graph = reinterpret_cast<Graph>(0x500000008);
  for (const int version : {10000, 11000, 11040}) {
    MUST(cuGetProcAddress_v2("cuGraphInstantiate", &found, version, 0,
                             &status) == success);
    MUST(reinterpret_cast<GraphInstantiateV1*>(found)(&made, graph, &node,
                                                      &text, 1) == success);
  }
  MUST(cuGetProcAddress_v2("cuGraphInstantiate", &found, 12000, 0, &status) ==
       success);
  MUST(reinterpret_cast<GraphInstantiate*>(found)(&made, graph, 1) == success);
}

void contexts() {
  Address at = 0;
  MUST(api.cuMemAlloc_v2(&at, most) == success);
  MUST(api.cuCtxDestroy_v2(reinterpret_cast<Context>(1)) == success);
  MUST(free_bytes() == limit);
  MUST(api.cuMemAlloc_v2(&at, most) == success);
  MUST(api.cuDevicePrimaryCtxReset_v2(0) == success);
  MUST(free_bytes() == limit);
  // It lives until the last who holds it has released it.
  Context primary = nullptr;
  MUST(cuDevicePrimaryCtxRetain(&primary, 0) == success);
  MUST(api.cuMemAlloc_v2(&at, most) == success);
  MUST(api.cuDevicePrimaryCtxRelease_v2(0) == success);
  MUST(free_bytes() == limit - most);
  MUST(api.cuDevicePrimaryCtxRelease_v2(0) == success);
  MUST(free_bytes() == limit);
}

// The heap of malloc in kernels is the context's, and ends with it.
void heap() {
  constexpr int stack_size = 0;
  const auto first = reinterpret_cast<Context>(1);
  const auto second = reinterpret_cast<Context>(2);
  const auto set = [](std::size_t bytes) {
    return api.cuCtxSetLimit(limit_malloc_heap, bytes);
  };
  MUST(api.cuCtxSetLimit(stack_size, 2 * limit) == success);
  MUST(free_bytes() == limit);
  MUST(set(little) == success);
  MUST(free_bytes() == limit - little);
  // In place of the one before it, not beside it.
  MUST(set(most) == success);
  MUST(set(limit + 2) == out_of_memory);
  MUST(set(most + 1) == invalid_value);
  MUST(free_bytes() == limit - most);
  MUST(cuCtxSetCurrent(second) == success);
  MUST(set(most) == out_of_memory);
  MUST(set(little) == success);
  MUST(free_bytes() == limit - most - little);
  MUST(api.cuCtxDestroy_v2(second) == success);
  MUST(cuCtxSetCurrent(first) == success);
  MUST(free_bytes() == limit - most);
  MUST(set(little) == success);
  MUST(free_bytes() == limit - little);
  MUST(api.cuDevicePrimaryCtxReset_v2(0) == success);
  MUST(free_bytes() == limit);
}

// Threads that set it at once set one heap.
void heap_of_two_threads() {
  const auto set = [] {
    MUST(api.cuCtxSetLimit(limit_malloc_heap, little) == success);
  };
  fake_slow_limit(100'000);
  std::thread other(set);
  set();
  other.join();
  MUST(free_bytes() == limit - little);
  MUST(api.cuDevicePrimaryCtxReset_v2(0) == success);
  MUST(free_bytes() == limit);
}

void totals() {
  std::size_t bytes = 0;
  MUST(api.cuDeviceTotalMem_v2(&bytes, 0) == success);
  MUST(bytes == limit);
}

// What a child holds counts for its parent, until the child is gone.
void processes() {
  int ready[2];
  int done[2];
  char byte = 0;
  MUST(::pipe(ready) == 0 && ::pipe(done) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Address at = 0;
    MUST(api.cuMemAlloc_v2(&at, most) == success);
    MUST(::write(ready[1], "x", 1) == 1);
    MUST(::read(done[0], &byte, 1) == 1);
    ::_exit(0);
  }
  MUST(::read(ready[0], &byte, 1) == 1);
  Address at = 0;
  MUST(free_bytes() == limit - most);
  MUST(api.cuMemAlloc_v2(&at, most) == out_of_memory);
  MUST(::write(done[1], "x", 1) == 1);
  int status = 0;
  MUST(::waitpid(child, &status, 0) == child && status == 0);
  // It gave nothing back; that it is gone is seen when memory is short.
  MUST(api.cuMemAlloc_v2(&at, most) == success);
  MUST(free_bytes() == limit - most);
}

// With another program of the same process nothing of the old one is left.
void executed(const char* by) {
  Address at = 0;
  MUST(api.cuMemAlloc_v2(&at, most) == success);
  ::execl("/proc/self/exe", "share_program", by, "plain", nullptr);
  MUST(!"it could not be executed");
}

void unlimited() {
  Address at = 0;
  MUST(api.cuMemAlloc_v2(&at, 2 * limit) == success);
}

void refused() {
  Address at = 0;
  MUST(api.cuMemAlloc_v2(&at, 1) == out_of_memory);
  MUST(api.cuMemAllocAsync(&at, 1, nullptr) == out_of_memory);
}

std::int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000ll + now.tv_nsec / 1'000'000;
}

// Starts kernels for so long in every way there is; how many.
long launches(std::int64_t ms) {
  LaunchConfig how{};
  long count = 0;
  const std::int64_t from = now_ms();
  do {
    MUST(api.cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr,
                            nullptr) == success);
    MUST(api.cuLaunchKernelEx(&how, nullptr, nullptr, nullptr) == success);
    MUST(api.cuLaunchCooperativeKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr,
                                       nullptr) == success);
    MUST(api.cuGraphLaunch(nullptr, nullptr) == success);
    count += 4;
  } while (now_ms() - from < ms);
  return count;
}

// Two seconds of kernels, with something done each quarter of one.
void launches_between(const std::function<void(int)>& change) {
  long count = 0;
  for (int quarter = 0; quarter < 8; ++quarter) {
    if (quarter > 0) change(quarter);
    count += launches(250);
  }
  fmt::print("{}\n", count);
}

void change_context(int turn) {
  MUST(cuCtxSetCurrent(reinterpret_cast<Context>(1 + turn % 2)) == success);
}

void launches_after_resets() {
  launches_between(
      [](int) { MUST(api.cuDevicePrimaryCtxReset_v2(0) == success); });
  MUST(fake_dead_events_asked() == 0);
}

void launches_after_destroys() {
  launches_between([](int) {
    MUST(api.cuCtxDestroy_v2(reinterpret_cast<Context>(1)) == success);
  });
  MUST(fake_dead_events_asked() == 0);
}

const char* route = "";

const std::map<std::string, std::function<void()>> cases = {
    {"plain", plain},
    {"exact", exact},
    {"pitch", pitch},
    {"managed", managed},
    {"async", [] { async(false); }},
    {"pool", [] { async(true); }},
    {"destroyed-pool", destroyed_pool},
    {"captured", captured},
    {"broken-capture", broken_capture},
    {"graph-left", graph_left},
    {"executables", executables},
    {"instantiate-variants", instantiate_variants},
    {"races", races},
    {"races-of-pools", races_of_pools},
    {"races-of-arrays", races_of_arrays},
    {"races-of-handles", races_of_handles},
    {"created", created},
    {"mapped", mapped},
    {"unreleased", unreleased},
    {"arrays", arrays},
    {"mipmapped", mipmapped},
    {"graphs", graphs},
    {"contexts", contexts},
    {"heap", heap},
    {"heap-of-two-threads", heap_of_two_threads},
    {"totals", totals},
    {"processes", processes},
    {"executed", [] { executed(route); }},
    {"unlimited", unlimited},
    {"refused", refused},
    {"launches", [] { launches_between([](int) {}); }},
    {"launches-reset", launches_after_resets},
    {"launches-destroy", launches_after_destroys},
    {"launches-two-contexts", [] { launches_between(change_context); }},
    {"launches-lost-context",
     [] {
       launches_between(
           [](int) { fake_end_context(reinterpret_cast<Context>(1)); });
     }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || cases.count(argv[2]) == 0) return 2;
  ::alarm(60);  // kernels may be queued without end
  route = argv[1];
  find_all(route);
  cases.at(argv[2])();
  return 0;
}

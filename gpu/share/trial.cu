// reeve-gpu-share-trial: a program of the CUDA runtime, to see on a real GPU
// that a share holds it.
//
//   reeve-gpu-share-trial memory             takes memory of every kind
//   reeve-gpu-share-trial rate WAY SECONDS US   starts kernels of about US
//       microseconds: WAY is stream, graph or streams (four of them)
//   reeve-gpu-share-trial empty COUNT        starts kernels that do nothing
//   reeve-gpu-share-trial contexts COUNT SECONDS US  starts kernels in so many
//       contexts of the driver in turn
//   reeve-gpu-share-trial graphs             takes memory in nodes of graphs
//   reeve-gpu-share-trial heap MIB           sets the heap of kernels' malloc
//   reeve-gpu-share-trial exec COUNT         takes all memory, and again in the
//       program that replaces it, so many times
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "gpu/share/cuda_abi.hpp"

namespace {

namespace cuda = reeve::gpu::cuda;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void must(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(result));
  std::exit(1);
}

constexpr std::size_t piece = std::size_t{64} << 20;

void tell(const char* kind) {
  std::size_t free = 0;
  std::size_t total = 0;
  must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  std::printf("{\"kind\":\"%s\",\"free_mib\":%zu,\"total_mib\":%zu}\n", kind,
              free >> 20, total >> 20);
}

// Takes pieces until there are no more, tells how many, gives them back. Never
// more than are free: managed memory is had without end.
template <class Make, class Unmake>
void fill(const char* kind, Make make, Unmake unmake) {
  std::size_t free = 0;
  std::size_t total = 0;
  must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const std::size_t most = total / piece + 1;
  std::size_t count = 0;
  while (count < most && make() == 0) ++count;
  cudaGetLastError();
  must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  std::printf("{\"kind\":\"%s\",\"taken_mib\":%zu,\"free_mib\":%zu}\n", kind,
              count * (piece >> 20), free >> 20);
  for (std::size_t i = 0; i < count; ++i) unmake();
  must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void* pop(std::vector<void*>& all) {
  void* last = all.back();
  all.pop_back();
  return last;
}

void memory_of_runtime(std::vector<void*>& all) {
  void* one = nullptr;
  const auto keep = [&](cudaError_t result) {
    if (result == cudaSuccess) all.push_back(one);
    return result;
  };
  fill(
      "cudaMalloc", [&] { return keep(cudaMalloc(&one, piece)); },
      [&] { cudaFree(pop(all)); });
  fill(
      "cudaMallocManaged", [&] { return keep(cudaMallocManaged(&one, piece)); },
      [&] { cudaFree(pop(all)); });
  std::size_t row = 0;
  fill(
      "cudaMallocPitch",
      [&] { return keep(cudaMallocPitch(&one, &row, 65536, piece / 65536)); },
      [&] { cudaFree(pop(all)); });
  fill(
      "cudaMallocAsync", [&] { return keep(cudaMallocAsync(&one, piece, 0)); },
      [&] { cudaFreeAsync(pop(all), nullptr); });
  tell("after cudaFreeAsync");
  // What the pool keeps must serve another kind.
  fill(
      "cudaMalloc after the pool",
      [&] { return keep(cudaMalloc(&one, piece)); },
      [&] { cudaFree(pop(all)); });
}

void memory_of_arrays(std::vector<void*>& all) {
  const auto format = cudaCreateChannelDesc<float4>();
  fill(
      "cudaMallocArray",
      [&] {
        cudaArray_t one = nullptr;
        const auto result = cudaMallocArray(&one, &format, 2048, 2048);
        if (result == cudaSuccess) all.push_back(one);
        return result;
      },
      [&] { cudaFreeArray(static_cast<cudaArray_t>(pop(all))); });
}

void memory_of_driver() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW);
  const auto create =
      reinterpret_cast<cuda::MemCreate*>(::dlsym(library, "cuMemCreate"));
  const auto release =
      reinterpret_cast<cuda::MemRelease*>(::dlsym(library, "cuMemRelease"));
  if (!create || !release) return;
  std::vector<cuda::AllocationHandle> handles;
  cuda::AllocationProperties how{};
  how.type = 1;
  how.location_type = cuda::location_is_device;
  fill(
      "cuMemCreate",
      [&] {
        cuda::AllocationHandle one = 0;
        const auto result = create(&one, piece, &how, 0);
        if (result == cuda::success) handles.push_back(one);
        return result;
      },
      [&] {
        release(handles.back());
        handles.pop_back();
      });
}

int memory() {
  must(cudaFree(nullptr), "starting");
  tell("at first");
  cudaDeviceProp properties{};
  must(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  std::printf("{\"kind\":\"cudaGetDeviceProperties\",\"total_mib\":%zu}\n",
              properties.totalGlobalMem >> 20);
  std::vector<void*> all;
  memory_of_runtime(all);
  memory_of_arrays(all);
  memory_of_driver();
  must(cudaDeviceReset(), "cudaDeviceReset");
  tell("after a reset");
  return 0;
}

// The same work each time, on the whole device.
__global__ void work(float* never, int steps) {
  float x = threadIdx.x * 1e-3f;
  for (int i = 0; i < steps; ++i) x = __fmaf_rn(x, x, -1.9f);
  if (x == 12345) *never = x;
}

__global__ void nothing() {}

struct Device {
  int blocks = 0;
  int steps = 1000;
  float* never = nullptr;

  void start(cudaStream_t stream) const {
    work<<<blocks, 256, 0, stream>>>(never, steps);
  }

  // How many steps take `us` microseconds, as found before any share applies
  // to it: the clock of the device is asked and not the host's.
  void calibrate(double us) {
    cudaDeviceProp properties{};
    must(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    blocks = properties.multiProcessorCount * 8;
    must(cudaMalloc(&never, sizeof *never), "cudaMalloc");
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    must(cudaEventCreate(&begin), "cudaEventCreate");
    must(cudaEventCreate(&end), "cudaEventCreate");
    float ms = 0;
    float best = 1e9f;
    steps = 20000;
    for (int i = 0; i < 5; ++i) {
      cudaEventRecord(begin);
      start(nullptr);
      cudaEventRecord(end);
      must(cudaEventSynchronize(end), "cudaEventSynchronize");
      cudaEventElapsedTime(&ms, begin, end);
      best = ms < best ? ms : best;
    }
    steps = static_cast<int>(steps * us * 1e-3 / best);
    steps = steps < 1 ? 1 : steps;
  }
};

constexpr int launches_of_graph = 10;

cudaGraphExec_t graph_of(const Device& device, cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
       "cudaStreamBeginCapture");
  for (int i = 0; i < launches_of_graph; ++i) device.start(stream);
  must(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  must(cudaGraphInstantiateWithFlags(&made, graph, 0),
       "cudaGraphInstantiateWithFlags");
  return made;
}

int rate(const char* way, double seconds, double us) {
  Device device;
  device.calibrate(us);
  cudaStream_t streams[4] = {};
  for (auto& stream : streams)
    must(cudaStreamCreate(&stream), "cudaStreamCreate");
  const bool graphs = std::strcmp(way, "graph") == 0;
  const int used = std::strcmp(way, "streams") == 0 ? 4 : 1;
  cudaGraphExec_t graph = graphs ? graph_of(device, streams[0]) : nullptr;
  const int group = us < 100 ? 100 : us < 2000 ? 10 : 1;
  long count = 0;
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    for (int i = 0; i < group; ++i) {
      if (graphs)
        must(cudaGraphLaunch(graph, streams[0]), "cudaGraphLaunch");
      else
        device.start(streams[count % used]);
      count += graphs ? launches_of_graph : 1;
    }
    must(cudaGetLastError(), "starting kernels");
    must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  const double took = seconds_since(begin);
  std::printf(
      "{\"way\":\"%s\",\"us\":%.0f,\"steps\":%d,\"seconds\":%.3f,"
      "\"kernels\":%ld,\"steps_per_s\":%.4e}\n",
      way, us, device.steps, took, count,
      static_cast<double>(count) * device.steps / took);
  return 0;
}

int empty(int count) {
  for (int i = 0; i < 1000; ++i) nothing<<<1, 1>>>();
  must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) nothing<<<1, 1>>>();
  must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  std::printf("{\"empty\":%d,\"ns_each\":%.1f}\n", count,
              seconds_since(begin) * 1e9 / count);
  return 0;
}

void must_driver(cuda::Result result, const char* what) {
  if (result == cuda::success) return;
  std::fprintf(stderr, "%s: error %d of the driver\n", what, result);
  std::exit(1);
}

// Kernels of about `us` in each of the contexts in turn, ten at a time.
int contexts(int count, double seconds, double us) {
  Device device;
  device.calibrate(us);
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW);
  using Create = cuda::Result(cuda::Context*, unsigned, cuda::DeviceNumber);
  using Use = cuda::Result(cuda::Context);
  const auto create =
      reinterpret_cast<Create*>(::dlsym(library, "cuCtxCreate_v2"));
  const auto use = reinterpret_cast<Use*>(::dlsym(library, "cuCtxSetCurrent"));
  if (!create || !use) return 1;
  std::vector<cuda::Context> all(static_cast<std::size_t>(count));
  for (auto& one : all) must_driver(create(&one, 0, 0), "cuCtxCreate");
  constexpr int group = 10;
  long kernels = 0;
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    for (const auto& one : all) {
      must_driver(use(one), "cuCtxSetCurrent");
      for (int i = 0; i < group; ++i) device.start(nullptr);
      kernels += group;
      must(cudaGetLastError(), "starting kernels");
    }
    for (const auto& one : all) {
      must_driver(use(one), "cuCtxSetCurrent");
      must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    }
  }
  const double took = seconds_since(begin);
  std::printf(
      "{\"contexts\":%d,\"us\":%.0f,\"seconds\":%.3f,\"kernels\":%ld,"
      "\"steps_per_s\":%.4e}\n",
      count, us, took, kernels,
      static_cast<double>(kernels) * device.steps / took);
  return 0;
}

cudaGraph_t graph_with_memory() {
  cudaGraph_t graph = nullptr;
  must(cudaGraphCreate(&graph, 0), "cudaGraphCreate");
  cudaMemAllocNodeParams wanted{};
  wanted.poolProps.allocType = cudaMemAllocationTypePinned;
  wanted.poolProps.location.type = cudaMemLocationTypeDevice;
  wanted.poolProps.location.id = 0;
  wanted.bytesize = piece;
  cudaGraphNode_t node = nullptr;
  if (cudaGraphAddMemAllocNode(&node, graph, nullptr, 0, &wanted) !=
      cudaSuccess) {
    cudaGraphDestroy(graph);
    return nullptr;
  }
  return graph;
}

int graphs() {
  must(cudaFree(nullptr), "starting");
  std::vector<void*> all;
  const auto make = [&] {
    cudaGraph_t one = graph_with_memory();
    if (one) all.push_back(one);
    return one ? 0 : 1;
  };
  const auto unmake = [&] {
    cudaGraphDestroy(static_cast<cudaGraph_t>(pop(all)));
  };
  fill("cudaGraphAddMemAllocNode", make, unmake);
  tell("after cudaGraphDestroy");
  fill("cudaGraphAddMemAllocNode again", make, unmake);
  // One that runs, and whose memory is gone with it.
  cudaGraph_t graph = graph_with_memory();
  cudaGraphExec_t made = nullptr;
  must(cudaGraphInstantiateWithFlags(&made, graph, 0),
       "cudaGraphInstantiateWithFlags");
  must(cudaGraphLaunch(made, nullptr), "cudaGraphLaunch");
  must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  tell("one runs");
  must(cudaGraphExecDestroy(made), "cudaGraphExecDestroy");
  must(cudaGraphDestroy(graph), "cudaGraphDestroy");
  tell("after its end");
  return 0;
}

int heap(std::size_t mib) {
  must(cudaFree(nullptr), "starting");
  tell("at first");
  const auto result = cudaDeviceSetLimit(cudaLimitMallocHeapSize, mib << 20);
  std::size_t bytes = 0;
  must(cudaDeviceGetLimit(&bytes, cudaLimitMallocHeapSize),
       "cudaDeviceGetLimit");
  std::printf("{\"heap_asked_mib\":%zu,\"result\":\"%s\",\"heap_mib\":%zu}\n",
              mib, cudaGetErrorString(result), bytes >> 20);
  cudaGetLastError();
  tell("with the heap");
  return 0;
}

int exec(int count) {
  must(cudaFree(nullptr), "starting");
  void* one = nullptr;
  std::size_t taken = 0;
  while (cudaMalloc(&one, piece) == cudaSuccess) taken += piece;
  std::printf("{\"before_exec\":%d,\"taken_mib\":%zu}\n", count, taken >> 20);
  std::fflush(stdout);
  if (count == 0) return 0;
  ::execl("/proc/self/exe", "reeve-gpu-share-trial", "exec",
          std::to_string(count - 1).c_str(), nullptr);
  std::perror("exec");
  return 1;
}

int number(const char* text) {
  return static_cast<int>(std::strtol(text, nullptr, 10));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "memory") == 0) return memory();
  if (argc == 5 && std::strcmp(argv[1], "rate") == 0)
    return rate(argv[2], std::strtod(argv[3], nullptr),
                std::strtod(argv[4], nullptr));
  if (argc == 3 && std::strcmp(argv[1], "empty") == 0)
    return empty(number(argv[2]));
  if (argc == 5 && std::strcmp(argv[1], "contexts") == 0)
    return contexts(number(argv[2]), std::strtod(argv[3], nullptr),
                    std::strtod(argv[4], nullptr));
  if (argc == 2 && std::strcmp(argv[1], "graphs") == 0) return graphs();
  if (argc == 3 && std::strcmp(argv[1], "heap") == 0)
    return heap(static_cast<std::size_t>(number(argv[2])));
  if (argc == 3 && std::strcmp(argv[1], "exec") == 0)
    return exec(number(argv[2]));
  std::fprintf(stderr,
               "usage: reeve-gpu-share-trial memory | rate WAY SECONDS US | "
               "empty COUNT | contexts COUNT SECONDS US | graphs | heap MIB | "
               "exec COUNT\n");
  return 2;
}

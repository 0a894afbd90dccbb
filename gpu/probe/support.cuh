// Shared by the probe's kernels.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "gpu/probe/kernels.hpp"

namespace reeve::gpu::probe {

inline void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw CudaError(std::string(what) + ": " + cudaGetErrorString(result) + " (" +
                  cudaGetErrorName(result) + ")");
}

template <class Value>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check(cudaMalloc(&data_, count * sizeof(Value)), "allocating memory");
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  Value* get() const { return data_; }
  std::size_t count() const { return count_; }
  std::size_t bytes() const { return count_ * sizeof(Value); }

  void zero() { check(cudaMemset(data_, 0, bytes()), "clearing results"); }
  void put(const Value* from) {
    check(cudaMemcpy(data_, from, bytes(), cudaMemcpyHostToDevice),
          "sending known results");
  }
  void get(Value* to) const {
    check(cudaMemcpy(to, data_, bytes(), cudaMemcpyDeviceToHost),
          "fetching results");
  }

 private:
  Value* data_ = nullptr;
  std::size_t count_;
};

// Seconds of the device between start() and stop().
class Stopwatch {
 public:
  Stopwatch() {
    check(cudaEventCreate(&begin_), "making a timer");
    check(cudaEventCreate(&end_), "making a timer");
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  void start() { check(cudaEventRecord(begin_), "starting a timer"); }
  double stop() {
    check(cudaEventRecord(end_), "stopping a timer");
    check(cudaEventSynchronize(end_), "waiting for the device");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_), "reading a timer");
    return ms * 1e-3;
  }

 private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

inline int attribute(cudaDeviceAttr which) {
  int device = 0;
  int value = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&value, which, device),
        "asking for an attribute");
  return value;
}

inline int multiprocessors() {
  return attribute(cudaDevAttrMultiProcessorCount);
}

// The numbers that memory is filled with: each word's tells its place.
__host__ __device__ inline unsigned long long pattern(unsigned long long place,
                                                      unsigned long long seed) {
  const unsigned long long x = (place + seed) * 0x9E3779B97F4A7C15ull;
  return x ^ (x >> 29);
}

// What a kernel found wrong; `first` holds only the first ones.
struct Wrongs {
  unsigned long long count;
  WrongNumber first[bad_words_kept];
};

__device__ inline void tell(Wrongs* wrongs, unsigned place,
                            unsigned long long expected,
                            unsigned long long found) {
  const unsigned long long at = atomicAdd(&wrongs->count, 1ull);
  if (at >= bad_words_kept) return;
  unsigned multiprocessor;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(multiprocessor));
  wrongs->first[at] = {multiprocessor, place, expected, found};
}

ArithmeticResult result_of(const DeviceArray<Wrongs>& wrongs);

// Launches until `seconds` have passed, after one launch that warms up.
// `operations` are those of one launch.
template <class Launch>
void repeat_launch(double seconds, double operations, Launch launch,
                   ArithmeticResult& result) {
  Stopwatch watch;
  launch();
  double total = 0;
  double best = 0;
  int count = 0;
  while (total < seconds || count < 3) {
    watch.start();
    launch();
    check(cudaGetLastError(), "starting an arithmetic kernel");
    const double each = watch.stop();
    best = count == 0 || each < best ? each : best;
    total += each;
    ++count;
  }
  result.per_second = operations * count / total;
  result.best_per_second = operations / best;
}

#ifdef REEVE_PLANT_FAULTS
Plant planted();
#else
constexpr Plant planted() {
  return Plant::nothing;
}
#endif

}  // namespace reeve::gpu::probe

// fp32 and fp64 arithmetic with known results. Each thread follows chains
// x -> x * x + c in the chaotic range, so that a wrong bit grows until the end;
// the host has followed the same chains. Only the last bits of an x near 0 are
// rounded away by the next step.
#include <cmath>
#include <vector>

#include "gpu/probe/support.cuh"

namespace reeve::gpu::probe {
namespace {

constexpr int threads = 256;
constexpr int chains = 8;  // of one thread, under way at a time
constexpr int lanes = 32;
constexpr int starts = lanes * chains;
constexpr int steps = 32768;
constexpr int unroll = 32;
constexpr int blocks_per_multiprocessor = 8;

struct Single {
  using Number = float;
  using Bits = unsigned;
  static constexpr const char* name = "FFMA";
  static constexpr Plant fault = Plant::fp32;
  __device__ static Number next(Number x, Number c) {
    return __fmaf_rn(x, x, c);
  }
  __device__ static Bits bits(Number x) { return __float_as_uint(x); }
  [[maybe_unused]] __device__ static Number number(Bits x) {
    return __uint_as_float(x);
  }
  static Number known(Number x, Number c) { return std::fmaf(x, x, c); }
};

struct Double {
  using Number = double;
  using Bits = unsigned long long;
  static constexpr const char* name = "DFMA";
  static constexpr Plant fault = Plant::fp64;
  __device__ static Number next(Number x, Number c) {
    return __fma_rn(x, x, c);
  }
  __device__ static Bits bits(Number x) {
    return static_cast<Bits>(__double_as_longlong(x));
  }
  [[maybe_unused]] __device__ static Number number(Bits x) {
    return __longlong_as_double(static_cast<long long>(x));
  }
  static Number known(Number x, Number c) { return std::fma(x, x, c); }
};

// Chains begin at 256 places between -1 and 1.
template <class Kind>
__host__ __device__ typename Kind::Number start_of(int chain) {
  return static_cast<typename Kind::Number>(chain - starts / 2) *
         static_cast<typename Kind::Number>(1.0 / (starts / 2 + 1));
}

template <class Kind>
__host__ __device__ constexpr typename Kind::Number constant() {
  return static_cast<typename Kind::Number>(-1.9);
}

template <class Kind>
__global__ void __launch_bounds__(threads)
    follow(const typename Kind::Number* known, int fault, Wrongs* wrongs) {
  const int lane = threadIdx.x % lanes;
  const typename Kind::Number c = constant<Kind>();
  typename Kind::Number x[chains];
#pragma unroll
  for (int k = 0; k < chains; ++k) x[k] = start_of<Kind>(lane * chains + k);
  for (int step = 0; step < steps; step += unroll) {
#pragma unroll
    for (int u = 0; u < unroll; ++u) {
#pragma unroll
      for (int k = 0; k < chains; ++k) x[k] = Kind::next(x[k], c);
    }
#ifdef REEVE_PLANT_FAULTS
    if (fault != 0 && step == steps / 2 && blockIdx.x == 3 && threadIdx.x == 77)
      x[5] = Kind::number(Kind::bits(x[5]) ^ typename Kind::Bits{1} << 11);
#endif
  }
#pragma unroll
  for (int k = 0; k < chains; ++k) {
    const int chain = lane * chains + k;
    if (Kind::bits(x[k]) != Kind::bits(known[chain]))
      tell(wrongs, chain, Kind::bits(known[chain]), Kind::bits(x[k]));
  }
#ifndef REEVE_PLANT_FAULTS
  (void)fault;
#endif
}

template <class Kind>
std::vector<typename Kind::Number> known_ends() {
  std::vector<typename Kind::Number> ends(starts);
  for (int i = 0; i < starts; ++i) ends[i] = start_of<Kind>(i);
  for (int step = 0; step < steps; ++step)
    for (int i = 0; i < starts; ++i)
      ends[i] = Kind::known(ends[i], constant<Kind>());
  return ends;
}

template <class Kind>
ArithmeticResult test(double seconds) {
  const auto ends = known_ends<Kind>();
  DeviceArray<typename Kind::Number> known(ends.size());
  known.put(ends.data());
  DeviceArray<Wrongs> wrongs(1);
  wrongs.zero();
  const int blocks = multiprocessors() * blocks_per_multiprocessor;
  const double operations = 2.0 * blocks * threads * chains * steps;
  ArithmeticResult rates;
  repeat_launch(
      seconds, operations,
      [&] {
        follow<Kind><<<blocks, threads>>>(known.get(), planted() == Kind::fault,
                                          wrongs.get());
      },
      rates);
  ArithmeticResult result = result_of(wrongs);
  result.per_second = rates.per_second;
  result.best_per_second = rates.best_per_second;
  result.instruction = Kind::name;
  return result;
}

}  // namespace

ArithmeticResult test_fp32(double seconds) {
  return test<Single>(seconds);
}

ArithmeticResult test_fp64(double seconds) {
  return test<Double>(seconds);
}

}  // namespace reeve::gpu::probe

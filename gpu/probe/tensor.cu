#include "gpu/probe/tensor.cuh"

namespace reeve::gpu::probe {
namespace {

TensorWay best_way() {
  const int major = attribute(cudaDevAttrComputeCapabilityMajor);
  const int minor = attribute(cudaDevAttrComputeCapabilityMinor);
  if (major < 8)
    throw CudaError("compute capability 8.0 or newer has bf16; this is " +
                    std::to_string(major) + "." + std::to_string(minor));
  return major == 9 && minor == 0 && has_wgmma_way() ? wgmma_way() : mma_way();
}

Products products_of(int limit, const TensorWay& way, unsigned seed) {
  const int rounds = rounds_for(limit, way.depth) / 4 * 4;
  return {seed, limit, rounds, planted() == Plant::bf16};
}

}  // namespace

ArithmeticResult test_bf16(double seconds) {
  const TensorWay way = best_way();
  const int count = multiprocessors();
  DeviceArray<Wrongs> wrongs(1);
  wrongs.zero();
  unsigned seed = 1;
  for (int i = 0; i < 8; ++i, seed += 100'000)
    way.launch(count, products_of(wide_limit, way, seed), wrongs.get());
  ArithmeticResult rates;
  const Products narrow = products_of(narrow_limit, way, 0);
  repeat_launch(
      seconds,
      way.operations_per_round_and_multiprocessor * narrow.rounds * count,
      [&] {
        way.launch(count, products_of(narrow_limit, way, seed), wrongs.get());
        seed += 100'000;
      },
      rates);
  ArithmeticResult result = result_of(wrongs);
  result.per_second = rates.per_second;
  result.best_per_second = rates.best_per_second;
  result.instruction = way.instruction;
  return result;
}

}  // namespace reeve::gpu::probe

// bf16 products with known results: the operands are small whole numbers, so
// that every sum stays exact in fp32 and can be told beforehand, bit by bit.
#pragma once

#include <cuda_bf16.h>

#include "gpu/probe/support.cuh"

namespace reeve::gpu::probe {

// Operands lie in -limit..limit and are added up `rounds` times over.
struct Products {
  unsigned seed;
  int limit;
  int rounds;
  int fault;  // plants a wrong operand in one thread of a test build
};

// Small numbers for long sums that are timed, and wide ones that use all
// significant bits of bf16. |sum| <= limit^2 * depth * rounds <= 2^24.
constexpr int narrow_limit = 2;
constexpr int wide_limit = 127;

constexpr int rounds_for(int limit, int depth) {
  const int rounds = (1 << 24) / (limit * limit * depth);
  return rounds < 65536 ? rounds : 65536;
}

// The element of an operand: 'which' tells A and B apart.
__device__ inline int element(const Products& products, unsigned which,
                              unsigned row, unsigned k) {
  unsigned x = (products.seed * 2 + which) * 0x9E3779B9u + row * 0x85EBCA6Bu +
               k * 0xC2B2AE35u;
  x ^= x >> 15;
  x *= 0x2C1B3C6Du;
  x ^= x >> 13;
  const unsigned values = 2u * static_cast<unsigned>(products.limit) + 1;
  return static_cast<int>(x % values) - products.limit;
}

__device__ inline float known_sum(const Products& products, unsigned row,
                                  unsigned column, unsigned depth) {
  int sum = 0;
  for (unsigned k = 0; k < depth; ++k)
    sum += element(products, 0, row, k) * element(products, 1, column, k);
  return static_cast<float>(sum * products.rounds);
}

__device__ inline unsigned packed(int low, int high) {
  const __nv_bfloat162 both =
      __floats2bfloat162_rn(static_cast<float>(low), static_cast<float>(high));
  return reinterpret_cast<const unsigned&>(both);
}

__device__ inline void compare(Wrongs* wrongs, unsigned row, unsigned column,
                               float known, float found) {
  if (__float_as_uint(known) != __float_as_uint(found))
    tell(wrongs, row * 256 + column, __float_as_uint(known),
         __float_as_uint(found));
}

// One way of multiplying: a grid that fills the device, and its work.
struct TensorWay {
  const char* instruction;
  int depth;  // of one round
  double operations_per_round_and_multiprocessor;
  void (*launch)(int multiprocessors, Products products, Wrongs* wrongs);
};

TensorWay mma_way();    // compute capability 8.0 and newer
TensorWay wgmma_way();  // 9.0 alone
bool has_wgmma_way();   // this build's compiler knows it

}  // namespace reeve::gpu::probe

// mma.sync: one warp multiplies, operands and sums are in its registers.
#include "gpu/probe/tensor.cuh"

namespace reeve::gpu::probe {
namespace {

constexpr int threads = 256;
constexpr int warps = threads / 32;
constexpr int blocks_per_multiprocessor = 2;
constexpr int depth = 16;
// Tiles of 16 x 16 and 16 x 8: 32 x 32 sums in each warp.
constexpr int tiles_a = 2;
constexpr int tiles_b = 4;

__device__ void multiply(float (&d)[4], const unsigned (&a)[4],
                         const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__global__ void __launch_bounds__(threads)
    mma_kernel(Products products, Wrongs* wrongs) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned group = lane / 4;
  const unsigned pair = lane % 4 * 2;
  products.seed += blockIdx.x * warps + threadIdx.x / 32;
  unsigned a[tiles_a][4];
  unsigned b[tiles_b][2];
  float d[tiles_a][tiles_b][4] = {};
  for (int i = 0; i < tiles_a; ++i)
    for (int j = 0; j < 4; ++j) {
      const unsigned row = i * 16 + group + (j % 2) * 8;
      const unsigned k = pair + (j / 2) * 8;
      a[i][j] = packed(element(products, 0, row, k),
                       element(products, 0, row, k + 1));
    }
  for (int i = 0; i < tiles_b; ++i)
    for (int j = 0; j < 2; ++j) {
      const unsigned column = i * 8 + group;
      const unsigned k = pair + j * 8;
      b[i][j] = packed(element(products, 1, column, k),
                       element(products, 1, column, k + 1));
    }
#ifdef REEVE_PLANT_FAULTS
  if (products.fault != 0 && blockIdx.x == 3 && threadIdx.x == 77)
    a[1][2] ^= 0x80;
#endif
  for (int round = 0; round < products.rounds; ++round)
#pragma unroll
    for (int i = 0; i < tiles_a; ++i)
#pragma unroll
      for (int j = 0; j < tiles_b; ++j) multiply(d[i][j], a[i], b[j]);
  for (int i = 0; i < tiles_a; ++i)
    for (int j = 0; j < tiles_b; ++j)
      for (int k = 0; k < 4; ++k) {
        const unsigned row = i * 16 + group + (k / 2) * 8;
        const unsigned column = j * 8 + pair + k % 2;
        compare(wrongs, row, column, known_sum(products, row, column, depth),
                d[i][j][k]);
      }
}

void launch(int multiprocessors, Products products, Wrongs* wrongs) {
  mma_kernel<<<multiprocessors * blocks_per_multiprocessor, threads>>>(products,
                                                                       wrongs);
}

}  // namespace

TensorWay mma_way() {
  return {
      "mma.sync.m16n8k16", depth,
      2.0 * 16 * 8 * 16 * tiles_a * tiles_b * warps * blocks_per_multiprocessor,
      launch};
}

}  // namespace reeve::gpu::probe

// wgmma: four warps multiply together, operands are in shared memory and sums
// in registers. The only way to the full rate of compute capability 9.0.
#include "gpu/probe/tensor.cuh"

namespace reeve::gpu::probe {
namespace {

constexpr int groups = 2;  // of four warps, which take turns
constexpr int threads = groups * 128;
constexpr int rows = 64;
constexpr int columns = 256;
constexpr int depth = 64;
constexpr int step = 16;  // of the depth, in one instruction
constexpr int a_bytes = rows * depth * 2;
constexpr int b_bytes = columns * depth * 2;
constexpr int shared_bytes = groups * a_bytes + b_bytes;

// Operands lie in blocks of 8 rows by 16 bytes, 128 bytes each: first those
// along the depth, then the next 8 rows.
constexpr unsigned along_depth = 128;
constexpr unsigned along_rows = along_depth * depth / 8;

__device__ void place(unsigned char* to, const Products& products,
                      unsigned which, unsigned row, unsigned k) {
  const unsigned at =
      row / 8 * along_rows + k / 8 * along_depth + row % 8 * 16 + k % 8 * 2;
  *reinterpret_cast<unsigned*>(to + at) = packed(
      element(products, which, row, k), element(products, which, row, k + 1));
}

__device__ unsigned long long descriptor(unsigned shared_address) {
  return (shared_address & 0x3FFFF) >> 4 |
         static_cast<unsigned long long>(along_depth >> 4) << 16 |
         static_cast<unsigned long long>(along_rows >> 4) << 32;
}

// Everything from the fence to the wait is one statement: between them the
// compiler must not touch the sums, or it makes each product wait for the one
// before.
#define REEVE_PRODUCT(a, b)                                                  \
  "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "                   \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                  \
  "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"         \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"         \
  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"         \
  "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"         \
  "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"         \
  "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%" \
  "111,"                                                                     \
  "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%"  \
  "126,%127}, " a ", " b ", 1, 1, 1, 0, 0;\n\t"
#define REEVE_ROUND             \
  REEVE_PRODUCT("%128", "%132") \
  REEVE_PRODUCT("%129", "%133") \
  REEVE_PRODUCT("%130", "%134") REEVE_PRODUCT("%131", "%135")

constexpr int rounds_at_once = 4;

__device__ __forceinline__ void multiply(float (&d)[128],
                                         const unsigned long long (&a)[4],
                                         const unsigned long long (&b)[4]) {
  asm volatile(
      "wgmma.fence.sync.aligned;\n\t" REEVE_ROUND REEVE_ROUND REEVE_ROUND
          REEVE_ROUND
      "wgmma.commit_group.sync.aligned;\n\t"
      "wgmma.wait_group.sync.aligned 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
        "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]),
        "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]),
        "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]),
        "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
        "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]),
        "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]),
        "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]), "+f"(d[50]),
        "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
        "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]),
        "+f"(d[61]), "+f"(d[62]), "+f"(d[63]), "+f"(d[64]), "+f"(d[65]),
        "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]),
        "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]),
        "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79]), "+f"(d[80]),
        "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]), "+f"(d[85]),
        "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]),
        "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95]),
        "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]),
        "+f"(d[101]), "+f"(d[102]), "+f"(d[103]), "+f"(d[104]), "+f"(d[105]),
        "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]),
        "+f"(d[111]), "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]),
        "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]), "+f"(d[120]),
        "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]),
        "+f"(d[126]), "+f"(d[127])
      : "l"(a[0]), "l"(a[1]), "l"(a[2]), "l"(a[3]), "l"(b[0]), "l"(b[1]),
        "l"(b[2]), "l"(b[3])
      : "memory");
}

// Sums of one thread: of rows `lane / 4` and 8 below it, in each 8 columns
// two beside each other.
__device__ void compare_all(const Products& products, Wrongs* wrongs,
                            const float (&d)[128]) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32 % 4;
#pragma unroll
  for (unsigned i = 0; i < 128; ++i) {
    const unsigned row = warp * 16 + lane / 4 + i / 2 % 2 * 8;
    const unsigned column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    compare(wrongs, row, column, known_sum(products, row, column, depth), d[i]);
  }
}

__global__ void __launch_bounds__(threads, 1)
    wgmma_kernel(Products products, Wrongs* wrongs) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const unsigned group = threadIdx.x / 128;
  // Both groups share B; each has an A of its own.
  products.seed += blockIdx.x;
  Products mine = products;
  unsigned char* a = shared + group * a_bytes;
  unsigned char* b = shared + groups * a_bytes;
  for (unsigned i = threadIdx.x % 128; i < rows * depth / 2; i += 128)
    place(a, mine, 0, i / (depth / 2), i % (depth / 2) * 2);
  for (unsigned i = threadIdx.x; i < columns * depth / 2; i += threads)
    place(b, mine, 1, i / (depth / 2), i % (depth / 2) * 2);
#ifdef REEVE_PLANT_FAULTS
  __syncthreads();
  if (products.fault != 0 && blockIdx.x == 3 && threadIdx.x == 77)
    a[2 * 37] ^= 0x80;
#endif
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const auto a_base =
      descriptor(static_cast<unsigned>(__cvta_generic_to_shared(a)));
  const auto b_base =
      descriptor(static_cast<unsigned>(__cvta_generic_to_shared(b)));
  unsigned long long a_steps[depth / step];
  unsigned long long b_steps[depth / step];
#pragma unroll
  for (int k = 0; k < depth / step; ++k) {
    const unsigned at = k * (step / 8) * along_depth >> 4;
    a_steps[k] = a_base + at;
    b_steps[k] = b_base + at;
  }
  float d[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) d[i] = 0;
  for (int round = 0; round < products.rounds; round += rounds_at_once)
    multiply(d, a_steps, b_steps);
  compare_all(mine, wrongs, d);
}

void launch(int multiprocessors, Products products, Wrongs* wrongs) {
  check(cudaFuncSetAttribute(wgmma_kernel,
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             shared_bytes),
        "asking for shared memory");
  wgmma_kernel<<<multiprocessors, threads, shared_bytes>>>(products, wrongs);
}

}  // namespace

TensorWay wgmma_way() {
  return {"wgmma.m64n256k16", depth, 2.0 * rows * columns * depth * groups,
          launch};
}

bool has_wgmma_way() {
  return true;
}

}  // namespace reeve::gpu::probe

// Patterns in memory, bandwidth, clearing and copies.
#include <algorithm>
#include <cstring>
#include <memory>

#include "gpu/probe/support.cuh"

namespace reeve::gpu::probe {
namespace {

constexpr int threads = 256;
// 16-byte accesses of one thread that are under way at a time.
constexpr int ahead = 8;
constexpr std::size_t block_items = std::size_t{threads} * ahead;

struct Bad {
  unsigned long long count;
  BadWord first[bad_words_kept];
};

unsigned blocks_for(std::size_t items) {
  return static_cast<unsigned>((items + block_items - 1) / block_items);
}

// Items are 16 bytes: two words whose places are 2 i and 2 i + 1.
__global__ void fill(ulonglong2* to, std::size_t items, unsigned long long seed,
                     unsigned long long flip) {
  const std::size_t begin = blockIdx.x * block_items + threadIdx.x;
#pragma unroll
  for (int k = 0; k < ahead; ++k) {
    const std::size_t i = begin + std::size_t{threads} * k;
    if (i < items)
      to[i] = make_ulonglong2(pattern(2 * i, seed) ^ flip,
                              pattern(2 * i + 1, seed) ^ flip);
  }
}

__device__ void note(Bad* bad, const ulonglong2* at, std::size_t word,
                     unsigned long long expected, unsigned long long found) {
  const unsigned long long number = atomicAdd(&bad->count, 1ull);
  if (number >= bad_words_kept) return;
  bad->first[number] = {reinterpret_cast<unsigned long long>(at) + word * 8,
                        word * 8, expected, found};
}

__global__ void verify(const ulonglong2* from, std::size_t items,
                       unsigned long long seed, unsigned long long flip,
                       Bad* bad) {
  const std::size_t begin = blockIdx.x * block_items + threadIdx.x;
  ulonglong2 seen[ahead];
#pragma unroll
  for (int k = 0; k < ahead; ++k) {
    const std::size_t i = begin + std::size_t{threads} * k;
    if (i < items) seen[k] = __ldcs(from + i);
  }
#pragma unroll
  for (int k = 0; k < ahead; ++k) {
    const std::size_t i = begin + std::size_t{threads} * k;
    if (i >= items) continue;
    const auto low = pattern(2 * i, seed) ^ flip;
    const auto high = pattern(2 * i + 1, seed) ^ flip;
    if (seen[k].x != low) note(bad, from, 2 * i, low, seen[k].x);
    if (seen[k].y != high) note(bad, from, 2 * i + 1, high, seen[k].y);
  }
}

// Of a multiple of block_items.
__global__ void read_all(const uint4* from, unsigned* never) {
  const std::size_t begin = blockIdx.x * block_items + threadIdx.x;
  uint4 seen[ahead];
#pragma unroll
  for (int k = 0; k < ahead; ++k)
    seen[k] = __ldcs(from + begin + std::size_t{threads} * k);
  unsigned sum = 0;
#pragma unroll
  for (int k = 0; k < ahead; ++k)
    sum |= seen[k].x ^ seen[k].y ^ seen[k].z ^ seen[k].w;
  // The buffer is zero: this keeps the loads and stores nothing.
  if (sum != 0) *never = sum;
}

__global__ void write_all(uint4* to, std::size_t items, unsigned value) {
  const std::size_t begin = blockIdx.x * block_items + threadIdx.x;
#pragma unroll
  for (int k = 0; k < ahead; ++k) {
    const std::size_t i = begin + std::size_t{threads} * k;
    if (i < items) __stcs(to + i, make_uint4(value, value, value, value));
  }
}

__global__ void copy_all(const uint4* from, uint4* to) {
  const std::size_t begin = blockIdx.x * block_items + threadIdx.x;
  uint4 seen[ahead];
#pragma unroll
  for (int k = 0; k < ahead; ++k)
    seen[k] = __ldcs(from + begin + std::size_t{threads} * k);
#pragma unroll
  for (int k = 0; k < ahead; ++k)
    __stcs(to + begin + std::size_t{threads} * k, seen[k]);
}

// One word of every 4 KiB, at another place in each.
__global__ void sample(const unsigned long long* from, std::size_t pages,
                       unsigned long long seed, unsigned long long* dirty) {
  const std::size_t page = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (page >= pages) return;
  const auto place = page * 512 + pattern(page, seed) % 512;
  if (from[place] != 0) atomicAdd(dirty, 1ull);
}

#ifdef REEVE_PLANT_FAULTS
__global__ void flip_bit(unsigned long long* word) {
  *word ^= 1ull << 37;
}

void flip_if_planted(void* memory, std::size_t bytes) {
  if (planted() != Plant::memory) return;
  flip_bit<<<1, 1>>>(static_cast<unsigned long long*>(memory) + bytes / 8 / 3);
  check(cudaGetLastError(), "planting a wrong bit");
}

// As if clearing had left out 64 KiB.
void soil_if_planted(void* memory) {
  if (planted() != Plant::dirty) return;
  check(cudaMemset(static_cast<char*>(memory) + (1 << 20), 0xA5, 1 << 16),
        "planting what was not cleared");
}
#else
void flip_if_planted(void*, std::size_t) {}
void soil_if_planted(void*) {}
#endif

// One pass over the memory: written everywhere, then read everywhere, so that
// what is read was long evicted from the caches.
void pass(ulonglong2* memory, std::size_t items, unsigned long long seed,
          unsigned long long flip, Bad* bad) {
  fill<<<blocks_for(items), threads>>>(memory, items, seed, flip);
  if (flip != 0 && seed == 1) flip_if_planted(memory, items * 16);
  verify<<<blocks_for(items), threads>>>(memory, items, seed, flip, bad);
  check(cudaGetLastError(), "starting a memory test");
}

// All free memory but `keep_bytes`, in as few pieces as the driver gives.
class AllMemory {
 public:
  struct Piece {
    void* data;
    std::size_t bytes;
  };

  explicit AllMemory(std::size_t keep_bytes) {
    std::size_t all = 0;
    std::size_t free = 0;
    check(cudaMemGetInfo(&free, &all), "asking for free memory");
    std::size_t left = free > keep_bytes ? free - keep_bytes : 0;
    std::size_t size = left;
    while (left >= smallest && size >= smallest) {
      size = std::min(size, left) / grain * grain;
      void* data = nullptr;
      if (cudaMalloc(&data, size) != cudaSuccess) {
        cudaGetLastError();
        size /= 2;
        continue;
      }
      pieces.push_back({data, size});
      left -= size;
    }
    if (pieces.empty()) throw CudaError("there is no free memory to clear");
  }
  ~AllMemory() {
    for (const Piece& piece : pieces) cudaFree(piece.data);
  }
  AllMemory(const AllMemory&) = delete;
  AllMemory& operator=(const AllMemory&) = delete;

  std::vector<Piece> pieces;

 private:
  static constexpr std::size_t grain = std::size_t{2} << 20;
  static constexpr std::size_t smallest = std::size_t{16} << 20;
};

void write_piece(const AllMemory::Piece& piece, unsigned value) {
  write_all<<<blocks_for(piece.bytes / 16), threads>>>(
      static_cast<uint4*>(piece.data), piece.bytes / 16, value);
  check(cudaGetLastError(), "starting to write memory");
}

class PinnedWords {
 public:
  explicit PinnedWords(std::size_t bytes) {
    check(cudaMallocHost(&data, bytes), "allocating pinned host memory");
  }
  ~PinnedWords() { cudaFreeHost(data); }
  PinnedWords(const PinnedWords&) = delete;
  PinnedWords& operator=(const PinnedWords&) = delete;

  unsigned long long* data = nullptr;
};

template <class Work>
double best_rate(int repeats, double bytes, Work work) {
  Stopwatch watch;
  work();
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    watch.start();
    work();
    best = std::max(best, bytes / watch.stop());
  }
  check(cudaGetLastError(), "measuring bandwidth");
  return best;
}

}  // namespace

MemoryResult test_memory(std::size_t bytes, int rounds) {
  const std::size_t items = bytes / 16;
  DeviceArray<ulonglong2> memory(items);
  DeviceArray<Bad> bad(1);
  bad.zero();
  Stopwatch watch;
  watch.start();
  for (int round = 0; round < rounds; ++round) {
    const auto seed = static_cast<unsigned long long>(round) * 977 + 1;
    pass(memory.get(), items, seed, 0, bad.get());
    pass(memory.get(), items, seed, ~0ull, bad.get());
  }
  MemoryResult result;
  result.seconds = watch.stop();
  result.bytes = items * 16;
  result.moved_bytes = result.bytes * 4 * static_cast<unsigned>(rounds);
  const auto found = std::make_unique<Bad>();
  bad.get(found.get());
  result.bad_count = found->count;
  for (std::size_t i = 0; i < found->count && i < bad_words_kept; ++i)
    result.bad.push_back(found->first[i]);
  return result;
}

BandwidthResult measure_bandwidth(std::size_t bytes, int repeats) {
  const std::size_t items = bytes / 16 / block_items * block_items;
  const double moved = static_cast<double>(items) * 16;
  DeviceArray<uint4> one(items);
  DeviceArray<uint4> other(items);
  DeviceArray<unsigned> never(1);
  one.zero();
  const unsigned blocks = blocks_for(items);
  BandwidthResult result;
  result.read = best_rate(repeats, moved, [&] {
    read_all<<<blocks, threads>>>(one.get(), never.get());
  });
  result.write = best_rate(repeats, moved, [&] {
    write_all<<<blocks, threads>>>(other.get(), items, 0x5A5A5A5A);
  });
  result.copy = best_rate(repeats, 2 * moved, [&] {
    copy_all<<<blocks, threads>>>(one.get(), other.get());
  });
  return result;
}

HostCopyResult measure_host_copy(std::size_t bytes, int repeats) {
  const std::size_t words = bytes / 16 * 2;
  PinnedWords out(words * 8);
  PinnedWords back(words * 8);
  DeviceArray<ulonglong2> device(words / 2);
  DeviceArray<Bad> bad(1);
  bad.zero();
  for (std::size_t i = 0; i < words; ++i) out.data[i] = pattern(i, 5);
  const auto moved = static_cast<double>(words) * 8;
  HostCopyResult result;
  result.to_device = best_rate(repeats, moved, [&] {
    check(cudaMemcpyAsync(device.get(), out.data, words * 8,
                          cudaMemcpyHostToDevice),
          "copying to the device");
  });
  verify<<<blocks_for(words / 2), threads>>>(device.get(), words / 2, 5, 0,
                                             bad.get());
  result.to_host = best_rate(repeats, moved, [&] {
    check(cudaMemcpyAsync(back.data, device.get(), words * 8,
                          cudaMemcpyDeviceToHost),
          "copying to the host");
  });
  const auto found = std::make_unique<Bad>();
  bad.get(found.get());
  result.wrong = found->count;
  for (std::size_t i = 0; i < words; ++i)
    result.wrong += back.data[i] != out.data[i];
  return result;
}

ClearResult clear_memory(std::size_t keep_bytes, Soil soil) {
  AllMemory all(keep_bytes);
  DeviceArray<unsigned long long> dirty(1);
  dirty.zero();
  if (soil == Soil::yes)
    for (const auto& piece : all.pieces) write_piece(piece, ~0u);
  ClearResult result;
  Stopwatch watch;
  watch.start();
  for (const auto& piece : all.pieces) write_piece(piece, 0);
  const double seconds = watch.stop();
  soil_if_planted(all.pieces[0].data);
  for (const auto& piece : all.pieces) {
    const std::size_t pages = piece.bytes / 4096;
    sample<<<static_cast<unsigned>((pages + threads - 1) / threads), threads>>>(
        static_cast<const unsigned long long*>(piece.data), pages, 11,
        dirty.get());
    check(cudaGetLastError(), "starting to sample memory");
    result.bytes += piece.bytes;
    result.sampled += pages;
  }
  unsigned long long found = 0;
  dirty.get(&found);
  result.dirty = found;
  result.bytes_per_second = static_cast<double>(result.bytes) / seconds;
  return result;
}

PeerResult test_peer(int from, int to, std::size_t bytes) {
  PeerResult result;
  int can = 0;
  check(cudaDeviceCanAccessPeer(&can, from, to), "asking for a peer");
  result.possible = can != 0;
  const std::size_t items = bytes / 16;
  check(cudaSetDevice(to), "choosing the peer");
  DeviceArray<ulonglong2> there(items);
  DeviceArray<Bad> bad(1);
  bad.zero();
  check(cudaSetDevice(from), "choosing the device");
  DeviceArray<ulonglong2> here(items);
  fill<<<blocks_for(items), threads>>>(here.get(), items, 7, 0);
  result.bytes_per_second = best_rate(4, static_cast<double>(items) * 16, [&] {
    check(cudaMemcpyPeerAsync(there.get(), to, here.get(), from, items * 16),
          "copying to the peer");
  });
  check(cudaSetDevice(to), "choosing the peer");
  verify<<<blocks_for(items), threads>>>(there.get(), items, 7, 0, bad.get());
  const auto found = std::make_unique<Bad>();
  bad.get(found.get());
  result.wrong = found->count;
  check(cudaSetDevice(from), "choosing the device");
  return result;
}

}  // namespace reeve::gpu::probe

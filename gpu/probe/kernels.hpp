// What the probe asks of a device, one function for each question; the device
// chosen last by use() answers. A call that CUDA refuses throws CudaError.
// Kept to C++17: CUDA's compiler of older releases knows no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace reeve::gpu::probe {

class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct DeviceFacts {
  std::string model;
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t free_bytes = 0;
};

// Throws where there is no driver or no device.
int device_count();
DeviceFacts use(int device);

// A place where something else was read than written.
struct BadWord {
  std::uint64_t address = 0;  // of the device, as the driver mapped it
  std::uint64_t offset = 0;   // from the beginning of what was tested
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
};
constexpr std::size_t bad_words_kept = 64;

struct MemoryResult {
  std::uint64_t bytes = 0;  // tested, once or more
  std::uint64_t bad_count = 0;
  std::vector<BadWord> bad;  // the first ones found
  double seconds = 0;        // of writing and reading, not of allocating
  std::uint64_t moved_bytes = 0;
};

// Every word of `bytes` holds a number made of its place, then its complement,
// `rounds` times with other numbers.
MemoryResult test_memory(std::size_t bytes, int rounds);

// Bytes per second, the best of `repeats` runs; a copy counts both ways.
struct BandwidthResult {
  double read = 0;
  double write = 0;
  double copy = 0;
};
BandwidthResult measure_bandwidth(std::size_t bytes, int repeats);

struct HostCopyResult {
  double to_device = 0;  // bytes per second
  double to_host = 0;
  std::uint64_t wrong = 0;  // words that came back changed
};
HostCopyResult measure_host_copy(std::size_t bytes, int repeats);

// One result that differs from the known one.
struct WrongNumber {
  std::uint32_t multiprocessor = 0;
  std::uint32_t place = 0;  // of the result among those of one thread block
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
};

struct ArithmeticResult {
  double per_second = 0;       // operations; a fused multiply-add counts two
  double best_per_second = 0;  // of the fastest launch
  std::uint64_t wrong_count = 0;
  std::vector<WrongNumber> wrong;
  const char* instruction = "";
};

// For about `seconds` each.
ArithmeticResult test_fp32(double seconds);
ArithmeticResult test_fp64(double seconds);
// bf16 with fp32 sums on the tensor cores; compute capability 8.0 and newer.
ArithmeticResult test_bf16(double seconds);

struct ClearResult {
  std::uint64_t bytes = 0;
  double bytes_per_second = 0;
  std::uint64_t sampled = 0;  // words read again
  std::uint64_t dirty = 0;    // of them not zero
};
// Fills all free memory but `keep_bytes` with a pattern where `soil` says so
// (to show that clearing is seen), clears it and reads samples.
enum class Soil { no, yes };
ClearResult clear_memory(std::size_t keep_bytes, Soil soil);

struct PeerResult {
  bool possible = false;
  double bytes_per_second = 0;
  std::uint64_t wrong = 0;
};
PeerResult test_peer(int from, int to, std::size_t bytes);

// What a build for tests can do wrong on purpose; nothing in any other.
enum class Plant { nothing, memory, dirty, fp32, fp64, bf16, hang };
bool can_plant();
void plant(Plant what);
// Never returns when a hang is planted.
void hang_if_planted();

}  // namespace reeve::gpu::probe

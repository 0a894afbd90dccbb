#include "gpu/probe/support.cuh"

namespace reeve::gpu::probe {

int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "looking for devices");
  return count;
}

DeviceFacts use(int device) {
  check(cudaSetDevice(device), "choosing the device");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for the device");
  DeviceFacts facts;
  facts.model = properties.name;
  facts.compute_major = properties.major;
  facts.compute_minor = properties.minor;
  facts.multiprocessors = properties.multiProcessorCount;
  check(cudaMemGetInfo(&facts.free_bytes, &facts.memory_bytes),
        "asking for free memory");
  return facts;
}

ArithmeticResult result_of(const DeviceArray<Wrongs>& wrongs) {
  Wrongs found{};
  wrongs.get(&found);
  ArithmeticResult result;
  result.wrong_count = found.count;
  for (std::size_t i = 0; i < found.count && i < bad_words_kept; ++i)
    result.wrong.push_back(found.first[i]);
  return result;
}

#ifdef REEVE_PLANT_FAULTS

namespace {

Plant chosen = Plant::nothing;

__global__ void spin(volatile int* stop) {
  while (*stop == 0) {
  }
}

}  // namespace

bool can_plant() {
  return true;
}

void plant(Plant what) {
  chosen = what;
}

Plant planted() {
  return chosen;
}

void hang_if_planted() {
  if (chosen != Plant::hang) return;
  DeviceArray<int> never(1);
  never.zero();
  spin<<<1, 1>>>(never.get());
  check(cudaDeviceSynchronize(), "waiting for a kernel that hangs");
}

#else

bool can_plant() {
  return false;
}

void plant(Plant) {}

void hang_if_planted() {}

#endif

}  // namespace reeve::gpu::probe

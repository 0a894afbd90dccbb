// A driver's library for tests. REEVE_FAKE_GPUS gives one letter per device:
// g good, m in MIG mode, l lost (its handle is refused). "!" instead: the
// library is there, its driver is not; "?": the driver fails otherwise.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gpu/nvml_abi.hpp"

using reeve::gpu::nvml::Device;
using reeve::gpu::nvml::Memory;
using reeve::gpu::nvml::PciInfo;
using reeve::gpu::nvml::Return;

namespace {

constexpr Return unknown_error = 999;
constexpr Return gpu_is_lost = 15;
int users = 0;

const char* wanted() {
  const char* text = std::getenv("REEVE_FAKE_GPUS");
  return text ? text : "";
}

unsigned index_of(Device device) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(device)) - 1;
}

}  // namespace

extern "C" {

Return nvmlInit_v2() {
  if (wanted()[0] == '!') return reeve::gpu::nvml::driver_not_loaded;
  if (wanted()[0] == '?') return unknown_error;
  ++users;
  return 0;
}

Return nvmlShutdown() {
  return --users >= 0 ? 0 : unknown_error;
}

const char* nvmlErrorString(Return result) {
  if (result == gpu_is_lost) return "GPU is lost";
  return result == 9 ? "Driver Not Loaded" : "Unknown Error";
}

Return nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::snprintf(text, size, "570.1.2");
  return 0;
}

Return nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(std::strlen(wanted()));
  return 0;
}

Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  if (wanted()[index] == 'l') return gpu_is_lost;
  *device = reinterpret_cast<Device>(std::uintptr_t{index} + 1);
  return 0;
}

Return nvmlDeviceGetUUID(Device device, char* text, unsigned size) {
  std::snprintf(text, size, "GPU-%08u", index_of(device));
  return 0;
}

Return nvmlDeviceGetName(Device, char* text, unsigned size) {
  std::snprintf(text, size, "NVIDIA Fake");
  return 0;
}

Return nvmlDeviceGetMemoryInfo(Device, Memory* memory) {
  *memory = {80ull << 30, 79ull << 30, 1ull << 30};
  return 0;
}

// The numbers of device files need not be those of the library.
Return nvmlDeviceGetMinorNumber(Device device, unsigned* minor) {
  *minor = 7 - index_of(device);
  return 0;
}

Return nvmlDeviceGetPciInfo_v3(Device device, PciInfo* info) {
  *info = {};
  std::snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0",
                0x1A + index_of(device));
  return 0;
}

Return nvmlDeviceGetMigMode(Device device, unsigned* now, unsigned* pending) {
  *now = wanted()[index_of(device)] == 'm' ? 1 : 0;
  *pending = *now;
  return 0;
}

}  // extern "C"

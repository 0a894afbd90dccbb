// The few entry points of the driver's management library that are used, as
// its binary interface has them. Declared here because the library is loaded
// at run time and its header is not free to build against.
#pragma once

#include <cstdint>

namespace reeve::gpu::nvml {

using Return = int;
inline constexpr Return success = 0;
inline constexpr Return driver_not_loaded = 9;

struct Handle;  // of a device
using Device = Handle*;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct PciInfo {
  char bus_id_legacy[16];
  unsigned int domain;
  unsigned int bus;
  unsigned int device;
  unsigned int pci_device_id;
  unsigned int pci_subsystem_id;
  char bus_id[32];
};

inline constexpr unsigned int uuid_bytes = 96;
inline constexpr unsigned int name_bytes = 96;
inline constexpr unsigned int version_bytes = 80;

using Init = Return();
using Shutdown = Return();
using ErrorString = const char*(Return);
using SystemGetDriverVersion = Return(char*, unsigned int);
using DeviceGetCount = Return(unsigned int*);
using DeviceGetHandleByIndex = Return(unsigned int, Device*);
using DeviceGetText = Return(Device, char*, unsigned int);  // uuid, name
using DeviceGetMemoryInfo = Return(Device, Memory*);
using DeviceGetMinorNumber = Return(Device, unsigned int*);
using DeviceGetPciInfo = Return(Device, PciInfo*);
using DeviceGetMigMode = Return(Device, unsigned int*, unsigned int*);

}  // namespace reeve::gpu::nvml

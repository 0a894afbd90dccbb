// The entry points of NVIDIA's management library that are used, declared
// from its documentation: names with a version suffix never change. The
// library comes with the driver and is loaded at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reeve::gpu::nvml {

using Return = int;  // 0 is success
using Device = struct OpaqueDevice*;
using EventSet = struct OpaqueEventSet*;

constexpr Return success = 0;
constexpr Return insufficient_size = 7;
constexpr Return driver_not_loaded = 9;
constexpr Return timeout = 10;
constexpr Return gpu_is_lost = 15;

constexpr unsigned uuid_bytes = 96;
constexpr unsigned name_bytes = 96;
constexpr unsigned version_bytes = 80;
constexpr unsigned nvlinks_max = 18;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pci_device_id;
  unsigned pci_subsystem_id;
  char bus_id[32];
};

struct Attributes {
  unsigned multiprocessors;
  unsigned copy_engines;
  unsigned decoders;
  unsigned encoders;
  unsigned jpegs;
  unsigned optical_flows;
  unsigned gpu_slices;
  unsigned compute_slices;
  unsigned long long memory_mib;
};

struct Utilization {
  unsigned gpu;
  unsigned memory;
};

struct ProcessInfo {
  unsigned pid;
  unsigned long long memory_bytes;
  unsigned gpu_instance;
  unsigned compute_instance;
};
// The driver's "not available" in counts of bytes.
constexpr unsigned long long value_not_available = ~0ull;

struct FieldValue {
  unsigned field;
  unsigned scope;
  long long timestamp;
  long long latency_us;
  unsigned type;
  Return result;
  union {
    double real;
    unsigned number;
    unsigned long long large;
  } value;
};
constexpr unsigned type_unsigned = 1;
constexpr unsigned field_memory_temperature = 82;
constexpr unsigned field_nvlink_sent_kib = 138;
constexpr unsigned field_nvlink_received_kib = 139;
constexpr unsigned all_links = ~0u;

struct EventData {
  Device device;
  unsigned long long type;
  unsigned long long data;
  unsigned gpu_instance;
  unsigned compute_instance;
};
constexpr unsigned long long event_xid = 8;

enum ClockType : unsigned {
  clock_graphics = 0,
  clock_sm = 1,
  clock_memory = 2,
};
enum EccError : unsigned { ecc_corrected = 0, ecc_uncorrected = 1 };
enum EccSpan : unsigned { ecc_since_boot = 0, ecc_ever = 1 };
enum PcieWay : unsigned { pcie_sent = 0, pcie_received = 1 };
enum Ancestor : unsigned {
  ancestor_internal = 0,
  ancestor_switch = 10,
  ancestor_switches = 20,
  ancestor_host_bridge = 30,
  ancestor_node = 40,
  ancestor_system = 50,
};
constexpr unsigned remote_is_switch = 2;

using Init = Return();
using Shutdown = Return();
using ErrorString = const char*(Return);
using SystemText = Return(char*, unsigned);
using SystemNumber = Return(int*);
using Count = Return(unsigned*);
using HandleByIndex = Return(unsigned, Device*);
using DeviceText = Return(Device, char*, unsigned);
using DeviceNumber = Return(Device, unsigned*);
using DeviceLarge = Return(Device, unsigned long long*);
using DevicePair = Return(Device, unsigned*, unsigned*);
using DeviceSigned = Return(Device, int*, int*);
using DeviceIndexed = Return(Device, unsigned, unsigned*);
using SetDeviceNumber = Return(Device, unsigned);
using SetDevicePair = Return(Device, unsigned, unsigned);
using GetMemoryInfo = Return(Device, Memory*);
using GetPciInfo = Return(Device, PciInfo*);
using GetAttributes = Return(Device, Attributes*);
using GetUtilization = Return(Device, Utilization*);
using GetCommonAncestor = Return(Device, Device, unsigned*);
using GetLinkPciInfo = Return(Device, unsigned, PciInfo*);
using GetMigHandle = Return(Device, unsigned, Device*);
using GetEccErrors = Return(Device, unsigned, unsigned, unsigned long long*);
using GetRemappedRows = Return(Device, unsigned*, unsigned*, unsigned*,
                               unsigned*);
using GetProcesses = Return(Device, unsigned*, ProcessInfo*);
using GetFieldValues = Return(Device, int, FieldValue*);
using EventSetCreate = Return(EventSet*);
using RegisterEvents = Return(Device, unsigned long long, EventSet);
using EventSetWait = Return(EventSet, EventData*, unsigned);
using EventSetFree = Return(EventSet);

static_assert(sizeof(PciInfo) == 68 && offsetof(PciInfo, bus_id) == 36);
static_assert(sizeof(Attributes) == 40 && sizeof(ProcessInfo) == 24);
static_assert(sizeof(FieldValue) == 40 && offsetof(FieldValue, value) == 32);
static_assert(sizeof(EventData) == 32 && sizeof(Utilization) == 8);

}  // namespace reeve::gpu::nvml

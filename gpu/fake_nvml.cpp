// A driver's library for tests. REEVE_FAKE_NVML_SCRIPT names a text file that
// describes the machine; it is read again whenever it changes. Its lines:
//
//   driver 570.1.2           cuda 13000          init 9 (an error of its start)
//   device KEY=VALUE ...     the next device; every number it is asked for by
//                            name (uuid, model, memory, minor, pci, power, ...)
//   lost INDEX               its handle is refused
//   fail ENTRY INDEX ERROR   that entry point refuses; * for every device
//   hang ENTRY [INDEX]       that entry point waits until the script says no
//                            more of it; without INDEX for every device
//   nvlink A B COUNT         direct links between two devices
//   switch A COUNT           links of a device to NVLink switches
//   ancestor A B LEVEL       the PCIe connection of two devices
//   mig INDEX KEY=VALUE ...  an instance on a device with mig=1
//   process INDEX PID BYTES  mps_process INDEX PID BYTES (a client of MPS)
//                            graphics_process INDEX PID BYTES
//   xid INDEX CODE           told once, when the script is read
//
// What is set (power_set, app_clock, app_memory_clock) is added to the file of
// that name with ".calls" behind it, "ENTRY INDEX VALUE...", and told to the
// same thread from then on.
#include <sys/stat.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gpu/nvml_abi.hpp"

using reeve::gpu::nvml::Device;
using reeve::gpu::nvml::Return;
namespace nvml = reeve::gpu::nvml;

namespace {

constexpr Return unknown_error = 999;
constexpr Return not_found = 6;
constexpr Return not_supported = 3;

struct Values {
  std::map<std::string, std::string> texts;

  std::string text(const char* key, const std::string& otherwise) const {
    const auto at = texts.find(key);
    return at == texts.end() ? otherwise : at->second;
  }
  bool number(const char* key, unsigned long long& value) const {
    const auto at = texts.find(key);
    if (at == texts.end()) return false;
    std::from_chars(at->second.data(), at->second.data() + at->second.size(),
                    value);
    return true;
  }
};

struct Gpu {
  Values values;
  bool lost = false;
  std::vector<unsigned> links;  // the device at the other end; a switch: ~0u
  std::vector<Values> mig;
  std::vector<nvml::ProcessInfo> processes;
  std::vector<nvml::ProcessInfo> mps_processes;
  std::vector<nvml::ProcessInfo> graphics_processes;
};

struct Machine {
  std::string driver = "570.1.2";
  int cuda = 13000;
  Return init = 0;
  std::vector<Gpu> gpus;
  std::map<std::pair<unsigned, unsigned>, unsigned> ancestors;
  std::map<std::pair<std::string, std::string>, Return> failures;
  std::set<std::pair<std::string, std::string>> hanging;
  std::deque<nvml::EventData> events;
};

// Each thread reads the script for itself: they ask at the same time.
thread_local Machine machine;
std::atomic<int> users = 0;

// Devices are numbers from 1; instances of device i follow from 1000 i.
Device handle_of(unsigned long long number) {
  return reinterpret_cast<Device>(static_cast<std::uintptr_t>(number));
}

void read_values(std::istringstream& words, Values& values) {
  std::string word;
  while (words >> word) {
    const auto at = word.find('=');
    std::string value = word.substr(at + 1);
    for (char& c : value)
      if (c == '_') c = ' ';
    values.texts[word.substr(0, at)] = value;
  }
}

void read_line(const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  if (!(words >> kind) || kind[0] == '#') return;
  unsigned index = 0;
  unsigned other = 0;
  unsigned count = 0;
  if (kind == "driver") {
    words >> machine.driver;
  } else if (kind == "cuda") {
    words >> machine.cuda;
  } else if (kind == "init") {
    words >> machine.init;
  } else if (kind == "device") {
    read_values(words, machine.gpus.emplace_back().values);
  } else if (kind == "fail") {
    std::string entry;
    std::string device;
    Return error = 0;
    words >> entry >> device >> error;
    machine.failures[{entry, device}] = error;
  } else if (kind == "hang") {
    std::string entry;
    std::string device = "*";
    words >> entry >> device;
    machine.hanging.insert({entry, device.empty() ? "*" : device});
  } else if (words >> index; index >= machine.gpus.size()) {
    std::fprintf(stderr, "fake NVML: no such device: %s\n", line.c_str());
    std::abort();
  } else if (kind == "lost") {
    machine.gpus[index].lost = true;
  } else if (kind == "nvlink" && words >> other >> count) {
    machine.gpus[index].links.insert(machine.gpus[index].links.end(), count,
                                     other);
    machine.gpus.at(other).links.insert(machine.gpus[other].links.end(), count,
                                        index);
  } else if (kind == "switch" && words >> count) {
    machine.gpus[index].links.insert(machine.gpus[index].links.end(), count,
                                     ~0u);
  } else if (kind == "ancestor" && words >> other >> count) {
    machine.ancestors[{index, other}] = machine.ancestors[{other, index}] =
        count;
  } else if (kind == "mig") {
    read_values(words, machine.gpus[index].mig.emplace_back());
  } else if (kind == "process" || kind == "mps_process" ||
             kind == "graphics_process") {
    Gpu& gpu = machine.gpus[index];
    auto& list = kind == "process"       ? gpu.processes
                 : kind == "mps_process" ? gpu.mps_processes
                                         : gpu.graphics_processes;
    auto& process = list.emplace_back();
    words >> process.pid >> process.memory_bytes;
  } else if (kind == "xid") {
    nvml::EventData event{handle_of(index + 1), nvml::event_xid, 0, ~0u, ~0u};
    words >> event.data;
    machine.events.push_back(event);
  } else {
    std::fprintf(stderr, "fake NVML: not understood: %s\n", line.c_str());
    std::abort();
  }
}

void look() {
  thread_local struct stat last {};
  const char* path = std::getenv("REEVE_FAKE_NVML_SCRIPT");
  struct stat now {};
  if (!path || ::stat(path, &now) != 0) return;
  if (now.st_ino == last.st_ino && now.st_size == last.st_size &&
      now.st_mtim.tv_nsec == last.st_mtim.tv_nsec)
    return;
  last = now;
  machine = Machine();
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) read_line(line);
}

unsigned index_of(Device device) {
  const auto number = reinterpret_cast<std::uintptr_t>(device);
  return static_cast<unsigned>(number >= 1000 ? number / 1000 - 1 : number - 1);
}

const Values* instance_of(Device device) {
  const auto number = reinterpret_cast<std::uintptr_t>(device);
  return number >= 1000 ? &machine.gpus[index_of(device)].mig[number % 1000]
                        : nullptr;
}

const Values& values_of(Device device) {
  const Values* part = instance_of(device);
  return part ? *part : machine.gpus[index_of(device)].values;
}

bool hangs(const char* entry, Device device) {
  const auto index = std::to_string(device ? index_of(device) : 0);
  return machine.hanging.count({entry, "*"}) != 0 ||
         machine.hanging.count({entry, index}) != 0;
}

// What the script says of an entry point before it is answered.
Return refusal(const char* entry, Device device) {
  look();
  while (hangs(entry, device)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    look();
  }
  if (device && index_of(device) >= machine.gpus.size())
    return nvml::gpu_is_lost;
  if (device && machine.gpus[index_of(device)].lost) return nvml::gpu_is_lost;
  for (const std::string& who :
       {std::string("*"), std::to_string(device ? index_of(device) : 0)}) {
    const auto at = machine.failures.find({entry, who});
    if (at != machine.failures.end()) return at->second;
  }
  return 0;
}

template <class Number>
Return number(const char* entry, Device device, const char* key,
              Number* value) {
  if (const Return no = refusal(entry, device)) return no;
  unsigned long long found = 0;
  if (!values_of(device).number(key, found)) return not_supported;
  *value = static_cast<Number>(found);
  return 0;
}

// The value stays until the script changes.
Return set(const char* entry, Device device,
           const std::vector<std::pair<const char*, unsigned>>& values) {
  if (const Return no = refusal(entry, device)) return no;
  const char* path = std::getenv("REEVE_FAKE_NVML_SCRIPT");
  std::ofstream calls(std::string(path ? path : "/dev/null") + ".calls",
                      std::ios::app);
  calls << entry << ' ' << index_of(device);
  for (const auto& [key, value] : values) {
    machine.gpus[index_of(device)].values.texts[key] = std::to_string(value);
    calls << ' ' << value;
  }
  calls << std::endl;
  return 0;
}

template <class Number>
Return pair(const char* entry, Device device, const char* first_key,
            const char* second_key, Number* first, Number* second) {
  if (const Return no = number(entry, device, first_key, first)) return no;
  if (number(entry, device, second_key, second) != 0) *second = *first;
  return 0;
}

Return text(const char* entry, Device device, const std::string& value,
            char* to, unsigned size) {
  if (const Return no = refusal(entry, device)) return no;
  std::snprintf(to, size, "%s", value.c_str());
  return 0;
}

std::string bus_of(unsigned index) {
  char made[32];
  std::snprintf(made, sizeof made, "00000000:%02X:00.0", 0x1A + index);
  return machine.gpus[index].values.text("pci", made);
}

nvml::PciInfo pci_of(unsigned index) {
  nvml::PciInfo info{};
  std::snprintf(info.bus_id, sizeof info.bus_id, "%s", bus_of(index).c_str());
  return info;
}

// Those of one kind on a device.
Return list(const char* entry, Device device,
            std::vector<nvml::ProcessInfo> Gpu::*kind, unsigned* count,
            nvml::ProcessInfo* to) {
  if (const Return no = refusal(entry, device)) return no;
  const auto& processes = machine.gpus[index_of(device)].*kind;
  const auto room = *count;
  *count = static_cast<unsigned>(processes.size());
  if (room < processes.size()) return nvml::insufficient_size;
  std::copy(processes.begin(), processes.end(), to);
  return 0;
}

}  // namespace

#define NUMBER(entry, key)                    \
  Return entry(Device device, unsigned* to) { \
    return number(#entry, device, key, to);   \
  }
#define LARGE(entry, key)                               \
  Return entry(Device device, unsigned long long* to) { \
    return number(#entry, device, key, to);             \
  }
#define PAIR(entry, first_key, second_key)                            \
  Return entry(Device device, unsigned* first, unsigned* other) {     \
    return pair(#entry, device, first_key, second_key, first, other); \
  }

extern "C" {

Return nvmlInit_v2() {
  look();
  if (machine.init == 0) ++users;
  return machine.init;
}

Return nvmlShutdown() {
  return --users >= 0 ? 0 : unknown_error;
}

const char* nvmlErrorString(Return result) {
  if (result == nvml::gpu_is_lost) return "GPU is lost";
  return result == 9 ? "Driver Not Loaded" : "Unknown Error";
}

Return nvmlSystemGetDriverVersion(char* to, unsigned size) {
  return text("nvmlSystemGetDriverVersion", nullptr, machine.driver, to, size);
}

Return nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = machine.cuda;
  return refusal("nvmlSystemGetCudaDriverVersion_v2", nullptr);
}

Return nvmlDeviceGetCount_v2(unsigned* count) {
  if (const Return no = refusal("nvmlDeviceGetCount_v2", nullptr)) return no;
  *count = static_cast<unsigned>(machine.gpus.size());
  return 0;
}

Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  *device = handle_of(index + 1);
  return refusal("nvmlDeviceGetHandleByIndex_v2", *device);
}

Return nvmlDeviceGetUUID(Device device, char* to, unsigned size) {
  if (const Return no = refusal("nvmlDeviceGetUUID", device)) return no;
  char made[32];
  std::snprintf(made, sizeof made, "GPU-%08u", index_of(device));
  return text("", device, values_of(device).text("uuid", made), to, size);
}

Return nvmlDeviceGetName(Device device, char* to, unsigned size) {
  if (const Return no = refusal("nvmlDeviceGetName", device)) return no;
  std::string name =
      machine.gpus[index_of(device)].values.text("model", "NVIDIA Fake");
  if (const Values* part = instance_of(device))
    name += " MIG " + part->text("profile", "1g.10gb");
  return text("", device, name, to, size);
}

Return nvmlDeviceGetMemoryInfo(Device device, nvml::Memory* memory) {
  if (const Return no = refusal("nvmlDeviceGetMemoryInfo", device)) return no;
  memory->total = 80ull << 30;
  values_of(device).number("memory", memory->total);
  memory->used = 1ull << 30;
  values_of(device).number("used", memory->used);
  memory->free = memory->total - memory->used;
  return 0;
}

// The numbers of device files need not be those of the library.
Return nvmlDeviceGetMinorNumber(Device device, unsigned* minor) {
  if (const Return no = refusal("nvmlDeviceGetMinorNumber", device)) return no;
  unsigned long long value = 63 - index_of(device);
  values_of(device).number("minor", value);
  *minor = static_cast<unsigned>(value);
  return 0;
}

Return nvmlDeviceGetPciInfo_v3(Device device, nvml::PciInfo* info) {
  if (const Return no = refusal("nvmlDeviceGetPciInfo_v3", device)) return no;
  *info = pci_of(index_of(device));
  return 0;
}

PAIR(nvmlDeviceGetMigMode, "mig", "mig_pending")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power_limit")
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, "power_default")
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, "power_min", "power_max")
PAIR(nvmlDeviceGetEccMode, "ecc", "ecc_pending")
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_gen_max")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_gen")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
NUMBER(nvmlDeviceGetPowerUsage, "power")
LARGE(nvmlDeviceGetTotalEnergyConsumption, "energy")
LARGE(nvmlDeviceGetCurrentClocksEventReasons, "throttle")
LARGE(nvmlDeviceGetCurrentClocksThrottleReasons, "throttle")
NUMBER(nvmlDeviceGetGpuInstanceId, "gi")
NUMBER(nvmlDeviceGetComputeInstanceId, "ci")

Return nvmlDeviceGetCudaComputeCapability(Device device, int* major,
                                          int* minor) {
  return pair("nvmlDeviceGetCudaComputeCapability", device, "major",
              "minor_capability", major, minor);
}

Return nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned* count) {
  *count = 7;
  return refusal("nvmlDeviceGetMaxMigDeviceCount", device);
}

Return nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned slot,
                                           Device* part) {
  if (const Return no = refusal("nvmlDeviceGetMigDeviceHandleByIndex", device))
    return no;
  const unsigned index = index_of(device);
  if (slot >= machine.gpus[index].mig.size()) return not_found;
  *part = handle_of((index + 1) * 1000ull + slot);
  return 0;
}

Return nvmlDeviceGetAttributes_v2(Device device, nvml::Attributes* to) {
  if (const Return no = refusal("nvmlDeviceGetAttributes_v2", device))
    return no;
  unsigned long long value = 0;
  if (values_of(device).number("sms", value))
    to->multiprocessors = static_cast<unsigned>(value);
  values_of(device).number("memory_mib", to->memory_mib);
  return 0;
}

Return nvmlDeviceGetMaxClockInfo(Device device, unsigned type, unsigned* to) {
  return number("nvmlDeviceGetMaxClockInfo", device,
                type == nvml::clock_sm ? "sm_clock_max" : "memory_clock_max",
                to);
}

Return nvmlDeviceGetClockInfo(Device device, unsigned type, unsigned* to) {
  return number("nvmlDeviceGetClockInfo", device,
                type == nvml::clock_sm ? "sm_clock" : "memory_clock", to);
}

Return nvmlDeviceGetTemperature(Device device, unsigned, unsigned* to) {
  return number("nvmlDeviceGetTemperature", device, "temperature", to);
}

Return nvmlDeviceGetPcieThroughput(Device device, unsigned way, unsigned* to) {
  return number("nvmlDeviceGetPcieThroughput", device,
                way == nvml::pcie_sent ? "pcie_tx" : "pcie_rx", to);
}

Return nvmlDeviceGetTopologyCommonAncestor(Device one, Device other,
                                           unsigned* level) {
  if (const Return no = refusal("nvmlDeviceGetTopologyCommonAncestor", one))
    return no;
  const auto at = machine.ancestors.find({index_of(one), index_of(other)});
  *level = at == machine.ancestors.end() ? unsigned{nvml::ancestor_system}
                                         : at->second;
  return 0;
}

Return nvmlDeviceGetNvLinkState(Device device, unsigned link, unsigned* on) {
  if (const Return no = refusal("nvmlDeviceGetNvLinkState", device)) return no;
  const auto& links = machine.gpus[index_of(device)].links;
  if (links.empty()) return not_supported;
  *on = link < links.size();
  return 0;
}

Return nvmlDeviceGetNvLinkRemoteDeviceType(Device device, unsigned link,
                                           unsigned* type) {
  if (const Return no = refusal("nvmlDeviceGetNvLinkRemoteDeviceType", device))
    return no;
  const bool switched = machine.gpus[index_of(device)].links.at(link) == ~0u;
  *type = switched ? nvml::remote_is_switch : 0;
  return 0;
}

Return nvmlDeviceGetNvLinkRemotePciInfo_v2(Device device, unsigned link,
                                           nvml::PciInfo* info) {
  if (const Return no = refusal("nvmlDeviceGetNvLinkRemotePciInfo_v2", device))
    return no;
  *info = pci_of(machine.gpus[index_of(device)].links.at(link));
  return 0;
}

Return nvmlDeviceGetUtilizationRates(Device device, nvml::Utilization* to) {
  return pair("nvmlDeviceGetUtilizationRates", device, "gpu", "mem", &to->gpu,
              &to->memory);
}

Return nvmlDeviceGetTotalEccErrors(Device device, unsigned kind, unsigned span,
                                   unsigned long long* to) {
  static const char* const keys[] = {"ecc_corrected", "ecc_corrected_ever",
                                     "ecc_uncorrected", "ecc_uncorrected_ever"};
  return number("nvmlDeviceGetTotalEccErrors", device, keys[kind * 2 + span],
                to);
}

Return nvmlDeviceGetRemappedRows(Device device, unsigned* corrected,
                                 unsigned* uncorrected, unsigned* pending,
                                 unsigned* failed) {
  const char* entry = "nvmlDeviceGetRemappedRows";
  *pending = *failed = 0;
  number(entry, device, "remap_pending", pending);
  number(entry, device, "remap_failed", failed);
  return pair(entry, device, "rows_corrected", "rows_uncorrected", corrected,
              uncorrected);
}

Return nvmlDeviceGetFieldValues(Device device, int count,
                                nvml::FieldValue* fields) {
  if (const Return no = refusal("nvmlDeviceGetFieldValues", device)) return no;
  for (int i = 0; i < count; ++i) {
    const char* key =
        fields[i].field == nvml::field_memory_temperature ? "memory_temperature"
        : fields[i].field == nvml::field_nvlink_sent_kib  ? "nvlink_tx"
                                                          : "nvlink_rx";
    const bool small = fields[i].field == nvml::field_memory_temperature;
    fields[i].type = small ? nvml::type_unsigned : 3;
    fields[i].value.large = 0;
    fields[i].result = small ? number("", device, key, &fields[i].value.number)
                             : number("", device, key, &fields[i].value.large);
  }
  return 0;
}

Return nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* count,
                                               nvml::ProcessInfo* to) {
  return list("nvmlDeviceGetComputeRunningProcesses_v3", device,
              &Gpu::processes, count, to);
}

Return nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned* count,
                                                nvml::ProcessInfo* to) {
  return list("nvmlDeviceGetGraphicsRunningProcesses_v3", device,
              &Gpu::graphics_processes, count, to);
}

Return nvmlDeviceGetMPSComputeRunningProcesses_v3(Device device,
                                                  unsigned* count,
                                                  nvml::ProcessInfo* to) {
  return list("nvmlDeviceGetMPSComputeRunningProcesses_v3", device,
              &Gpu::mps_processes, count, to);
}

NUMBER(nvmlDeviceGetPowerManagementLimit, "power_set")

Return nvmlDeviceSetPowerManagementLimit(Device device, unsigned limit) {
  return set("nvmlDeviceSetPowerManagementLimit", device,
             {{"power_set", limit}});
}

Return nvmlDeviceGetApplicationsClock(Device device, unsigned type,
                                      unsigned* to) {
  return number("nvmlDeviceGetApplicationsClock", device,
                type == nvml::clock_memory ? "app_memory_clock" : "app_clock",
                to);
}

Return nvmlDeviceSetApplicationsClocks(Device device, unsigned memory,
                                       unsigned graphics) {
  return set("nvmlDeviceSetApplicationsClocks", device,
             {{"app_memory_clock", memory}, {"app_clock", graphics}});
}

Return nvmlEventSetCreate(nvml::EventSet* set) {
  *set = reinterpret_cast<nvml::EventSet>(&machine);
  return refusal("nvmlEventSetCreate", nullptr);
}

Return nvmlDeviceRegisterEvents(Device device, unsigned long long,
                                nvml::EventSet) {
  return refusal("nvmlDeviceRegisterEvents", device);
}

Return nvmlEventSetWait_v2(nvml::EventSet, nvml::EventData* event, unsigned) {
  if (const Return no = refusal("nvmlEventSetWait_v2", nullptr)) return no;
  if (machine.events.empty()) return nvml::timeout;
  *event = machine.events.front();
  machine.events.pop_front();
  return 0;
}

Return nvmlEventSetFree(nvml::EventSet) {
  return 0;
}

}  // extern "C"

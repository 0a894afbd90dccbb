#include "gpu/inventory.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <memory>

#include "gpu/nvml_abi.hpp"

namespace reeve::gpu {
namespace {

struct CloseLibrary {
  void operator()(void* library) const { ::dlclose(library); }
};

class Nvml {
 public:
  explicit Nvml(const std::string& path)
      : library_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) {
      const char* why = ::dlerror();
      missing_ = why ? why : path + " cannot be loaded";
      return;
    }
    find(init, "nvmlInit_v2");
    find(shutdown, "nvmlShutdown");
    find(error_string, "nvmlErrorString");
    find(driver_version, "nvmlSystemGetDriverVersion");
    find(count, "nvmlDeviceGetCount_v2");
    find(handle, "nvmlDeviceGetHandleByIndex_v2");
    find(uuid, "nvmlDeviceGetUUID");
    find(name, "nvmlDeviceGetName");
    find(memory, "nvmlDeviceGetMemoryInfo");
    find(minor, "nvmlDeviceGetMinorNumber");
    find(pci, "nvmlDeviceGetPciInfo_v3");
    // Older drivers have none, and no such devices.
    find(mig_mode, "nvmlDeviceGetMigMode", false);
  }

  bool loaded() const { return library_ != nullptr; }
  // What could not be loaded; empty when all is there.
  const std::string& missing() const { return missing_; }

  nvml::Init* init = nullptr;
  nvml::Shutdown* shutdown = nullptr;
  nvml::ErrorString* error_string = nullptr;
  nvml::SystemGetDriverVersion* driver_version = nullptr;
  nvml::DeviceGetCount* count = nullptr;
  nvml::DeviceGetHandleByIndex* handle = nullptr;
  nvml::DeviceGetText* uuid = nullptr;
  nvml::DeviceGetText* name = nullptr;
  nvml::DeviceGetMemoryInfo* memory = nullptr;
  nvml::DeviceGetMinorNumber* minor = nullptr;
  nvml::DeviceGetPciInfo* pci = nullptr;
  nvml::DeviceGetMigMode* mig_mode = nullptr;

 private:
  template <class Function>
  void find(Function*& function, const char* symbol, bool needed = true) {
    function = reinterpret_cast<Function*>(::dlsym(library_.get(), symbol));
    if (!function && needed && missing_.empty())
      missing_ = fmt::format(
          "the driver's library has no {}: the driver is "
          "too old, or the library is not NVIDIA's",
          symbol);
  }

  std::unique_ptr<void, CloseLibrary> library_;
  std::string missing_;
};

// "00000000:1B:00.0" as the kernel writes it: "0000:1b:00.0".
std::string kernel_bus_id(std::string id) {
  const auto colon = id.find(':');
  if (colon != std::string::npos && colon > 4) id.erase(0, colon - 4);
  std::transform(id.begin(), id.end(), id.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return id;
}

std::int16_t numa_node_of(const std::string& pci_devices,
                          const std::string& bus) {
  std::ifstream file(pci_devices + "/" + bus + "/numa_node");
  int node = -1;
  if (!(file >> node) || node < 0 || node > INT16_MAX) return -1;
  return static_cast<std::int16_t>(node);
}

// Reads one device, or says why it is not offered.
class Reader {
 public:
  Reader(const Nvml& nvml, const Sources& sources)
      : nvml_(nvml), sources_(sources) {}

  bool read(unsigned index, Device& device, std::string& problem) {
    nvml::Device handle = nullptr;
    nvml::Memory memory{};
    nvml::PciInfo pci{};
    char uuid[nvml::uuid_bytes] = {};
    char name[nvml::name_bytes] = {};
    const bool good =
        ask(nvml_.handle(index, &handle), "its handle") &&
        ask(nvml_.uuid(handle, uuid, sizeof uuid), "its uuid") &&
        ask(nvml_.name(handle, name, sizeof name), "its model") &&
        ask(nvml_.memory(handle, &memory), "its memory") &&
        ask(nvml_.minor(handle, &device.minor), "its device file") &&
        ask(nvml_.pci(handle, &pci), "its place on the bus");
    if (!good) {
      problem = fmt::format(
          "GPU {} is not offered: the driver does not tell "
          "{} ({}); look at its Xid errors in the kernel log",
          index, failed_, nvml_.error_string(why_));
      return false;
    }
    pci.bus_id[sizeof pci.bus_id - 1] = '\0';
    device.uuid.assign(uuid, ::strnlen(uuid, sizeof uuid));
    device.model.assign(name, ::strnlen(name, sizeof name));
    device.memory_bytes = memory.total;
    device.pci_bus = kernel_bus_id(pci.bus_id);
    device.numa_node = numa_node_of(sources_.pci_devices, device.pci_bus);
    if (!in_mig_mode(handle)) return true;
    problem = fmt::format(
        "GPU {} ({}, {}) is not offered: it is in MIG mode; "
        "turn that off to offer it as a whole (nvidia-smi "
        "-i {} -mig 0)",
        index, device.model, device.uuid, index);
    return false;
  }

 private:
  bool ask(nvml::Return result, const char* what) {
    if (result == nvml::success) return true;
    why_ = result;
    failed_ = what;
    return false;
  }

  bool in_mig_mode(nvml::Device handle) const {
    unsigned now = 0;
    unsigned after_reset = 0;
    return nvml_.mig_mode &&
           nvml_.mig_mode(handle, &now, &after_reset) == nvml::success &&
           now != 0;
  }

  const Nvml& nvml_;
  const Sources& sources_;
  nvml::Return why_ = nvml::success;
  const char* failed_ = "";
};

void read_devices(const Nvml& nvml, const Sources& sources,
                  Inventory& inventory) {
  char version[nvml::version_bytes] = {};
  if (nvml.driver_version(version, sizeof version) == nvml::success)
    inventory.driver_version.assign(version,
                                    ::strnlen(version, sizeof version));
  unsigned count = 0;
  if (const auto result = nvml.count(&count); result != nvml::success) {
    inventory.why_none = fmt::format(
        "the GPU driver does not count its "
        "devices: {}",
        nvml.error_string(result));
    inventory.problems.push_back(inventory.why_none);
    return;
  }
  for (unsigned index = 0; index < count; ++index) {
    Device device;
    std::string problem;
    if (Reader(nvml, sources).read(index, device, problem)) {
      inventory.devices.push_back(std::move(device));
    } else {
      inventory.problems.push_back(std::move(problem));
    }
  }
  if (!inventory.devices.empty()) return;
  inventory.why_none =
      count == 0 ? "the GPU driver is loaded but sees no device"
                 : fmt::format("none of the {} GPUs can be offered", count);
}

}  // namespace

Inventory read_inventory(const Sources& sources) {
  Inventory inventory;
  const Nvml nvml(sources.library);
  if (!nvml.missing().empty()) {
    inventory.why_none = nvml.loaded()
                             ? nvml.missing()
                             : fmt::format("no GPU driver: {}", nvml.missing());
    if (nvml.loaded()) inventory.problems.push_back(inventory.why_none);
    return inventory;
  }
  if (const auto result = nvml.init(); result != nvml::success) {
    inventory.why_none = fmt::format("the GPU driver does not answer: {}",
                                     nvml.error_string(result));
    // A library without its driver is an image made for other hosts.
    if (result != nvml::driver_not_loaded)
      inventory.problems.push_back(inventory.why_none);
    return inventory;
  }
  read_devices(nvml, sources, inventory);
  nvml.shutdown();
  return inventory;
}

}  // namespace reeve::gpu

#include "gpu/inventory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <map>

#include "gpu/nvml.hpp"

namespace reeve::gpu {
namespace {

std::int16_t numa_node_of(const std::string& pci_devices,
                          const std::string& bus) {
  std::ifstream file(pci_devices + "/" + bus + "/numa_node");
  int node = -1;
  if (!(file >> node) || node < 0 || node > INT16_MAX) return -1;
  return static_cast<std::int16_t>(node);
}

template <std::size_t Size>
std::string text_of(const char (&text)[Size]) {
  return {text, ::strnlen(text, Size)};
}

// The device file of one capability of the driver; empty: there is none.
std::string capability_file(const std::string& path) {
  constexpr std::string_view key = "DeviceFileMinor:";
  std::ifstream file(path);
  for (std::string word; file >> word;)
    if (unsigned minor = 0; word == key && file >> minor)
      return fmt::format("/dev/nvidia-caps/nvidia-cap{}", minor);
  return "";
}

// Those of the GPU instance and of the compute instance in it.
std::vector<std::string> capability_files(const std::string& capabilities,
                                          std::uint32_t minor,
                                          const MigInstance& instance) {
  const std::string gpu_instance = fmt::format(
      "{}/gpu{}/mig/gi{}", capabilities, minor, instance.gpu_instance);
  std::string outer = capability_file(gpu_instance + "/access");
  std::string inner = capability_file(
      fmt::format("{}/ci{}/access", gpu_instance, instance.compute_instance));
  if (outer.empty() || inner.empty()) return {};
  return {std::move(outer), std::move(inner)};
}

// What follows " MIG " in "NVIDIA H100 80GB HBM3 MIG 1g.10gb".
std::string profile_in(const std::string& name) {
  const auto at = name.rfind(" MIG ");
  return at == std::string::npos ? "" : name.substr(at + 5);
}

// How many can be used in the GPU instance of this one. What the driver does
// not tell is 0 in all, but then they have no files.
std::ptrdiff_t beside(const Device& device, const MigInstance& part) {
  return std::count_if(device.mig.begin(), device.mig.end(),
                       [&](const MigInstance& other) {
                         return !part.files.empty() && !other.files.empty() &&
                                other.gpu_instance == part.gpu_instance;
                       });
}

// Reads one device, or says why it cannot be offered.
class Reader {
 public:
  Reader(const Nvml& nvml, const Sources& sources)
      : nvml_(nvml), sources_(sources) {}

  bool read(unsigned index, Device& device, std::string& problem) {
    nvml::Memory memory{};
    nvml::PciInfo pci{};
    char uuid[nvml::uuid_bytes] = {};
    char name[nvml::name_bytes] = {};
    const bool good =
        ask(nvml_.handle(index, &handle_), "its handle") &&
        ask(nvml_.uuid(handle_, uuid, sizeof uuid), "its uuid") &&
        ask(nvml_.name(handle_, name, sizeof name), "its model") &&
        ask(nvml_.memory(handle_, &memory), "its memory") &&
        ask(nvml_.minor(handle_, &device.minor), "its device file") &&
        ask(nvml_.pci(handle_, &pci), "its place on the bus");
    if (!good) {
      problem = fmt::format(
          "GPU {} is not offered: the driver does not tell "
          "{} ({}); look at its Xid errors in the kernel log",
          index, failed_, nvml_.error(why_));
      return false;
    }
    device.uuid = text_of(uuid);
    device.model = text_of(name);
    device.memory_bytes = memory.total;
    device.pci_bus = kernel_bus_id(text_of(pci.bus_id));
    device.numa_node = numa_node_of(sources_.pci_devices, device.pci_bus);
    read_make(device);
    read_limits(device);
    read_mig(device);
    return true;
  }

  nvml::Device handle() const { return handle_; }

  LinkEnds link_ends(const Device& device) const {
    LinkEnds ends{device.pci_bus, {}};
    for (unsigned link = 0; link < nvml::nvlinks_max; ++link) {
      if (told(nvml_.link_state, 0u, handle_, link) == 0) continue;
      nvml::PciInfo remote{};
      const bool on_switch = told(nvml_.link_remote_type, 0u, handle_, link) ==
                             nvml::remote_is_switch;
      if (!on_switch &&
          (!nvml_.link_remote_pci ||
           nvml_.link_remote_pci(handle_, link, &remote) != nvml::success))
        continue;
      ends.remotes.push_back(on_switch ? ""
                                       : kernel_bus_id(text_of(remote.bus_id)));
    }
    return ends;
  }

 private:
  bool ask(nvml::Return result, const char* what) {
    if (result == nvml::success) return true;
    why_ = result;
    failed_ = what;
    return false;
  }

  unsigned number(nvml::DeviceNumber* function) const {
    return told(function, 0u, handle_);
  }

  bool pair(nvml::DevicePair* function, unsigned& first,
            unsigned& second) const {
    return function && function(handle_, &first, &second) == nvml::success;
  }

  void read_make(Device& device) const {
    int major = 0;
    int minor = 0;
    if (nvml_.compute_capability &&
        nvml_.compute_capability(handle_, &major, &minor) == nvml::success) {
      device.compute_major = static_cast<std::uint32_t>(major);
      device.compute_minor = static_cast<std::uint32_t>(minor);
    }
    unsigned now = 0;
    unsigned later = 0;
    if (pair(nvml_.ecc_mode, now, later)) {
      device.ecc = now ? Ecc::on : Ecc::off;
      device.ecc_after_reset = later ? Ecc::on : Ecc::off;
    }
  }

  void read_limits(Device& device) const {
    device.power_limit_mw = number(nvml_.power_limit);
    device.power_limit_default_mw = number(nvml_.power_limit_default);
    unsigned lowest = 0;
    unsigned highest = 0;
    if (pair(nvml_.power_limit_range, lowest, highest)) {
      device.power_limit_lowest_mw = lowest;
      device.power_limit_highest_mw = highest;
    }
    device.sm_clock_highest_mhz =
        told(nvml_.clock_max, 0u, handle_, unsigned{nvml::clock_sm});
    device.memory_clock_highest_mhz =
        told(nvml_.clock_max, 0u, handle_, unsigned{nvml::clock_memory});
    device.pcie_generation_highest = number(nvml_.pcie_generation_max);
    device.pcie_width_highest = number(nvml_.pcie_width_max);
  }

  void read_mig(Device& device) const {
    unsigned now = 0;
    unsigned later = 0;
    if (!pair(nvml_.mig_mode, now, later)) return;
    device.mig_mode = now != 0;
    device.mig_mode_after_reset = later != 0;
    if (!device.mig_mode) return;
    const unsigned slots = number(nvml_.mig_count_max);
    for (unsigned slot = 0; slot < slots; ++slot) {
      const auto part =
          told(nvml_.mig_handle, nvml::Device{nullptr}, handle_, slot);
      if (part) read_instance(part, device);
    }
    for (MigInstance& part : device.mig)
      part.shares_memory = beside(device, part) > 1;
  }

  void read_instance(nvml::Device part, Device& device) const {
    char uuid[nvml::uuid_bytes] = {};
    char name[nvml::name_bytes] = {};
    if (nvml_.uuid(part, uuid, sizeof uuid) != nvml::success) return;
    MigInstance instance;
    instance.uuid = text_of(uuid);
    if (nvml_.name(part, name, sizeof name) == nvml::success)
      instance.profile = profile_in(text_of(name));
    instance.gpu_instance = told(nvml_.gpu_instance, 0u, part);
    instance.compute_instance = told(nvml_.compute_instance, 0u, part);
    const auto size = told(nvml_.attributes, nvml::Attributes{}, part);
    instance.multiprocessors = size.multiprocessors;
    instance.memory_bytes = size.memory_mib << 20;
    instance.files =
        capability_files(sources_.capabilities, device.minor, instance);
    device.mig.push_back(std::move(instance));
  }

  const Nvml& nvml_;
  const Sources& sources_;
  nvml::Device handle_ = nullptr;
  nvml::Return why_ = nvml::success;
  const char* failed_ = "";
};

Way way_of(unsigned ancestor) {
  switch (ancestor) {
    case nvml::ancestor_internal: return Way::board;
    case nvml::ancestor_switch: return Way::pcie_switch;
    case nvml::ancestor_switches: return Way::pcie_switches;
    case nvml::ancestor_host_bridge: return Way::host_bridge;
    case nvml::ancestor_node: return Way::numa_node;
    case nvml::ancestor_system: return Way::system;
    default: return Way::unknown;
  }
}

struct Found {
  nvml::Device handle;
  LinkEnds ends;
};

Connection connection_of(const Nvml& nvml, const Found& from, const Found& to) {
  if (const auto links = nvlinks_between(from.ends, to.ends); links != 0)
    return {Way::nvlink, links};
  return {way_of(told(nvml.common_ancestor, ~0u, from.handle, to.handle)), 0};
}

void connect(const Nvml& nvml, const std::vector<Found>& found,
             Inventory& inventory) {
  for (const Found& from : found) {
    auto& row = inventory.connections.emplace_back();
    for (const Found& to : found)
      row.push_back(&from == &to ? Connection{Way::self, 0}
                                 : connection_of(nvml, from, to));
  }
}

// A sentence for each of its GPU instances with several compute instances.
void find_joint_problems(unsigned index, const Device& device,
                         std::vector<std::string>& problems) {
  std::map<std::uint32_t, std::size_t> joint;
  for (const MigInstance& part : device.mig)
    if (part.shares_memory) ++joint[part.gpu_instance];
  for (const auto& [instance, count] : joint)
    problems.push_back(fmt::format(
        "GPU instance {1} of GPU {0} is not offered: its {2} compute instances "
        "share one memory; make one of them (nvidia-smi mig -i {0} -gi {1} "
        "-dci, then -cci)",
        index, instance, count));
}

// What keeps a device in MIG mode, or parts of it, from being used.
void find_cut_problems(unsigned index, const Device& device,
                       std::vector<std::string>& problems) {
  if (device.mig.empty())
    problems.push_back(fmt::format(
        "GPU {} ({}, {}) is not offered: it is in MIG mode and not cut; cut it "
        "(nvidia-smi mig -i {} -cgi PROFILE -C) or turn that off (nvidia-smi "
        "-i {} -mig 0)",
        index, device.model, device.uuid, index, index));
  find_joint_problems(index, device, problems);
  for (const MigInstance& part : device.mig)
    if (!part.told())
      problems.push_back(fmt::format(
          "MIG instance {} of GPU {} is not offered: the driver does not tell "
          "{}",
          part.uuid, index,
          part.profile.empty()     ? "its profile"
          : part.memory_bytes == 0 ? "its memory"
                                   : "its device files"));
}

bool any_offered(const Inventory& inventory) {
  if (!inventory.devices.empty()) return true;
  for (const Device& device : inventory.cut)
    for (const MigInstance& part : device.mig)
      if (part.offered()) return true;
  return false;
}

void read_versions(const Nvml& nvml, Inventory& inventory) {
  char version[nvml::version_bytes] = {};
  if (nvml.driver_version(version, sizeof version) == nvml::success)
    inventory.driver_version = text_of(version);
  if (const int cuda = told(nvml.cuda_version, 0); cuda > 0)
    inventory.cuda_version =
        fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
}

void read_devices(const Nvml& nvml, const Sources& sources,
                  Inventory& inventory) {
  unsigned count = 0;
  if (const auto result = nvml.count(&count); result != nvml::success) {
    inventory.why_none = fmt::format(
        "the GPU driver does not count its "
        "devices: {}",
        nvml.error(result));
    inventory.problems.push_back(inventory.why_none);
    return;
  }
  std::vector<Found> found;
  for (unsigned index = 0; index < count; ++index) {
    Device device;
    std::string problem;
    Reader reader(nvml, sources);
    if (!reader.read(index, device, problem)) {
      inventory.problems.push_back(std::move(problem));
    } else if (device.mig_mode) {
      find_cut_problems(index, device, inventory.problems);
      inventory.cut.push_back(std::move(device));
    } else {
      LinkEnds ends = reader.link_ends(device);
      device.nvlinks = static_cast<std::uint32_t>(ends.remotes.size());
      found.push_back({reader.handle(), std::move(ends)});
      inventory.devices.push_back(std::move(device));
    }
  }
  connect(nvml, found, inventory);
  if (any_offered(inventory)) return;
  inventory.why_none = count == 0
                           ? "the GPU driver is loaded but sees no device"
                           : fmt::format(
                                 "GPUs that the driver sees: {}; none can be "
                                 "offered",
                                 count);
}

}  // namespace

Inventory read_inventory(const Sources& sources) {
  Inventory inventory;
  Nvml nvml(sources.library);
  if (!nvml.missing().empty()) {
    inventory.why_none = nvml.loaded()
                             ? nvml.missing()
                             : fmt::format("no GPU driver: {}", nvml.missing());
    if (nvml.loaded()) inventory.problems.push_back(inventory.why_none);
    return inventory;
  }
  if (const auto result = nvml.start(); result != nvml::success) {
    inventory.why_none =
        fmt::format("the GPU driver does not answer: {}", nvml.error(result));
    // A library without its driver is an image made for other hosts.
    if (result != nvml::driver_not_loaded)
      inventory.problems.push_back(inventory.why_none);
    return inventory;
  }
  read_versions(nvml, inventory);
  read_devices(nvml, sources, inventory);
  return inventory;
}

}  // namespace reeve::gpu

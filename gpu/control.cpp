#include "gpu/control.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gpu/nvml.hpp"
#include "gpu/telemetry.hpp"

namespace reeve::gpu {
namespace {

// What `ask` writes, if the driver tells it.
template <class Ask>
std::optional<std::uint32_t> asked(Ask&& ask) {
  unsigned value = 0;
  if (ask(&value) != nvml::success) return std::nullopt;
  return value;
}

}  // namespace

class Control::Driver {
 public:
  explicit Driver(const std::string& library) : nvml(library) {}

  // Calls visit(handle, uuid, is_instance) for each, until it says false.
  template <class Visit>
  void each(Visit&& visit) const {
    const unsigned count = told(nvml.count, 0u);
    for (unsigned index = 0; index < count; ++index) {
      const auto device = told(nvml.handle, nvml::Device{}, index);
      if (!device) continue;
      if (!visit(device, uuid_of(device), false)) return;
      const unsigned parts = told(nvml.mig_count_max, 0u, device);
      for (unsigned slot = 0; nvml.mig_handle && slot < parts; ++slot) {
        const auto part = told(nvml.mig_handle, nvml::Device{}, device, slot);
        if (part && !visit(part, uuid_of(part), true)) return;
      }
    }
  }

  struct Found {
    nvml::Device handle = nullptr;
    bool is_instance = false;
  };
  Found find(const std::string& uuid) const {
    Found found;
    each([&](nvml::Device handle, const std::string& known, bool is_instance) {
      if (known != uuid) return true;
      found = {handle, is_instance};
      return false;
    });
    return found;
  }

  // Clients of MPS are asked for apart from the others, and so is graphics. Too
  // many to be listed are the first of them, known by no number.
  std::vector<std::uint32_t> processes(nvml::Device device,
                                       const MayDraw& may_draw) const {
    std::vector<std::uint32_t> pids;
    for (auto* ask :
         {nvml.processes, nvml.mps_processes, nvml.graphics_processes}) {
      std::vector<nvml::ProcessInfo> found(processes_per_device_max);
      auto count = static_cast<unsigned>(found.size());
      const auto result =
          ask ? ask(device, &count, found.data()) : nvml::driver_not_loaded;
      if (result == nvml::insufficient_size)
        count = processes_per_device_max;
      else if (result != nvml::success)
        count = 0;
      found.resize(std::min<std::size_t>(count, found.size()));
      const bool draws = ask == nvml.graphics_processes;
      for (const auto& process : found)
        if (process.pid == 0 ||
            (std::find(pids.begin(), pids.end(), process.pid) == pids.end() &&
             !(draws && may_draw(process.pid))))
          pids.push_back(process.pid);
    }
    return pids;
  }

  std::optional<std::uint32_t> clock(nvml::Device device, unsigned type) const {
    if (!nvml.clock_wanted) return std::nullopt;
    return asked(
        [&](unsigned* to) { return nvml.clock_wanted(device, type, to); });
  }

  Nvml nvml;

 private:
  std::string uuid_of(nvml::Device device) const {
    char uuid[nvml::uuid_bytes] = {};
    if (nvml.uuid(device, uuid, sizeof uuid) != nvml::success) return "";
    return std::string(uuid, ::strnlen(uuid, sizeof uuid));
  }
};

Control::Control(const Sources& sources)
    : driver_(std::make_unique<Driver>(sources.library)) {
  Nvml& nvml = driver_->nvml;
  if (!nvml.missing().empty()) {
    why_none_ = nvml.missing();
  } else if (const auto result = nvml.start(); result != nvml::success) {
    why_none_ =
        fmt::format("the GPU driver does not answer: {}", nvml.error(result));
  }
}

Control::~Control() = default;

std::vector<std::string> Control::uuids() const {
  std::vector<std::string> all;
  if (!why_none_.empty()) return all;
  driver_->each([&](nvml::Device, const std::string& uuid, bool) {
    if (!uuid.empty()) all.push_back(uuid);
    return true;
  });
  return all;
}

std::vector<std::uint32_t> Control::processes(const std::string& uuid,
                                              const MayDraw& may_draw) const {
  if (!why_none_.empty()) return {};
  const auto found = driver_->find(uuid);
  if (!found.handle) return {};
  return driver_->processes(found.handle, may_draw);
}

RowRemaps Control::row_remaps(const std::string& uuid) const {
  RowRemaps rows;
  if (!why_none_.empty()) return rows;
  const auto found = driver_->find(uuid);
  const auto ask = driver_->nvml.remapped_rows;
  if (!found.handle || found.is_instance || !ask) return rows;
  unsigned corrected = 0;
  unsigned uncorrected = 0;
  unsigned pending = 0;
  unsigned failed = 0;
  if (ask(found.handle, &corrected, &uncorrected, &pending, &failed) !=
      nvml::success)
    return rows;
  return {pending != 0, failed != 0};
}

DeviceSettings Control::settings(const std::string& uuid) const {
  DeviceSettings settings;
  if (!why_none_.empty()) return settings;
  const auto found = driver_->find(uuid);
  if (!found.handle || found.is_instance) return settings;
  if (const auto& nvml = driver_->nvml; nvml.power_limit_set)
    settings.power_limit_mw = asked(
        [&](unsigned* to) { return nvml.power_limit_set(found.handle, to); });
  settings.graphics_clock_mhz =
      driver_->clock(found.handle, nvml::clock_graphics);
  settings.memory_clock_mhz = driver_->clock(found.handle, nvml::clock_memory);
  return settings;
}

std::vector<std::string> Control::restore(
    const std::string& uuid, const DeviceSettings& settings) const {
  std::vector<std::string> said;
  const DeviceSettings now = this->settings(uuid);
  const auto say = [&](std::string what, nvml::Return result) {
    said.push_back(result == nvml::success
                       ? fmt::format("{} of {} is put back", what, uuid)
                       : fmt::format("{} of {} was changed and cannot be put "
                                     "back: {}",
                                     what, uuid, driver_->nvml.error(result)));
  };
  if (now == settings) return said;
  const Nvml& nvml = driver_->nvml;
  const auto found = driver_->find(uuid);
  if (settings.power_limit_mw && now.power_limit_mw &&
      settings.power_limit_mw != now.power_limit_mw && nvml.set_power_limit)
    say(fmt::format("the power limit, {} W,", *settings.power_limit_mw / 1000),
        nvml.set_power_limit(found.handle, *settings.power_limit_mw));
  const bool clocks = settings.graphics_clock_mhz && now.graphics_clock_mhz &&
                      settings.memory_clock_mhz && now.memory_clock_mhz;
  if (clocks && nvml.set_clocks_wanted &&
      (settings.graphics_clock_mhz != now.graphics_clock_mhz ||
       settings.memory_clock_mhz != now.memory_clock_mhz))
    say("the pair of clocks",
        nvml.set_clocks_wanted(found.handle, *settings.memory_clock_mhz,
                               *settings.graphics_clock_mhz));
  return said;
}

}  // namespace reeve::gpu

#include "gpu/telemetry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gpu/nvml.hpp"

namespace reeve::gpu {
namespace {

// Asks with a trailing output argument; empty where the driver has no such
// entry point or refuses.
template <class Number, class Function, class... Arguments>
std::optional<Number> maybe(Function* function, Arguments... arguments) {
  Number value{};
  if (!function || function(arguments..., &value) != nvml::success)
    return std::nullopt;
  return value;
}

using Large = unsigned long long;

std::optional<std::uint64_t> kib_per_s(std::optional<unsigned> rate) {
  if (!rate) return std::nullopt;
  return std::uint64_t{*rate} << 10;
}

}  // namespace

std::string_view name(Throttle reason) {
  switch (reason) {
    case Throttle::idle: return "idle";
    case Throttle::setting: return "clock setting";
    case Throttle::power_cap: return "power limit";
    case Throttle::hardware: return "hardware slowdown";
    case Throttle::sync_boost: return "sync boost";
    case Throttle::thermal: return "thermal slowdown";
    case Throttle::hardware_thermal: return "hardware thermal slowdown";
    case Throttle::power_brake: return "power brake";
    case Throttle::display: return "display clocks";
  }
  return "unknown";
}

class Telemetry::Driver {
 public:
  explicit Driver(const std::string& library) : nvml(library) {}
  ~Driver() {
    if (events_ && nvml.event_set_free) nvml.event_set_free(events_);
  }

  // After nvml.start().
  void watch() {
    if (!nvml.event_set_create || !nvml.register_events ||
        !nvml.event_set_wait || nvml.event_set_create(&events_) != 0) {
      events_ = nullptr;
      return;
    }
    const unsigned count = told(nvml.count, 0u);
    for (unsigned index = 0; index < count; ++index)
      if (const auto device = told(nvml.handle, nvml::Device{}, index))
        nvml.register_events(device, nvml::event_xid, events_);
  }

  Sample read(unsigned index, Depth depth) {
    Sample sample;
    nvml::Device device = nullptr;
    char uuid[nvml::uuid_bytes] = {};
    auto result = nvml.handle(index, &device);
    if (result == nvml::success) result = nvml.uuid(device, uuid, sizeof uuid);
    if (known_.size() <= index) known_.resize(index + 1);
    if (result != nvml::success) {
      sample.uuid = known_[index].uuid;
      sample.lost =
          fmt::format("GPU {} does not answer: {}", index, nvml.error(result));
      return sample;
    }
    sample.uuid.assign(uuid, ::strnlen(uuid, sizeof uuid));
    known_[index] = {device, sample.uuid};
    read_load(device, sample);
    if (depth == Depth::load) return sample;
    read_links(device, depth, sample);
    read_health(device, sample);
    read_processes(device, sample);
    return sample;
  }

  // Waits for nothing. Of a device that does not answer any more, too: that it
  // is lost comes as an Xid error.
  void add_xids(std::vector<Sample>& samples) {
    if (!events_) return;
    for (unsigned left = xids_per_sample_max; left > 0; --left) {
      nvml::EventData event{};
      if (nvml.event_set_wait(events_, &event, 0) != nvml::success) return;
      if (event.type != nvml::event_xid) continue;
      for (std::size_t index = 0; index < samples.size(); ++index)
        if (known_[index].handle == event.device)
          samples[index].xids.push_back(event.data);
    }
  }

  Nvml nvml;

 private:
  void read_load(nvml::Device device, Sample& sample) const {
    if (const auto use = maybe<nvml::Utilization>(nvml.utilization, device)) {
      sample.gpu_percent = use->gpu;
      sample.memory_percent = use->memory;
    }
    if (const auto memory = maybe<nvml::Memory>(nvml.memory, device)) {
      sample.memory_used_bytes = memory->used;
      sample.memory_total_bytes = memory->total;
    }
    sample.power_mw = maybe<unsigned>(nvml.power, device);
    sample.temperature_c = maybe<unsigned>(nvml.temperature, device, 0u);
    sample.sm_clock_mhz =
        maybe<unsigned>(nvml.clock, device, unsigned{nvml::clock_sm});
    sample.memory_clock_mhz =
        maybe<unsigned>(nvml.clock, device, unsigned{nvml::clock_memory});
    const auto bits = maybe<Large>(nvml.throttle_reasons, device).value_or(0);
    for (std::size_t bit = 0; bit < throttle_count; ++bit)
      if (bits >> bit & 1)
        sample.throttles.push_back(static_cast<Throttle>(bit));
  }

  void read_links(nvml::Device device, Depth depth, Sample& sample) const {
    sample.energy_mj = maybe<Large>(nvml.energy, device);
    sample.pcie_generation = maybe<unsigned>(nvml.pcie_generation, device);
    sample.pcie_width = maybe<unsigned>(nvml.pcie_width, device);
    if (depth == Depth::traffic) {
      sample.pcie_sent_bytes_per_s = kib_per_s(maybe<unsigned>(
          nvml.pcie_throughput, device, unsigned{nvml::pcie_sent}));
      sample.pcie_received_bytes_per_s = kib_per_s(maybe<unsigned>(
          nvml.pcie_throughput, device, unsigned{nvml::pcie_received}));
    }
    nvml::FieldValue fields[3] = {};
    fields[0].field = nvml::field_memory_temperature;
    fields[1].field = nvml::field_nvlink_sent_kib;
    fields[2].field = nvml::field_nvlink_received_kib;
    fields[1].scope = fields[2].scope = nvml::all_links;
    if (!nvml.fields || nvml.fields(device, 3, fields) != nvml::success) return;
    if (fields[0].result == nvml::success)
      sample.memory_temperature_c = fields[0].value.number;
    if (fields[1].result == nvml::success)
      sample.nvlink_sent_bytes = wide(fields[1]) << 10;
    if (fields[2].result == nvml::success)
      sample.nvlink_received_bytes = wide(fields[2]) << 10;
  }

  static std::uint64_t wide(const nvml::FieldValue& field) {
    return field.type == nvml::type_unsigned ? field.value.number
                                             : field.value.large;
  }

  void read_health(nvml::Device device, Sample& sample) const {
    const auto errors = [&](unsigned kind, unsigned span) {
      return maybe<Large>(nvml.ecc_errors, device, kind, span);
    };
    sample.ecc_corrected = errors(nvml::ecc_corrected, nvml::ecc_since_boot);
    sample.ecc_uncorrected =
        errors(nvml::ecc_uncorrected, nvml::ecc_since_boot);
    sample.ecc_corrected_ever = errors(nvml::ecc_corrected, nvml::ecc_ever);
    sample.ecc_uncorrected_ever = errors(nvml::ecc_uncorrected, nvml::ecc_ever);
    unsigned corrected = 0;
    unsigned uncorrected = 0;
    unsigned pending = 0;
    unsigned failed = 0;
    if (nvml.remapped_rows &&
        nvml.remapped_rows(device, &corrected, &uncorrected, &pending,
                           &failed) == nvml::success) {
      sample.rows_remapped_corrected = corrected;
      sample.rows_remapped_uncorrected = uncorrected;
      sample.row_remap_pending = pending != 0;
      sample.row_remap_failed = failed != 0;
    }
  }

  // Clients of MPS are asked for apart from the others, and so is graphics.
  void read_processes(nvml::Device device, Sample& sample) const {
    if (!add_processes(nvml.processes, device, sample.processes) ||
        !add_processes(nvml.mps_processes, device, sample.processes) ||
        !add_processes(nvml.graphics_processes, device, sample.processes) ||
        sample.processes.size() > processes_per_device_max)
      sample.processes.clear();
  }

  // False: there are too many.
  static bool add_processes(nvml::GetProcesses* ask, nvml::Device device,
                            std::vector<ProcessUse>& all) {
    if (!ask) return true;
    std::vector<nvml::ProcessInfo> found(16);
    auto count = static_cast<unsigned>(found.size());
    auto result = ask(device, &count, found.data());
    if (result == nvml::insufficient_size) {
      found.resize(processes_per_device_max);
      count = processes_per_device_max;
      result = ask(device, &count, found.data());
    }
    if (result == nvml::insufficient_size) return false;
    if (result != nvml::success) return true;
    found.resize(std::min<std::size_t>(count, found.size()));
    for (const auto& process : found) {
      if (std::any_of(all.begin(), all.end(), [&](const ProcessUse& known) {
            return known.pid == process.pid;
          }))
        continue;
      ProcessUse use{process.pid, std::nullopt};
      if (process.memory_bytes != nvml::value_not_available)
        use.memory_bytes = process.memory_bytes;
      all.push_back(use);
    }
    return true;
  }

  struct Known {
    nvml::Device handle = nullptr;
    std::string uuid;
  };

  std::vector<Known> known_;  // by index, as last told
  nvml::EventSet events_ = nullptr;
};

Telemetry::Telemetry(const Sources& sources)
    : driver_(std::make_unique<Driver>(sources.library)) {
  Nvml& nvml = driver_->nvml;
  if (!nvml.missing().empty()) {
    why_none_ = nvml.missing();
  } else if (const auto result = nvml.start(); result != nvml::success) {
    why_none_ =
        fmt::format("the GPU driver does not answer: {}", nvml.error(result));
    may_pass_ = result != nvml::driver_not_loaded;
  } else {
    driver_->watch();
  }
}

Telemetry::~Telemetry() = default;

std::vector<Sample> Telemetry::sample(Depth depth) {
  std::vector<Sample> samples;
  if (!why_none_.empty()) return samples;
  const unsigned count = told(driver_->nvml.count, 0u);
  for (unsigned index = 0; index < count; ++index)
    samples.push_back(driver_->read(index, depth));
  driver_->add_xids(samples);
  return samples;
}

}  // namespace reeve::gpu

#include "gpu/nvml.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

namespace reeve::gpu {

void Nvml::Close::operator()(void* library) const {
  ::dlclose(library);
}

template <class Function>
void Nvml::find(Function*& function, const char* symbol, Need need) {
  function = reinterpret_cast<Function*>(::dlsym(library_.get(), symbol));
  if (!function && need == Need::must && missing_.empty())
    missing_ = fmt::format(
        "the driver's library has no {}: the driver is "
        "too old, or the library is not NVIDIA's",
        symbol);
}

Nvml::Nvml(const std::string& path)
    : library_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (!library_) {
    const char* why = ::dlerror();
    missing_ = why ? why : path + " cannot be loaded";
    return;
  }
  find_needed();
  find_inventory();
  find_telemetry();
  find_settings();
}

Nvml::~Nvml() {
  if (started_) shutdown_();
}

nvml::Return Nvml::start() {
  const auto result = init_();
  started_ = result == nvml::success;
  return result;
}

std::string Nvml::error(nvml::Return result) const {
  const char* text = error_string_(result);
  return text ? text : fmt::format("error {}", result);
}

void Nvml::find_needed() {
  find(init_, "nvmlInit_v2", Need::must);
  find(shutdown_, "nvmlShutdown", Need::must);
  find(error_string_, "nvmlErrorString", Need::must);
  find(driver_version, "nvmlSystemGetDriverVersion", Need::must);
  find(count, "nvmlDeviceGetCount_v2", Need::must);
  find(handle, "nvmlDeviceGetHandleByIndex_v2", Need::must);
  find(uuid, "nvmlDeviceGetUUID", Need::must);
  find(name, "nvmlDeviceGetName", Need::must);
  find(memory, "nvmlDeviceGetMemoryInfo", Need::must);
  find(minor, "nvmlDeviceGetMinorNumber", Need::must);
  find(pci, "nvmlDeviceGetPciInfo_v3", Need::must);
}

void Nvml::find_inventory() {
  find(cuda_version, "nvmlSystemGetCudaDriverVersion_v2");
  find(mig_mode, "nvmlDeviceGetMigMode");
  find(mig_count_max, "nvmlDeviceGetMaxMigDeviceCount");
  find(mig_handle, "nvmlDeviceGetMigDeviceHandleByIndex");
  find(gpu_instance, "nvmlDeviceGetGpuInstanceId");
  find(compute_instance, "nvmlDeviceGetComputeInstanceId");
  find(attributes, "nvmlDeviceGetAttributes_v2");
  find(compute_capability, "nvmlDeviceGetCudaComputeCapability");
  find(ecc_mode, "nvmlDeviceGetEccMode");
  find(power_limit, "nvmlDeviceGetEnforcedPowerLimit");
  find(power_limit_default, "nvmlDeviceGetPowerManagementDefaultLimit");
  find(power_limit_range, "nvmlDeviceGetPowerManagementLimitConstraints");
  find(clock_max, "nvmlDeviceGetMaxClockInfo");
  find(pcie_generation_max, "nvmlDeviceGetMaxPcieLinkGeneration");
  find(pcie_width_max, "nvmlDeviceGetMaxPcieLinkWidth");
  find(pcie_generation, "nvmlDeviceGetCurrPcieLinkGeneration");
  find(pcie_width, "nvmlDeviceGetCurrPcieLinkWidth");
  find(common_ancestor, "nvmlDeviceGetTopologyCommonAncestor");
  find(link_state, "nvmlDeviceGetNvLinkState");
  find(link_remote_type, "nvmlDeviceGetNvLinkRemoteDeviceType");
  find(link_remote_pci, "nvmlDeviceGetNvLinkRemotePciInfo_v2");
}

void Nvml::find_telemetry() {
  find(utilization, "nvmlDeviceGetUtilizationRates");
  find(power, "nvmlDeviceGetPowerUsage");
  find(energy, "nvmlDeviceGetTotalEnergyConsumption");
  find(temperature, "nvmlDeviceGetTemperature");
  find(clock, "nvmlDeviceGetClockInfo");
  find(pcie_throughput, "nvmlDeviceGetPcieThroughput");
  find(fields, "nvmlDeviceGetFieldValues");
  find(ecc_errors, "nvmlDeviceGetTotalEccErrors");
  find(remapped_rows, "nvmlDeviceGetRemappedRows");
  find(throttle_reasons, "nvmlDeviceGetCurrentClocksEventReasons");
  if (!throttle_reasons)
    find(throttle_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
  find(processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  find(mps_processes, "nvmlDeviceGetMPSComputeRunningProcesses_v3");
  find(graphics_processes, "nvmlDeviceGetGraphicsRunningProcesses_v3");
  find(event_set_create, "nvmlEventSetCreate");
  find(register_events, "nvmlDeviceRegisterEvents");
  find(event_set_wait, "nvmlEventSetWait_v2");
  find(event_set_free, "nvmlEventSetFree");
}

void Nvml::find_settings() {
  find(power_limit_set, "nvmlDeviceGetPowerManagementLimit");
  find(set_power_limit, "nvmlDeviceSetPowerManagementLimit");
  find(clock_wanted, "nvmlDeviceGetApplicationsClock");
  find(set_clocks_wanted, "nvmlDeviceSetApplicationsClocks");
}

}  // namespace reeve::gpu

// NVIDIA's management library, loaded at run time and found missing without
// harm. Needed entry points are checked at loading; the rest may be null: an
// older driver has fewer, and what it cannot tell is told as not known.
#pragma once

#include <memory>
#include <string>

#include "gpu/nvml_abi.hpp"

namespace reeve::gpu {

class Nvml {
 public:
  explicit Nvml(const std::string& path);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  bool loaded() const { return library_ != nullptr; }
  // What could not be loaded; empty when all that is needed is there.
  const std::string& missing() const { return missing_; }
  // Once, before any question; undone at the end of this object.
  nvml::Return start();
  std::string error(nvml::Return result) const;

  nvml::SystemText* driver_version = nullptr;
  nvml::Count* count = nullptr;
  nvml::HandleByIndex* handle = nullptr;
  nvml::DeviceText* uuid = nullptr;
  nvml::DeviceText* name = nullptr;
  nvml::GetMemoryInfo* memory = nullptr;
  nvml::DeviceNumber* minor = nullptr;
  nvml::GetPciInfo* pci = nullptr;

  // From here on null where the driver has none.
  nvml::SystemNumber* cuda_version = nullptr;
  nvml::DevicePair* mig_mode = nullptr;
  nvml::DeviceNumber* mig_count_max = nullptr;
  nvml::GetMigHandle* mig_handle = nullptr;
  nvml::DeviceNumber* gpu_instance = nullptr;
  nvml::DeviceNumber* compute_instance = nullptr;
  nvml::GetAttributes* attributes = nullptr;
  nvml::DeviceSigned* compute_capability = nullptr;
  nvml::DevicePair* ecc_mode = nullptr;
  nvml::DeviceNumber* power_limit = nullptr;
  nvml::DeviceNumber* power_limit_default = nullptr;
  nvml::DevicePair* power_limit_range = nullptr;
  nvml::DeviceIndexed* clock_max = nullptr;
  nvml::DeviceNumber* pcie_generation_max = nullptr;
  nvml::DeviceNumber* pcie_width_max = nullptr;
  nvml::DeviceNumber* pcie_generation = nullptr;
  nvml::DeviceNumber* pcie_width = nullptr;
  nvml::GetCommonAncestor* common_ancestor = nullptr;
  nvml::DeviceIndexed* link_state = nullptr;
  nvml::DeviceIndexed* link_remote_type = nullptr;
  nvml::GetLinkPciInfo* link_remote_pci = nullptr;

  nvml::GetUtilization* utilization = nullptr;
  nvml::DeviceNumber* power = nullptr;
  nvml::DeviceLarge* energy = nullptr;
  nvml::DeviceIndexed* temperature = nullptr;
  nvml::DeviceIndexed* clock = nullptr;
  nvml::DeviceIndexed* pcie_throughput = nullptr;
  nvml::GetFieldValues* fields = nullptr;
  nvml::GetEccErrors* ecc_errors = nullptr;
  nvml::GetRemappedRows* remapped_rows = nullptr;
  nvml::DeviceLarge* throttle_reasons = nullptr;
  nvml::GetProcesses* processes = nullptr;
  nvml::GetProcesses* mps_processes = nullptr;  // clients of MPS
  nvml::GetProcesses* graphics_processes = nullptr;
  nvml::EventSetCreate* event_set_create = nullptr;
  nvml::RegisterEvents* register_events = nullptr;
  nvml::EventSetWait* event_set_wait = nullptr;
  nvml::EventSetFree* event_set_free = nullptr;

  // What a user may set, where the driver lets him.
  nvml::DeviceNumber* power_limit_set = nullptr;  // as it was asked for
  nvml::SetDeviceNumber* set_power_limit = nullptr;
  nvml::DeviceIndexed* clock_wanted = nullptr;
  nvml::SetDevicePair* set_clocks_wanted = nullptr;  // memory, graphics

 private:
  struct Close {
    void operator()(void* library) const;
  };
  enum class Need { must, may };
  template <class Function>
  void find(Function*& function, const char* symbol, Need need = Need::may);
  void find_needed();
  void find_inventory();
  void find_telemetry();
  void find_settings();

  nvml::Init* init_ = nullptr;
  nvml::Shutdown* shutdown_ = nullptr;
  nvml::ErrorString* error_string_ = nullptr;
  std::unique_ptr<void, Close> library_;
  std::string missing_;
  bool started_ = false;
};

// One number that may be asked for in vain: `otherwise` when the driver has
// no such entry point or refuses.
template <class Number, class Function, class... Arguments>
Number told(Function* function, Number otherwise, Arguments... arguments) {
  Number value{};
  if (!function || function(arguments..., &value) != nvml::success)
    return otherwise;
  return value;
}

}  // namespace reeve::gpu

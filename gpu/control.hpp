// What the user of a device may leave behind, asked of the driver: programs,
// a power limit, clocks. Used by one thread; the driver may hang.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpu/inventory.hpp"

namespace reeve::gpu {

// Empty where the driver does not tell, and of instances.
struct DeviceSettings {
  std::optional<std::uint32_t> power_limit_mw;
  std::optional<std::uint32_t> graphics_clock_mhz;  // wanted by the user
  std::optional<std::uint32_t> memory_clock_mhz;

  bool operator==(const DeviceSettings&) const = default;
};

struct RowRemaps {
  std::optional<bool> pending;  // a reset is needed
  std::optional<bool> failed;

  bool operator==(const RowRemaps&) const = default;
};

class Control {
 public:
  using MayDraw = std::function<bool(std::uint32_t pid)>;
  static bool nobody(std::uint32_t) { return false; }

  explicit Control(const Sources& sources = {});
  ~Control();

  // Why nothing can be asked; empty: it can.
  const std::string& why_none() const { return why_none_; }

  // All whole devices and instances that there are.
  std::vector<std::string> uuids() const;
  // The programs that use the device or the instance; empty where the driver
  // does not tell. Of more than processes_per_device_max so many, as 0. Those
  // that only draw are left out where `may_draw` says so of them.
  std::vector<std::uint32_t> processes(const std::string& uuid,
                                       const MayDraw& may_draw = nobody) const;

  // Of this device alone; empty where the driver does not tell, and of
  // instances.
  RowRemaps row_remaps(const std::string& uuid) const;

  DeviceSettings settings(const std::string& uuid) const;
  // Puts back what differs. A sentence for each thing that was, or that could
  // not be, though the driver has a way.
  std::vector<std::string> restore(const std::string& uuid,
                                   const DeviceSettings& settings) const;

 private:
  class Driver;
  std::unique_ptr<Driver> driver_;
  std::string why_none_;
};

}  // namespace reeve::gpu

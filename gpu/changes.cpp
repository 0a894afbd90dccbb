#include "gpu/changes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace reeve::gpu {
namespace {

using Devices = std::vector<const Device*>;

Devices all_of(const Inventory& inventory) {
  Devices devices;
  for (const Device& device : inventory.devices) devices.push_back(&device);
  for (const Device& device : inventory.cut) devices.push_back(&device);
  return devices;
}

const Device* find(const Devices& devices, const std::string& uuid) {
  const auto at =
      std::find_if(devices.begin(), devices.end(),
                   [&](const Device* device) { return device->uuid == uuid; });
  return at == devices.end() ? nullptr : *at;
}

std::string cut_of(const Device& device) {
  std::string parts;
  for (const MigInstance& part : device.mig)
    parts += (parts.empty() ? "" : ", ") + part.profile;
  return parts.empty() ? "nothing" : parts;
}

std::string named(const Device& device) {
  return fmt::format("GPU {} ({})", device.uuid, device.model);
}

void compare(const Device& was, const Device& is, std::vector<Change>& out) {
  if (was.mig_mode != is.mig_mode) {
    out.push_back({is.mig_mode ? ChangeKind::mig_on : ChangeKind::mig_off,
                   is.uuid,
                   fmt::format("{} {} MIG mode", named(is),
                               is.mig_mode ? "is now in" : "has left")});
  } else if (was.mig != is.mig) {
    out.push_back({ChangeKind::mig_recut, is.uuid,
                   fmt::format("{} was cut into {} and is now cut into {}",
                               named(is), cut_of(was), cut_of(is))});
  }
}

}  // namespace

std::vector<Change> changes(const Inventory& before, const Inventory& after) {
  std::vector<Change> out;
  if (before.driver_version != after.driver_version)
    out.push_back(
        {ChangeKind::driver, "",
         fmt::format(
             "the GPU driver was {} and is now {}",
             before.driver_version.empty() ? "absent" : before.driver_version,
             after.driver_version.empty() ? "absent" : after.driver_version)});
  const Devices old = all_of(before);
  const Devices now = all_of(after);
  for (const Device* device : old) {
    if (const Device* same = find(now, device->uuid)) {
      compare(*device, *same, out);
    } else {
      out.push_back({ChangeKind::gone, device->uuid,
                     named(*device) + " is gone: the driver no longer tells "
                                      "of it"});
    }
  }
  for (const Device* device : now)
    if (!find(old, device->uuid))
      out.push_back({ChangeKind::appeared, device->uuid,
                     named(*device) + " has appeared"});
  return out;
}

}  // namespace reeve::gpu

// What is different between two looks at the GPUs of a host.
#pragma once

#include <string>
#include <vector>

#include "gpu/inventory.hpp"

namespace reeve::gpu {

enum class ChangeKind : std::uint8_t {
  appeared,
  gone,
  mig_on,
  mig_off,
  mig_recut,
  driver,
};

struct Change {
  ChangeKind kind = ChangeKind::appeared;
  std::string uuid;  // of the device; empty for a driver
  std::string text;  // one sentence

  bool operator==(const Change&) const = default;
};

// In the order of the devices of `before`, then of `after`.
std::vector<Change> changes(const Inventory& before, const Inventory& after);

}  // namespace reeve::gpu

#include "gpu/connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace reeve::gpu {

std::string short_name(const Connection& connection) {
  switch (connection.way) {
    case Way::self: return "X";
    case Way::nvlink: return fmt::format("NV{}", connection.nvlinks);
    case Way::board:
    case Way::pcie_switch: return "PIX";
    case Way::pcie_switches: return "PXB";
    case Way::host_bridge: return "PHB";
    case Way::numa_node: return "NODE";
    case Way::system: return "SYS";
    case Way::unknown: break;
  }
  return "?";
}

std::uint8_t nvlinks_between(const LinkEnds& from, const LinkEnds& to) {
  const auto ends_at = [](const LinkEnds& gpu, const std::string& bus) {
    return std::count(gpu.remotes.begin(), gpu.remotes.end(), bus);
  };
  const auto direct = ends_at(from, to.pci_bus);
  const auto switched = std::min(ends_at(from, ""), ends_at(to, ""));
  return static_cast<std::uint8_t>(direct + switched);
}

std::string kernel_bus_id(std::string id) {
  const auto colon = id.find(':');
  if (colon != std::string::npos && colon > 4) id.erase(0, colon - 4);
  std::transform(id.begin(), id.end(), id.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return id;
}

}  // namespace reeve::gpu

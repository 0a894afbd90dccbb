#include "actors/agent/devices.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace reeve::agent {
namespace {

using schema::DeviceLink;

DeviceLink link_of(gpu::Way way) {
  switch (way) {
    case gpu::Way::nvlink: return DeviceLink::nvlink;
    case gpu::Way::board:
    case gpu::Way::pcie_switch:
    case gpu::Way::pcie_switches: return DeviceLink::pcie_switch;
    case gpu::Way::host_bridge:
    case gpu::Way::numa_node: return DeviceLink::host_bridge;
    case gpu::Way::system: return DeviceLink::system;
    case gpu::Way::self:
    case gpu::Way::unknown: return DeviceLink::none;
  }
  return DeviceLink::none;
}

// Empty where nothing is known: then the NUMA nodes decide.
std::vector<DeviceLink> links_of(const std::vector<gpu::Connection>& row) {
  std::vector<DeviceLink> links;
  for (const gpu::Connection& connection : row)
    links.push_back(link_of(connection.way));
  const bool known =
      std::any_of(links.begin(), links.end(),
                  [](DeviceLink link) { return link != DeviceLink::none; });
  return known ? links : std::vector<DeviceLink>();
}

void add_instances(const gpu::Device& cut, Node& node) {
  for (const gpu::MigInstance& part : cut.mig) {
    if (!part.offered()) continue;
    NodeDevice& device = node.devices.emplace_back();
    device.uuid = part.uuid;
    device.model = fmt::format("{} MIG {}", cut.model, part.profile);
    device.memory_bytes = part.memory_bytes;
    device.numa_node = cut.numa_node;
    device.paths = {fmt::format("/dev/nvidia{}", cut.minor)};
    device.paths.insert(device.paths.end(), part.files.begin(),
                        part.files.end());
    device.mig_of = cut.uuid;
  }
}

}  // namespace

void add_devices(const gpu::Inventory& found, Node& node) {
  for (std::size_t i = 0; i < found.devices.size(); ++i) {
    const gpu::Device& from = found.devices[i];
    NodeDevice& device = node.devices.emplace_back();
    device.uuid = from.uuid;
    device.model = from.model;
    device.memory_bytes = from.memory_bytes;
    device.numa_node = from.numa_node;
    device.paths = {fmt::format("/dev/nvidia{}", from.minor)};
    device.links = links_of(found.connections[i]);
  }
  for (const gpu::Device& cut : found.cut) add_instances(cut, node);
  // A row of links has a place for each device of the node.
  for (NodeDevice& device : node.devices)
    if (!device.links.empty())
      device.links.resize(node.devices.size(), DeviceLink::none);
  node.limits.insert(node.limits.end(), found.problems.begin(),
                     found.problems.end());
}

}  // namespace reeve::agent

// How two GPUs of a host reach each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reeve::gpu {

// From the best to the worst; what is unknown counts as the worst.
enum class Way : std::uint8_t {
  self,
  nvlink,         // directly or through NVLink switches
  board,          // two GPUs on one board
  pcie_switch,    // one PCIe switch
  pcie_switches,  // several, no host bridge
  host_bridge,
  numa_node,  // several host bridges of one NUMA node
  system,     // from one NUMA node to another
  unknown,
};

struct Connection {
  Way way = Way::unknown;
  std::uint8_t nvlinks = 0;  // with Way::nvlink: how many in parallel

  bool operator==(const Connection&) const = default;
};

// In the words of nvidia-smi topo -m: "X", "NV18", "PIX", "SYS", ...
std::string short_name(const Connection& connection);

// One GPU as the matrix needs it: where its NVLinks end.
struct LinkEnds {
  std::string pci_bus;  // its own, as the kernel writes it
  // Of each active NVLink; empty: an NVLink switch.
  std::vector<std::string> remotes;
};

// NVLinks from `from` to `to`: direct ones or, where both are on switches,
// as many as the narrower of the two has there.
std::uint8_t nvlinks_between(const LinkEnds& from, const LinkEnds& to);

// The driver's "00000000:1B:00.0" as the kernel writes it: "0000:1b:00.0".
std::string kernel_bus_id(std::string id);

}  // namespace reeve::gpu

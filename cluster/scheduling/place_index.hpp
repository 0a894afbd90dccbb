// What the nodes of a queue have free together, by the value of one label: the
// places where a gang may fit are found without a look at their nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/scheduling/node.hpp"

namespace reeve::cluster::scheduling {

class PlaceIndex {
 public:
  struct Place {
    std::string name;
    std::vector<std::uint32_t> nodes;
    std::uint64_t cpu_free_milli = 0;
    std::uint64_t memory_free_bytes = 0;
    std::uint64_t whole_devices = 0;
  };

  // Of these nodes, by number, each in the place with its name; an empty name
  // is none. Made anew when a node comes or its labels change.
  PlaceIndex(const std::vector<Node>& nodes,
             const std::vector<std::uint32_t>& numbers,
             const std::vector<std::string>& place_names);

  // Brings the sums up to what the node has free now.
  void changed(const Node& node);

  // In the order of their names.
  const std::vector<Place>& places() const { return places_; }

  // Numbers of places where so many tasks might fit, those with the least free
  // CPU first: nowhere else do they.
  std::vector<std::uint32_t> roomy(const Need& need, std::uint32_t tasks) const;

 private:
  struct Counted {
    static constexpr std::uint32_t nowhere = 0xFFFFFFFF;
    std::uint32_t place = nowhere;
    std::uint32_t whole_devices = 0;
    std::uint64_t cpu_free_milli = 0;
    std::uint64_t memory_free_bytes = 0;
  };

  std::vector<Place> places_;
  std::vector<Counted> counted_;  // by node
};

}  // namespace reeve::cluster::scheduling

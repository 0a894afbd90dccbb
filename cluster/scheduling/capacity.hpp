// Whether a request could ever run in a cell: asked at submit, before it waits
// for a node that does not exist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/scheduling/request.hpp"

namespace reeve::schema {
struct NodeSpec;
}

namespace reeve::cluster {

// Nodes that are alike, empty: one entry in `gpus` for each sort of device.
struct Shape {
  struct Gpus {
    std::string model;  // as the node reports it
    std::uint32_t count = 0;
    std::uint64_t memory_bytes = 0;  // of each
    bool operator==(const Gpus&) const = default;
  };
  std::string group;
  bool simulated = false;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Gpus> gpus;
  std::uint64_t count = 1;  // of such nodes

  bool operator==(const Shape&) const = default;
};

Shape shape_of(const schema::NodeSpec& spec);

// How many tasks of the request an empty node of this shape takes, at most
// `limit`; 0 when the node is of another group or kind.
std::uint64_t tasks_on_empty(const Shape& shape, const Request& request,
                             std::uint64_t limit);

inline bool fits_empty(const Shape& shape, const Request& request) {
  return tasks_on_empty(shape, request, 1) > 0;
}

// Nothing when the request fits a cell of these shapes when it is empty; else
// a sentence with the numbers: what is asked, and the largest there is. For a
// request with `on_node`, pass that node's shape alone.
std::optional<std::string> impossible(const std::vector<Shape>& shapes,
                                      const Request& request);

}  // namespace reeve::cluster

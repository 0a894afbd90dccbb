#include "cluster/simulation/possible.hpp"

#include <algorithm>

namespace reeve::cluster::simulation {

namespace {

Shape shape_of(const Node& node) {
  Shape shape;
  shape.group = node.group;
  shape.simulated = node.simulated;
  shape.cpu_milli = node.cpu_milli;
  shape.memory_bytes = node.memory_bytes;
  for (const auto& device : node.devices) {
    const auto same = std::find_if(
        shape.gpus.begin(), shape.gpus.end(), [&](const Shape::Gpus& gpus) {
          return gpus.model == device.model &&
                 gpus.memory_bytes == device.memory_bytes;
        });
    if (same != shape.gpus.end())
      ++same->count;
    else
      shape.gpus.push_back({device.model, 1, device.memory_bytes});
  }
  return shape;
}

void count(std::vector<Shape>& shapes, const Shape& shape) {
  for (auto& known : shapes) {
    Shape same = shape;
    same.count = known.count;
    if (same != known) continue;
    ++known.count;
    return;
  }
  shapes.push_back(shape);
}

}  // namespace

Possible::Possible(const Workload& work) : work_(work) {
  for (const auto& change : work.changes) {
    if (change.kind != NodeChange::Kind::joined) continue;
    const Node& node = work.inventories[change.inventory];
    const Shape shape = shape_of(node);
    count(shapes_, shape);
    count(by_name_[node.name], shape);
  }
}

bool Possible::operator()(std::uint32_t request) {
  known_.resize(work_.requests.all().size());
  if (known_[request]) return *known_[request];
  const Request& asked = work_.requests[request];
  const auto answer = [&] {
    if (asked.on_node.empty()) return !impossible(shapes_, asked);
    const auto named = by_name_.find(asked.on_node);
    return named != by_name_.end() && !impossible(named->second, asked);
  };
  known_[request] = answer();
  return *known_[request];
}

}  // namespace reeve::cluster::simulation

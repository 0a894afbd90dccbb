#include "cluster/simulation/possible.hpp"

#include <algorithm>

#include "cluster/scheduling/label_wishes.hpp"
#include "schema/wire.hpp"

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
    nodes_.emplace_back(&node, shape);
  }
  for (const auto& account : work.accounts)
    if (const auto* set =
            schema::event_of(account.bytes).body_as_ReservationSet())
      for (const auto* node : *set->reservation()->nodes())
        reserved_[set->reservation()->name()->str()].insert(node->str());
}

bool Possible::as_wished(const Node& node, const Request& request,
                         const Constraint& constraint) const {
  if (!request.on_node.empty() && node.name != request.on_node) return false;
  if (!request.reservation.empty()) {
    const auto kept = reserved_.find(request.reservation);
    if (kept == reserved_.end() || !kept->second.contains(node.name))
      return false;
  }
  NodeFacts facts{node.name, &node.labels, node.cpu_milli, 0, {}};
  facts.gpus = static_cast<std::uint32_t>(node.devices.size());
  for (const auto& device : node.devices)
    facts.gpu_models.emplace_back(device.model);
  return constraint.matches(facts);
}

// By the place that all its nodes have to share, if any; stops at the first
// nodes that have room for it.
bool Possible::among_wished(const Request& request,
                            const LabelWishes& labels) const {
  Constraint constraint;
  if (!request.constraint.empty()) {
    auto parsed = Constraint::parse(request.constraint);
    if (!parsed) return false;  // holds nowhere
    constraint = std::move(*parsed);
  }
  std::map<std::string, std::vector<Shape>> places;
  for (const auto& [node, shape] : nodes_) {
    if (!as_wished(*node, request, constraint)) continue;
    const std::string* place = labels.place_of(node->name, node->labels);
    if (!place) continue;
    auto& shapes = places[*place];
    shapes.push_back(shape);
    const bool look = (shapes.size() & (shapes.size() - 1)) == 0;
    if (look && !impossible(shapes, request)) return true;
  }
  return std::any_of(places.begin(), places.end(), [&](const auto& place) {
    return !impossible(place.second, request);
  });
}

bool Possible::operator()(std::uint32_t request) {
  known_.resize(work_.requests.all().size());
  if (known_[request]) return *known_[request];
  const Request& asked = work_.requests[request];
  const auto answer = [&] {
    const LabelWishes labels(asked);
    if (!asked.constraint.empty() || labels.any() || !asked.reservation.empty())
      return among_wished(asked, labels);
    if (asked.on_node.empty()) return !impossible(shapes_, asked);
    const auto named = by_name_.find(asked.on_node);
    return named != by_name_.end() && !impossible(named->second, asked);
  };
  known_[request] = answer();
  return *known_[request];
}

}  // namespace reeve::cluster::simulation

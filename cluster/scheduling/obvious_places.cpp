// Whether the chosen place is the best of all by the rule of its packing.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/scheduling/obvious_scheduler.hpp"

namespace reeve::cluster {

namespace {

using Node = NaiveCell::Node;
using Score = std::vector<double>;  // the least wins

double whole_devices(const Node& node) {
  return static_cast<double>(std::count_if(
      node.devices.begin(), node.devices.end(),
      [](const auto& one) { return one.milli == 1000 && !one.quarantined; }));
}

bool idle(const Node& node) {
  return node.cpu_milli == node.spec.cpu_milli &&
         node.memory_bytes ==
             static_cast<std::int64_t>(node.spec.memory_bytes) &&
         std::all_of(node.devices.begin(), node.devices.end(),
                     [](const auto& one) { return one.milli == 1000; });
}

double free_part(const Node& node, const TestSession& spec) {
  if (spec.gpus == 0)
    return static_cast<double>(node.cpu_milli) / node.spec.cpu_milli;
  double free = 0;
  double all = 0;
  for (const auto& device : node.devices) {
    if (device.quarantined) continue;
    free += static_cast<double>(device.milli);
    all += 1000;
  }
  return free / all;
}

// Of one task on the node, with its first GPU on the device. `within`: beside
// another device of the same node.
Score score(Packing packing, const TestSession& spec, const Node& node,
            const Node::Device* device, bool within) {
  const bool share = spec.gpus > 0 && spec.gpu_milli < 1000;
  const double room = share ? static_cast<double>(device->milli) : 0;
  const bool slow = share ? device->slow : NaiveCell::needs_slow(node, spec);
  Score parts{slow ? 1.0 : 0.0};
  if (spec.gpus == 0) parts.push_back(node.devices.empty() ? 0 : 1);
  switch (packing) {
    case Packing::best_fit:
      parts.push_back(share ? room : whole_devices(node));
      break;
    case Packing::pack:
      parts.push_back(idle(node) ? 1 : 0);
      parts.push_back(free_part(node, spec));
      if (within) parts.push_back(room);
      break;
    case Packing::spread:
      parts.push_back(idle(node) ? 0 : 1);
      parts.push_back(-free_part(node, spec));
      if (within) parts.push_back(-room);
      break;
    case Packing::fragmentation: break;
  }
  return parts;
}

}  // namespace

std::string ObviousScheduler::check_place(const Proposal& proposal) const {
  const auto& session = cell.sessions.at(proposal.session.value);
  const auto& spec = session.spec;
  // Room that is kept for others, and nodes to avoid, may be in the way.
  const bool free = policy.backfill == Backfill::none ||
                    (policy.backfill == Backfill::greedy && !patience_over());
  if (!free || kept_for_ != 0 || session.attempt > 1) return "";
  if (proposal.tasks.size() != spec.tasks) return "";
  std::vector<const Node*> fitting;
  for (const auto& [number, node] : cell.nodes)
    if (cell.allowed(node, session) && cell.room(node, spec) >= spec.tasks)
      fitting.push_back(&node);
  const auto& first = proposal.tasks[0];
  if (spec.tasks > 1) {
    const bool one =
        std::all_of(proposal.tasks.begin(), proposal.tasks.end(),
                    [&](const auto& task) { return task.node == first.node; });
    return one || fitting.empty() || spec.nodes > 1
               ? ""
               : "it fits on one node, and is not on one";
  }
  if (spec.gpus > 1 && spec.gpu_milli < 1000) return "";
  const auto& chosen = cell.nodes.at(first.node.value);
  const auto* taken = first.devices.empty()
                          ? nullptr
                          : &chosen.devices[first.devices[0].device];
  for (const auto* node : fitting) {
    const bool within = node == &chosen;
    const auto got = score(policy.packing, spec, chosen, taken, within);
    std::vector<const Node::Device*> devices;
    for (const auto& device : node->devices)
      if (spec.gpus > 0 && NaiveCell::serves(device, *node, spec))
        devices.push_back(&device);
    if (devices.empty()) devices.push_back(nullptr);
    for (const auto* device : devices)
      if (score(policy.packing, spec, *node, device, within) < got)
        return fmt::format("n{} is better than n{}", node->spec.number,
                           chosen.spec.number);
  }
  return "";
}

}  // namespace reeve::cluster

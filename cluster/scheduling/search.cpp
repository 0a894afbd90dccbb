// Where: nodes for one task, for a gang, for a gang spread over nodes.
#include <bit>

#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

// Of the nodes of one cell that fit, this many are compared.
constexpr int looks_max = 8;

// Whether it fits, may be there, and leaves what is kept there for others.
bool Scheduler::Core::suits(const Node& node, const Class& wanted,
                            std::uint32_t times, const OrderKey& key) const {
  // Inside its own reservation nobody is ahead of it.
  const bool reserved = !wanted.request.reservation.empty();
  if (node.earmarked && !reserved && key > guard_key(pools[node.pool]))
    return false;
  if (!fits(node, wanted.need, times)) return false;
  if (!as_wished(wanted, node)) return false;
  if ((!node.bookings.empty() || reserved) &&
      slots_unreserved(bare(node), node, wanted, times, pass_at) < times)
    return false;
  return node.holds.empty() || reserved ||
         beside_holds(node, wanted, times, key);
}

// The same, for the search at hand.
bool Scheduler::Core::usable(const Node& node, const Class& wanted,
                             std::uint32_t times, const OrderKey& key) const {
  return node.stamp != stamp && suits(node, wanted, times, key) &&
         within_narrowing(wanted, node) &&
         !(narrowing.no_slow && gives_slow(node, wanted.need, times));
}

namespace {

// Whether this is the device that a share would be of. Its node stands on the
// shelves of its other devices, too.
bool has_share(const Device& device, const Need& need, bool no_slow) {
  return device_slots(device, need, 1) > 0 && !(no_slow && device.slow);
}

}  // namespace

Node* Scheduler::Core::find_in(const Shelf& shelf, const Class& wanted,
                               std::uint32_t times, const OrderKey& key) {
  const auto& need = wanted.need;
  auto cells = shelf.filled & cells_for(need, times);
  for (; cells != 0; cells &= cells - 1) {
    Node* best = nullptr;
    int looks = 0;
    for (const auto& entry : shelf.cells[std::countr_zero(cells)]) {
      auto& node = nodes[entry.node];
      if (entry.device != Entry::no_device &&
          !has_share(node.devices[entry.device], need, narrowing.no_slow))
        continue;
      if (!usable(node, wanted, times, key)) continue;
      if (!best || tighter(node, *best)) best = &node;
      if (++looks == looks_max) break;
    }
    if (best) return best;
  }
  return nullptr;
}

bool Scheduler::Core::is_named(const Node& node,
                               const std::string& name) const {
  const auto it = node_names.find(name);
  return it != node_names.end() && it->second == node.id.value;
}

Node* Scheduler::Core::find_named(const Class& wanted, std::uint32_t times,
                                  const OrderKey& key) {
  const auto it = node_names.find(wanted.request.on_node);
  if (it == node_names.end()) return nullptr;
  auto& node = nodes[it->second];
  const bool good = node.offered() && node.pool == wanted.pool &&
                    usable(node, wanted, times, key);
  return good ? &node : nullptr;
}

// On the shelves of whole free devices, from `least` of them up.
Node* Scheduler::Core::find_whole(Class& wanted, std::uint64_t least,
                                  std::uint32_t times, const OrderKey& key) {
  const auto& kinds = pools[wanted.pool].kinds;
  std::uint64_t level_max = 0;
  for (const auto kind : kinds_for(wanted)) {
    level_max =
        std::max<std::uint64_t>(level_max, kinds[kind].whole_level_max());
  }
  for (auto level = least; level <= level_max; ++level) {
    for (const auto kind : wanted.kinds) {
      if (level > kinds[kind].whole_level_max()) continue;
      const auto& shelf = kinds[kind].whole(static_cast<std::uint32_t>(level));
      if (shelf.filled == 0) continue;
      if (auto* node = find_in(shelf, wanted, times, key)) return node;
    }
  }
  return nullptr;
}

Node* Scheduler::Core::find_share(Class& wanted, std::uint32_t times,
                                  const OrderKey& key) {
  const auto& kinds = pools[wanted.pool].kinds;
  const auto sharer = wanted.need.sharer;
  auto level = wanted.need.gpu_milli;
  while (true) {
    std::uint32_t next = milli_per_device;
    for (const auto kind : kinds_for(wanted)) {
      next = std::min(next, kinds[kind].next_share_level(sharer, level));
    }
    if (next == milli_per_device) break;
    for (const auto kind : wanted.kinds) {
      if (kinds[kind].next_share_level(sharer, next) != next) continue;
      auto* node = find_in(kinds[kind].share(sharer, next), wanted, times, key);
      if (node) return node;
    }
    level = next + 1;
  }
  return find_whole(wanted, 1, times, key);
}

// The node for `times` tasks of this class together: if there is one, one that
// gives them no slow device.
Node* Scheduler::Core::find(Class& wanted, std::uint32_t times,
                            const OrderKey& key) {
  if (wanted.need.gpus > 0 && pools[wanted.pool].slow_devices > 0) {
    narrowing.no_slow = true;
    auto* node = find_any(wanted, times, key);
    narrowing.no_slow = false;
    if (node) return node;
  }
  return find_any(wanted, times, key);
}

Node* Scheduler::Core::find_any(Class& wanted, std::uint32_t times,
                                const OrderKey& key) {
  if (!wanted.request.on_node.empty()) return find_named(wanted, times, key);
  const auto& pool = pools[wanted.pool];
  if (pool.outlook) pool.outlook->refresh(nodes);
  if (pool.policy.packing != Packing::best_fit) {
    if (auto* node = find_weighed(wanted, times, key)) return node;
  }
  const auto& need = wanted.need;
  if (need.share()) return find_share(wanted, times, key);
  if (need.gpus > 0) {
    return find_whole(wanted, std::uint64_t{need.gpus} * times, times, key);
  }
  const auto& kinds = pools[wanted.pool].kinds;
  for (const auto kind : kinds_for(wanted)) {
    if (!kinds[kind].models().empty()) continue;
    if (auto* node = find_in(kinds[kind].whole(0), wanted, times, key)) {
      return node;
    }
  }
  return find_whole(wanted, 0, times, key);
}

void Scheduler::Core::take(Node& node, const Class& wanted, std::uint32_t times,
                           Tasks& tasks) {
  for (std::uint32_t i = 0; i < times; ++i) {
    const auto left = node.bookings.empty() ? std::optional<Node>()
                                            : unreserved(node, wanted);
    auto devices = choose_devices(left ? *left : node, wanted);
    claim(node, wanted.need, devices);
    tasks.push_back({node.id, std::move(devices)});
  }
  capacity_changed(node);
}

// As if the tasks had not been taken; nobody gets room by it.
void Scheduler::Core::undo(const Class& wanted, Tasks& tasks) {
  for (const auto& task : tasks) {
    auto& node = nodes[task.node.value];
    release(node, wanted.need, task.devices);
    capacity_changed(node);
  }
  tasks.clear();
}

// A session that ran or was refused somewhere goes elsewhere if it can.
bool Scheduler::Core::place(Class& wanted, const Session& session,
                            Tasks& tasks) {
  ++stamp;
  const auto key = effective(pools[wanted.pool], wanted.owner, session.key);
  if (!session.nodes_to_avoid.empty()) {
    for (const auto id : session.nodes_to_avoid) {
      if (id.value < nodes.size()) nodes[id.value].stamp = stamp;
    }
    if (place_preferred(wanted, key, tasks)) return true;
    ++stamp;
  }
  return place_preferred(wanted, key, tasks);
}

bool Scheduler::Core::place_anywhere(Class& wanted, const OrderKey& key,
                                     Tasks& tasks) {
  const auto count = wanted.request.tasks;
  if (wanted.request.nodes > 1) return place_spread(wanted, key, tasks);
  // A gang that fits on one node starts on one.
  if (auto* node = find(wanted, count, key)) {
    take(*node, wanted, count, tasks);
    return true;
  }
  const bool scatter = count > 1 && wanted.request.nodes == 0;
  return scatter && place_scattered(wanted, key, tasks);
}

// One task after the other; each node is filled before the next is sought.
// All tasks are alike, so the order of nodes does not decide whether it works.
bool Scheduler::Core::place_scattered(Class& wanted, const OrderKey& key,
                                      Tasks& tasks) {
  const auto& need = wanted.need;
  const auto count = wanted.request.tasks;
  if (need.gpus > 0 && !need.share()) {
    std::uint64_t whole = 0;
    for (const auto kind : kinds_for(wanted)) {
      whole += pools[wanted.pool].kinds[kind].whole_devices();
    }
    if (whole < std::uint64_t{need.gpus} * count) return false;
  }
  while (tasks.size() < count) {
    auto* node = find(wanted, 1, key);
    if (!node) {
      undo(wanted, tasks);
      return false;
    }
    const auto left = count - static_cast<std::uint32_t>(tasks.size());
    auto times = slots(*node, need, left);
    while (times > 1 && !usable(*node, wanted, times, key)) --times;
    take(*node, wanted, times, tasks);
  }
  return true;
}

// Nodes that take one task more than the others come first; a node that can
// take more can take fewer, so any choice of the first leaves enough others.
bool Scheduler::Core::place_spread(Class& wanted, const OrderKey& key,
                                   Tasks& tasks) {
  const auto count = wanted.request.tasks;
  const auto over = wanted.request.nodes;
  for (std::uint32_t i = 0; i < over; ++i) {
    const auto times = count / over + (i < count % over ? 1 : 0);
    auto* node = find(wanted, times, key);
    if (!node) {
      // Open to the next try, anywhere else.
      for (const auto& task : tasks) nodes[task.node.value].stamp = 0;
      undo(wanted, tasks);
      return false;
    }
    take(*node, wanted, times, tasks);
    node->stamp = stamp;
  }
  return true;
}

}  // namespace reeve::cluster

// Where, when places are compared: pack, spread and fragmentation. A search
// walks the shelves that suffice, from the fullest up or from the emptiest
// down, takes a few nodes of each cell, and compares those. If it found none,
// the caller looks by best fit, which passes over no node.
#include <bit>

#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

// Nodes compared: of shelves of whole devices, and as many of shelves of
// shares; of one cell, whose nodes are much alike to an outlook; and those
// looked at in a cell that turn out not to fit.
constexpr std::size_t candidates_max = 64;
constexpr int cell_fits_max = 16;
constexpr int cell_fits_ahead_max = 4;
constexpr int cell_misses_max = 16;

// Thousandths of a GPU by which losses differ, at least.
constexpr double loss_step = 1e-6;

namespace {

// Nodes in use come first, then the smaller share of what the request needs
// that is free.
using Emptiness = std::pair<bool, double>;

Emptiness emptiness(const Node& node, const Need& need) {
  std::uint64_t free = 0;
  std::uint64_t all = 0;
  bool idle = node.cpu_used_milli == 0 && node.memory_used_bytes == 0;
  for (const auto& device : node.devices) {
    free += device.free_milli();
    all += device.capacity_milli;
    idle = idle && device.used_milli == 0 && device.used_memory_bytes == 0;
  }
  if (need.gpus == 0) {
    free = node.cpu_free_milli();
    all = node.cpu_capacity_milli;
  }
  const auto share =
      all == 0 ? 0.0 : static_cast<double>(free) / static_cast<double>(all);
  return {idle, share};
}

// More is left over on `a`; the number decides between equals.
bool looser(const Node& a, const Node& b) {
  return std::tuple(b.cpu_free_milli(), b.memory_free_bytes(), a.id) <
         std::tuple(a.cpu_free_milli(), a.memory_free_bytes(), b.id);
}

std::uint64_t take_cell(std::uint64_t& cells, bool from_the_top) {
  const auto cell =
      from_the_top ? std::bit_width(cells) - 1 : std::countr_zero(cells);
  cells &= ~(std::uint64_t{1} << cell);
  return static_cast<std::uint64_t>(cell);
}

}  // namespace

void Scheduler::Core::gather_in(Candidates& found, const Shelf& shelf,
                                const Class& wanted) {
  auto cells = shelf.filled & cells_for(wanted.need, found.times);
  while (cells != 0 && found.nodes.size() < found.nodes_max) {
    int fit = 0;
    int misses = 0;
    for (const auto& entry :
         shelf.cells[take_cell(cells, found.emptiest_first)]) {
      const auto& node = nodes[entry.node];
      if (!usable(node, wanted, found.times, found.key)) {
        if (++misses == cell_misses_max) break;
        continue;
      }
      // A node with several shares is met on several shelves.
      auto& all = found.nodes;
      if (std::find(all.begin(), all.end(), entry.node) == all.end()) {
        all.push_back(entry.node);
      }
      if (++fit == found.of_a_cell_max || all.size() == found.nodes_max) break;
    }
  }
}

void Scheduler::Core::gather_whole(Candidates& found, Class& wanted,
                                   std::uint64_t least) {
  const auto& kinds = pools[wanted.pool].kinds;
  std::uint64_t most = 0;
  for (const auto kind : kinds_for(wanted)) {
    most = std::max<std::uint64_t>(most, kinds[kind].whole_level_max());
  }
  found.nodes_max = found.nodes.size() + candidates_max;
  for (auto step = least; step <= most; ++step) {
    const auto level = found.emptiest_first ? most + least - step : step;
    for (const auto kind : wanted.kinds) {
      if (level > kinds[kind].whole_level_max()) continue;
      const auto number = static_cast<std::uint32_t>(level);
      gather_in(found, kinds[kind].whole(number), wanted);
    }
  }
}

void Scheduler::Core::gather_share(Candidates& found, Class& wanted) {
  const auto& kinds = pools[wanted.pool].kinds;
  const auto sharer = wanted.need.sharer;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> shelves;
  for (const auto kind : kinds_for(wanted)) {
    auto level = kinds[kind].next_share_level(sharer, wanted.need.gpu_milli);
    while (level < milli_per_device) {
      shelves.emplace_back(level, kind);
      level = kinds[kind].next_share_level(sharer, level + 1);
    }
  }
  std::sort(shelves.begin(), shelves.end());
  if (found.emptiest_first) std::reverse(shelves.begin(), shelves.end());
  found.nodes_max = found.nodes.size() + candidates_max;
  for (const auto& [level, kind] : shelves) {
    gather_in(found, kinds[kind].share(sharer, level), wanted);
    if (found.nodes.size() == found.nodes_max) break;
  }
}

Candidates Scheduler::Core::candidates_for(Class& wanted, std::uint32_t times,
                                           const OrderKey& key) {
  const auto& pool = pools[wanted.pool];
  const auto& need = wanted.need;
  Candidates found{times, key, pool.policy.packing == Packing::spread,
                   pool.outlook ? cell_fits_ahead_max : cell_fits_max};
  if (need.share()) {
    if (found.emptiest_first) gather_whole(found, wanted, 1);
    gather_share(found, wanted);
    if (!found.emptiest_first) gather_whole(found, wanted, 1);
    return found;
  }
  if (need.gpus == 0) {
    found.nodes_max = candidates_max;
    for (const auto kind : kinds_for(wanted)) {
      if (!pool.kinds[kind].models().empty()) continue;
      gather_in(found, pool.kinds[kind].whole(0), wanted);
    }
    if (!found.nodes.empty()) return found;
  }
  gather_whole(found, wanted, std::uint64_t{need.gpus} * times);
  return found;
}

Node* Scheduler::Core::fullest(const Candidates& found, const Need& need) {
  Node* best = nullptr;
  Emptiness least;
  for (const auto number : found.nodes) {
    auto& node = nodes[number];
    auto empty = emptiness(node, need);
    if (found.emptiest_first) empty = {!empty.first, -empty.second};
    const bool better =
        !best || empty < least ||
        (empty == least &&
         (found.emptiest_first ? looser : tighter)(node, *best));
    if (!better) continue;
    best = &node;
    least = empty;
  }
  return best;
}

Node* Scheduler::Core::least_lost(const Candidates& found,
                                  const Class& wanted) {
  auto& outlook = *pools[wanted.pool].outlook;
  Node* best = nullptr;
  double least = 0;
  for (const auto number : found.nodes) {
    auto& node = nodes[number];
    const auto loss =
        outlook.worth(node.id) - worth_with(node, wanted, found.times);
    const bool better = !best || loss < least - loss_step ||
                        (loss < least + loss_step && tighter(node, *best));
    if (!better) continue;
    best = &node;
    least = loss;
  }
  return best;
}

Node* Scheduler::Core::find_weighed(Class& wanted, std::uint32_t times,
                                    const OrderKey& key) {
  const auto found = candidates_for(wanted, times, key);
  if (found.nodes.empty()) return nullptr;
  if (pools[wanted.pool].outlook) return least_lost(found, wanted);
  return fullest(found, wanted.need);
}

// What the node would be worth with `times` tasks on it.
double Scheduler::Core::worth_with(const Node& node, const Class& wanted,
                                   std::uint32_t times) {
  auto& outlook = *pools[wanted.pool].outlook;
  const auto& need = wanted.need;
  trial = bare(node);
  if (share_from(need, wanted.request.tasks > 1) == ShareFrom::roomiest) {
    for (std::uint32_t i = 0; i < times; ++i)
      claim(trial, need, pick(trial, need, ShareFrom::roomiest));
    return outlook.worth(trial);
  }
  std::vector<DeviceGrant> devices;
  double worth = 0;
  for (std::uint32_t i = 0; i < times; ++i)
    worth = outlook.place(trial, need, devices);
  return worth;
}

std::vector<DeviceGrant> Scheduler::Core::choose_devices(
    const Node& node, const Class& wanted) const {
  const auto& pool = pools[wanted.pool];
  const auto& need = wanted.need;
  if (pool.policy.packing == Packing::spread)
    return pick(node, need, ShareFrom::roomiest);
  const auto from = share_from(need, wanted.request.tasks > 1);
  if (!pool.outlook || from == ShareFrom::roomiest)
    return pick(node, need, from);
  std::vector<DeviceGrant> devices;
  trial = bare(node);
  pool.outlook->place(trial, need, devices);
  if (!node.links || need.share() || need.gpus < 2) return devices;
  // To an outlook the devices of a sort are one; their links tell them apart.
  trial = bare(node);
  for (auto& device : trial.devices) {
    const auto is_chosen = [&](const DeviceGrant& grant) {
      return alike(device, node.devices[grant.device]);
    };
    if (std::none_of(devices.begin(), devices.end(), is_chosen))
      device.used_milli = device.capacity_milli;
  }
  return pick(trial, need, from);
}

}  // namespace reeve::cluster

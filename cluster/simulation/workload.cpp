#include "cluster/simulation/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cluster/units.hpp"

namespace reeve::cluster::simulation {

std::uint32_t RequestList::index(const Request& request) {
  const auto [found, fresh] =
      index_.try_emplace(request, static_cast<std::uint32_t>(requests_.size()));
  if (fresh) requests_.push_back(request);
  return found->second;
}

namespace {

// The last inventory of each node that is not removed before the window.
std::map<std::uint32_t, std::uint32_t> inventories_of(const Workload& work) {
  std::map<std::uint32_t, std::uint32_t> out;
  for (const auto& change : work.changes) {
    if (change.kind == NodeChange::Kind::joined)
      out[change.node.value] = change.inventory;
    if (change.kind == NodeChange::Kind::removed && change.at <= work.from)
      out.erase(change.node.value);
  }
  return out;
}

// Those of the most common sort; equal counts: the sort with the least number.
std::vector<std::uint32_t> most_common(const Workload& work) {
  std::vector<std::pair<const Node*, std::vector<std::uint32_t>>> sorts;
  for (const auto& [node, inventory] : inventories_of(work)) {
    const Node& is = work.inventories[inventory];
    auto sort = std::find_if(sorts.begin(), sorts.end(), [&](const auto& one) {
      return one.first->alike(is);
    });
    if (sort == sorts.end()) sort = sorts.insert(sorts.end(), {&is, {}});
    sort->second.push_back(node);
  }
  const auto most = std::max_element(sorts.begin(), sorts.end(),
                                     [](const auto& a, const auto& b) {
                                       return a.second.size() < b.second.size();
                                     });
  return most == sorts.end() ? std::vector<std::uint32_t>{} : most->second;
}

// Numbers in the order in which nodes first join, as a log has them.
void renumber(Workload& work) {
  std::map<std::uint32_t, std::uint32_t> number;
  for (auto& change : work.changes) {
    const auto next = static_cast<std::uint32_t>(number.size());
    change.node =
        NodeId{number.try_emplace(change.node.value, next).first->second};
  }
  for (auto& session : work.sessions) {
    for (auto& task : session.placed_before) {
      const auto moved = number.find(task.node.value);
      if (moved == number.end()) {
        session.placed_before.clear();
        break;
      }
      task.node = NodeId{moved->second};
    }
  }
}

}  // namespace

Capacity capacity_of(const Workload& work) {
  Capacity out;
  for (const auto& [node, inventory] : inventories_of(work)) {
    ++out.nodes;
    out.devices += work.inventories[inventory].devices.size();
    out.cpu_milli += work.inventories[inventory].cpu_milli;
  }
  return out;
}

Status add_nodes(Workload& work, std::int64_t count) {
  const auto alike = most_common(work);
  if (alike.empty())
    return fail(Errc::usage, "there are no nodes of which there could be more");
  if (count < 0 && alike.size() < static_cast<std::uint64_t>(-count))
    return fail(Errc::usage,
                fmt::format("{} fewer: the most common sort has only {}",
                            counted(static_cast<std::uint64_t>(-count), "node"),
                            alike.size()));
  if (count < 0) {
    const std::set<std::uint32_t> gone(alike.end() + count, alike.end());
    std::erase_if(work.changes, [&](const NodeChange& change) {
      return gone.contains(change.node.value);
    });
    renumber(work);
    return {};
  }
  std::uint32_t next = 0;
  for (const auto& change : work.changes)
    next = std::max(next, change.node.value + 1);
  const auto inventory = inventories_of(work).at(alike.back());
  std::vector<NodeChange> more;
  for (std::int64_t i = 0; i < count; ++i) {
    Node node = work.inventories[inventory];
    node.name = fmt::format("more-{:04}", i);
    more.push_back({work.from, NodeChange::Kind::joined, NodeId{next++},
                    static_cast<std::uint32_t>(work.inventories.size()),
                    Time{}});
    work.inventories.push_back(std::move(node));
  }
  const auto later = std::upper_bound(
      work.changes.begin(), work.changes.end(), work.from,
      [](Time from, const NodeChange& change) { return from < change.at; });
  work.changes.insert(later, more.begin(), more.end());
  renumber(work);
  return {};
}

}  // namespace reeve::cluster::simulation

#include "tests/sim/room.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "cluster/limits.hpp"
#include "cluster/node_spec.hpp"

namespace reeve::sim {

using cluster::DeviceGrant;

namespace {

cluster::AccountIndex sharer_in(const cluster::State& state,
                                const cluster::Session& session) {
  return cluster::sharer_of(
      state.accounts().at(session.owners.group).gpu_sharing, session.owners);
}

}  // namespace

Ask::Ask(const cluster::State& state, const cluster::Session& of)
    : session(&of), spec(state.spec(of)) {
  if (!spec.constraint.empty())
    constraint = Constraint::parse(spec.constraint).value();
  sharer = sharer_in(state, of);
}

namespace {

// No other than the session's own, unless they are anyone's.
bool may_share(const Room::Device& device, const Ask& ask) {
  return ask.sharer == cluster::any_sharer ||
         (ask.sharer != cluster::no_sharer &&
          std::all_of(device.sharers.begin(), device.sharers.end(),
                      [&](auto other) { return other == ask.sharer; }));
}

// What a task takes of the memory of a device.
std::int64_t memory_of(const Ask& ask, std::int64_t all_memory_bytes) {
  if (ask.spec.gpu_milli >= milli_per_device) return all_memory_bytes;
  if (ask.spec.gpu_memory_bytes != 0)
    return static_cast<std::int64_t>(ask.spec.gpu_memory_bytes);
  const auto parts = static_cast<__int128>(all_memory_bytes);
  return static_cast<std::int64_t>(parts * ask.spec.gpu_milli /
                                   milli_per_device);
}

bool serves(const Room::Device& device, const Ask& ask) {
  if (!device.offered) return false;
  if (ask.spec.gpu_milli >= milli_per_device) return device.whole();
  return may_share(device, ask) && device.milli >= ask.spec.gpu_milli &&
         device.memory_bytes >= memory_of(ask, device.all_memory_bytes);
}

}  // namespace

std::optional<std::vector<DeviceGrant>> Room::put(const Ask& ask) {
  if (cpu_milli < ask.session->cpu_milli ||
      memory_bytes < static_cast<std::int64_t>(ask.session->memory_bytes))
    return std::nullopt;
  std::vector<DeviceGrant> grants;
  while (grants.size() < ask.spec.gpus) {
    const Device* best = nullptr;
    for (const Device& device : devices) {
      const auto index = static_cast<std::uint32_t>(&device - devices.data());
      const bool granted =
          std::any_of(grants.begin(), grants.end(),
                      [&](const auto& one) { return one.device == index; });
      if (granted || !serves(device, ask)) continue;
      if (!best || device.milli < best->milli) best = &device;
    }
    if (!best) return std::nullopt;
    const auto memory = memory_of(ask, best->all_memory_bytes);
    grants.push_back({static_cast<std::uint32_t>(best - devices.data()),
                      ask.spec.gpu_milli, static_cast<std::uint64_t>(memory)});
  }
  take(ask, grants);
  return grants;
}

void Room::take(const Ask& ask, const std::vector<DeviceGrant>& grants) {
  cpu_milli -= ask.session->cpu_milli;
  memory_bytes -= static_cast<std::int64_t>(ask.session->memory_bytes);
  for (const auto& grant : grants) {
    Device& device = devices.at(grant.device);
    device.milli -= grant.milli;
    device.memory_bytes -= static_cast<std::int64_t>(grant.memory_bytes);
    if (grant.milli < milli_per_device) device.sharers.push_back(ask.sharer);
  }
}

void Room::give(const Ask& ask, const std::vector<DeviceGrant>& grants) {
  cpu_milli += ask.session->cpu_milli;
  memory_bytes += static_cast<std::int64_t>(ask.session->memory_bytes);
  for (const auto& grant : grants) {
    Device& device = devices.at(grant.device);
    device.milli += grant.milli;
    device.memory_bytes += static_cast<std::int64_t>(grant.memory_bytes);
    const auto own =
        std::find(device.sharers.begin(), device.sharers.end(), ask.sharer);
    if (grant.milli < milli_per_device && own != device.sharers.end())
      device.sharers.erase(own);
  }
}

bool Room::overdrawn() const {
  return cpu_milli < 0 || memory_bytes < 0 ||
         std::any_of(devices.begin(), devices.end(), [](const Device& one) {
           return one.milli < 0 || one.memory_bytes < 0;
         });
}

Rooms rooms_of(const cluster::State& state, bool idle) {
  Rooms rooms;
  for (const auto& node : state.nodes()) {
    Room& room = rooms[node.id.value];
    room.cpu_milli = node.cpu_milli;
    room.memory_bytes = static_cast<std::int64_t>(node.memory_bytes);
    for (const auto& device : node.devices) {
      const auto memory = static_cast<std::int64_t>(device.memory_bytes);
      room.devices.push_back({milli_per_device, memory, memory,
                              node.quarantine_of(device) == nullptr});
    }
    if (idle) continue;
    room.cpu_milli -= static_cast<std::int64_t>(node.used_cpu_milli);
    room.memory_bytes -= static_cast<std::int64_t>(node.used_memory_bytes);
    for (std::size_t i = 0; i < node.devices.size(); ++i) {
      room.devices[i].milli -= node.devices[i].used_milli;
      room.devices[i].memory_bytes -=
          static_cast<std::int64_t>(node.devices[i].used_memory_bytes);
    }
  }
  if (idle) return rooms;
  state.visit_sessions({}, [&](const cluster::Session& session) {
    for (const cluster::Task& task : session.tasks)
      for (const auto& share : task.devices)
        if (task.phase != cluster::TaskPhase::exited &&
            share.milli() < milli_per_device)
          rooms.at(task.node.value)
              .devices.at(share.device())
              .sharers.push_back(sharer_in(state, session));
    return true;
  });
  return rooms;
}

std::vector<DeviceGrant> grants_of(const cluster::Task& task) {
  std::vector<DeviceGrant> grants;
  for (const auto& share : task.devices)
    grants.push_back({share.device(), share.milli(), share.memory_bytes()});
  return grants;
}

bool welcome(const Ask& ask, const cluster::Node& node) {
  return node.offered() && node.group == ask.spec.group &&
         node.simulated == ask.session->simulated &&
         (ask.spec.on_node.empty() || node.name == ask.spec.on_node) &&
         ask.constraint.matches(cluster::facts_of(node));
}

cluster::Policy policy_of(const cluster::State& state,
                          const std::string& group) {
  const auto* found = state.accounts().find(schema::AccountKind::group, group);
  if (!found || found->policy.empty()) return {};
  return cluster::parse_policy(found->policy).value();
}

Rooms unreserved(const cluster::State& state, Rooms rooms, const Ask& ask,
                 Time from) {
  const std::uint64_t limit_ns = ask.session->time_limit_ns;
  const Time end{from.value +
                 (limit_ns != 0 ? limit_ns : cluster::running_ns_max)};
  for (const auto& node : state.nodes()) {
    Room& room = rooms.at(node.id.value);
    const auto close = [&](const cluster::Reservation& kept, bool covered) {
      for (std::uint32_t i = 0; i < room.devices.size(); ++i)
        if (kept.covers_device(i) == covered) room.devices[i] = {};
    };
    bool open = ask.spec.reservation.empty();
    for (const auto& [name, kept] : state.reservations().all()) {
      const auto window = kept.window_at(from);
      if (!kept.covers(node.name) || !window) continue;
      if (name == ask.spec.reservation) {
        open = window->from <= from;
        close(kept, false);
      } else if (window->from < end && !kept.devices.empty()) {
        close(kept, true);
      } else if (window->from < end) {
        open = false;
        break;
      }
    }
    if (open) continue;
    room = {};
    room.cpu_milli = -1;  // not even for what needs nothing
  }
  return rooms;
}

bool fits(const cluster::State& state, const Rooms& rooms, const Ask& ask) {
  const std::uint32_t tasks = ask.session->tasks_wanted;
  std::vector<std::uint32_t> on_node;
  for (const auto& node : state.nodes()) {
    if (!welcome(ask, node)) continue;
    Room room = rooms.at(node.id.value);
    std::uint32_t count = 0;
    while (count < tasks && room.put(ask)) ++count;
    on_node.push_back(count);
  }
  if (ask.spec.nodes == 0)
    return std::accumulate(on_node.begin(), on_node.end(), 0u) >= tasks;
  // Over so many nodes, as evenly as it goes.
  std::sort(on_node.begin(), on_node.end(), std::greater<>());
  if (on_node.size() < ask.spec.nodes) return false;
  for (std::uint32_t i = 0; i < ask.spec.nodes; ++i) {
    const std::uint32_t wanted =
        tasks / ask.spec.nodes + (i < tasks % ask.spec.nodes ? 1 : 0);
    if (on_node[i] < wanted) return false;
  }
  return true;
}

}  // namespace reeve::sim

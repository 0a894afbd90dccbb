// State::check_invariants: everything that is kept as a sum, counted again.
#include <fmt/format.h>

#include "cluster/state.hpp"

namespace reeve::cluster {
namespace {

struct DeviceUse {
  std::uint64_t milli = 0;
  std::uint64_t memory_bytes = 0;
  Sharers users;
  Sharers projects;
};

struct NodeUse {
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::size_t holders = 0;
  std::vector<DeviceUse> devices;
};

void add(NodeUse& use, const Session& session, const Task& task) {
  use.cpu_milli += session.cpu_milli;
  use.memory_bytes += session.memory_bytes;
  ++use.holders;
  for (const auto& share : task.devices) {
    DeviceUse& device = use.devices[share.device()];
    device.milli += share.milli();
    device.memory_bytes += share.memory_bytes();
    if (share.milli() == milli_per_device) continue;
    device.users.add(session.owners.user);
    device.projects.add(session.owners.project);
  }
}

Status broken(std::string text) {
  return fail(Errc::internal, "broken invariant: " + std::move(text));
}

Status check_device(const Node& node, std::size_t index, const DeviceUse& use) {
  const Device& device = node.devices[index];
  if (use.milli != device.used_milli ||
      use.memory_bytes != device.used_memory_bytes)
    return broken(fmt::format(
        "device {} of node {}: {} milli and {} bytes are held, {} and {} are "
        "booked",
        index, node.name, use.milli, use.memory_bytes, device.used_milli,
        device.used_memory_bytes));
  if (use.users != device.users || use.projects != device.projects)
    return broken(fmt::format(
        "device {} of node {}: {} shares are held, {} are booked, or not those "
        "of the same users and projects",
        index, node.name, use.users.count(), device.users.count()));
  if (use.milli > milli_per_device || use.memory_bytes > device.memory_bytes)
    return broken(fmt::format(
        "device {} of node {} is over-committed: {} of {} milli, {} of {} "
        "bytes",
        index, node.name, use.milli, milli_per_device, use.memory_bytes,
        device.memory_bytes));
  return {};
}

Status check_node(const Node& node, const NodeUse& use) {
  if (use.cpu_milli != node.used_cpu_milli ||
      use.memory_bytes != node.used_memory_bytes ||
      use.holders != node.holders.size())
    return broken(fmt::format(
        "node {}: {} milli-CPU, {} bytes in {} tasks are held; {}, {} in {} "
        "are booked",
        node.name, use.cpu_milli, use.memory_bytes, use.holders,
        node.used_cpu_milli, node.used_memory_bytes, node.holders.size()));
  if (node.refused && !node.draining)
    return broken(fmt::format("node {} is refused and offered", node.name));
  for (std::size_t i = 0; i < node.devices.size(); ++i)
    if (auto status = check_device(node, i, use.devices[i]); !status)
      return status;
  return {};
}

// What was placed before goes on, and nothing comes after.
Status check_quarantine(const Node& node, const Session& session,
                        const Task& task) {
  if (node.quarantined.empty()) return {};
  for (const auto& share : task.devices) {
    const auto* found = node.quarantine_of(node.devices[share.device()]);
    if (found && session.placed_at > found->second.since)
      return broken(fmt::format(
          "s-{} was placed at {} on device {} of node {}, in quarantine since "
          "{}",
          session.id.value, session.placed_at.value, share.device(), node.name,
          found->second.since.value));
  }
  return {};
}

// A device is out while it is tested, and not longer.
Status check_tests(const Node& node) {
  for (const auto& [uuid, test] : node.testing)
    if (!node.quarantined.contains(uuid))
      return broken(fmt::format(
          "{} of node {} is offered while it is tested, as event {} asked for",
          uuid, node.name, test.id.value));
  for (const auto& [uuid, one] : node.quarantined)
    if (one.for_test && !node.testing.contains(uuid))
      return broken(
          fmt::format("{} of node {} is in quarantine for a test that nobody "
                      "asked for",
                      uuid, node.name));
  return {};
}

Status check_session(const Session& session) {
  std::size_t exited = 0;
  std::size_t started = 0;
  for (const Task& task : session.tasks) {
    exited += task.phase == TaskPhase::exited ? 1 : 0;
    started += task.facts.started_at() != 0 ? 1 : 0;
    if (task.phase == TaskPhase::started && task.facts.started_at() == 0)
      return broken(fmt::format("s-{} has a task that runs since never",
                                session.id.value));
  }
  if (started != session.tasks_started)
    return broken(fmt::format("s-{}: {} tasks have started, {} are counted",
                              session.id.value, started,
                              session.tasks_started));
  if (exited != session.tasks_exited)
    return broken(fmt::format("s-{}: {} tasks have exited, {} are counted",
                              session.id.value, exited, session.tasks_exited));
  if (session.state == SessionState::pending && !session.tasks.empty())
    return broken(fmt::format("s-{} waits and holds {} tasks", session.id.value,
                              session.tasks.size()));
  if (has_ended(session.state) && exited != session.tasks.size())
    return broken(fmt::format("s-{} has ended and still holds {} tasks",
                              session.id.value, session.tasks.size() - exited));
  return {};
}

Status check_account(const Account& kept, const Account& counted) {
  const Amounts& a = counted.held;
  const Amounts& b = kept.held;
  if (a != b)
    return broken(fmt::format(
        "{} {}: {} sessions, {} waiting, {} milli-CPU, {} bytes, {} milli-GPU "
        "are held; {}, {}, {}, {}, {} are booked",
        schema::EnumNameAccountKind(kept.kind), kept.name, a.sessions,
        a.waiting, a.cpu_milli, a.memory_bytes, a.gpu_milli, b.sessions,
        b.waiting, b.cpu_milli, b.memory_bytes, b.gpu_milli));
  return {};
}

}  // namespace

Status State::check_invariants() const {
  std::vector<NodeUse> uses(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    uses[i].devices.resize(nodes_[i].devices.size());
  std::array<std::uint64_t, session_states> counts{};
  Accounts accounts = accounts_.without_holdings();
  Status status;
  visit_sessions(SessionId{}, [&](const Session& session) {
    ++counts[static_cast<std::size_t>(session.state)];
    accounts.add(session.owners, amounts_of(session.state));
    status = check_session(session);
    for (const Task& task : session.tasks)
      if (task.phase != TaskPhase::exited) {
        add(uses[task.node.value], session, task);
        accounts.add(session.owners, amounts_of(session, task));
        if (status)
          status = check_quarantine(nodes_[task.node.value], session, task);
      }
    return status.has_value();
  });
  if (!status) return status;
  for (std::size_t i = 0; i < session_states; ++i)
    if (counts[i] != counts_[i])
      return broken(fmt::format(
          "{} sessions are {}, {} are counted", counts[i],
          schema::EnumNameSessionState(static_cast<SessionState>(i)),
          counts_[i]));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (status = check_node(nodes_[i], uses[i]); !status) return status;
    if (status = check_tests(nodes_[i]); !status) return status;
  }
  for (std::size_t i = 0; i < accounts_.all().size(); ++i)
    if (status = check_account(accounts_.all()[i], accounts.all()[i]); !status)
      return status;
  if (status = identities_.check(); !status) return status;
  return healings_.check(last_sequence_);
}

}  // namespace reeve::cluster

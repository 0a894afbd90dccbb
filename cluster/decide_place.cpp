// The manager's own check of a placement, against the newest state.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide.hpp"
#include "cluster/node_spec.hpp"

namespace reeve::cluster {
namespace {

std::string sharing_text(const Account& group) {
  if (group.gpu_sharing == GpuSharing::none)
    return fmt::format("group {} gives no shares of a GPU", group.name);
  return fmt::format(
      "its shares are of another {0}, and in group {1} one {0} "
      "at a time shares a GPU",
      schema::EnumNameGpuSharing(group.gpu_sharing), group.name);
}

Rejection stale(std::string text) {
  return {RejectCode::wrong_state, "placement_stale", std::move(text), 0, 0};
}

std::optional<Rejection> in_quarantine(const Node& node,
                                       const TaskProposal& task) {
  for (const DeviceGrant& grant : task.devices) {
    if (grant.device >= node.devices.size()) continue;
    const auto* found = node.quarantine_of(node.devices[grant.device]);
    if (!found) continue;
    return Rejection{RejectCode::wrong_state, "device_quarantined",
                     fmt::format("device {} of node {} is quarantined: {}",
                                 grant.device, node.name, found->second.reason),
                     0, grant.device};
  }
  return std::nullopt;
}

// Whether the other shares of a GPU are of those that the group lets together.
bool may_share(const Device& device, GpuSharing setting, const Owners& owners) {
  const AccountIndex sharer = sharer_of(setting, owners);
  if (sharer == any_sharer || sharer == no_sharer) return sharer == any_sharer;
  const bool by_user = setting == GpuSharing::user;
  return (by_user ? device.users : device.projects).all_are(sharer);
}

std::optional<Rejection> shared_by_others(const State& state,
                                          const Session& session,
                                          const Node& node,
                                          const TaskProposal& task) {
  const Account& group = state.accounts().at(session.owners.group);
  for (const DeviceGrant& grant : task.devices) {
    const bool share = grant.milli < milli_per_device;
    if (!share || grant.device >= node.devices.size()) continue;
    if (may_share(node.devices[grant.device], group.gpu_sharing,
                  session.owners))
      continue;
    return Rejection{RejectCode::wrong_state, "gpu_sharing",
                     fmt::format("device {} of node {}: {}", grant.device,
                                 node.name, sharing_text(group)),
                     0, grant.device};
  }
  return std::nullopt;
}

// What the tasks looked at so far take of one node.
struct Taken {
  NodeId node;
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> devices;
};

Taken& taken_of(std::vector<Taken>& all, const Node& node) {
  for (Taken& taken : all)
    if (taken.node == node.id) return taken;
  Taken& taken = all.emplace_back();
  taken.node = node.id;
  taken.devices.resize(node.devices.size());
  return taken;
}

std::optional<std::string> take_devices(const Node& node, Taken& taken,
                                        const TaskProposal& task) {
  for (const DeviceGrant& grant : task.devices) {
    if (grant.device >= node.devices.size())
      return fmt::format("node {} has no device {}", node.name, grant.device);
    const Device& device = node.devices[grant.device];
    auto& [milli, memory_bytes] = taken.devices[grant.device];
    milli += grant.milli;
    memory_bytes += grant.memory_bytes;
    if (grant.milli == 0 || device.used_milli + milli > milli_per_device ||
        device.used_memory_bytes + memory_bytes > device.memory_bytes)
      return fmt::format("device {} of node {} has no room", grant.device,
                         node.name);
  }
  return std::nullopt;
}

std::optional<std::string> take(const Session& session, const Node& node,
                                Taken& taken, const TaskProposal& task) {
  if (!node.offered()) return fmt::format("node {} is not offered", node.name);
  if (node.simulated != session.simulated)
    return fmt::format("node {} is {}simulated", node.name,
                       node.simulated ? "" : "not ");
  taken.cpu_milli += session.cpu_milli;
  taken.memory_bytes += session.memory_bytes;
  if (node.used_cpu_milli + taken.cpu_milli > node.cpu_milli)
    return fmt::format("node {} has no CPU left", node.name);
  if (node.used_memory_bytes + taken.memory_bytes > node.memory_bytes)
    return fmt::format("node {} has no memory left", node.name);
  return take_devices(node, taken, task);
}

bool takes_of(const TaskProposal& task, const Reservation& reservation) {
  return reservation.devices.empty() ||
         std::any_of(task.devices.begin(), task.devices.end(),
                     [&](const DeviceGrant& grant) {
                       return reservation.covers_device(grant.device);
                     });
}

// What is kept now is for those who name it.
std::optional<std::string> kept_for_others(const State& state,
                                           std::string_view own,
                                           const Node& node,
                                           const TaskProposal& task, Time now) {
  for (const auto& [name, reservation] : state.reservations().all())
    if (name != own && reservation.covers(node.name) &&
        takes_of(task, reservation) && reservation.holds_at(now))
      return fmt::format("reservation {} keeps node {}", name, node.name);
  return std::nullopt;
}

// Whether the reservation that it asks for, if any, is there for it now.
std::optional<std::string> not_let_in(const State& state, const Spec& spec,
                                      Time now) {
  if (spec.reservation.empty()) return std::nullopt;
  const Reservation* own = state.reservations().find(spec.reservation);
  if (!own || !own->holds_at(now)) return "its reservation does not hold now";
  if (is_for(*own, state.accounts(), spec.user, spec.project))
    return std::nullopt;
  return fmt::format("reservation {} is not for {} in project {}", own->name,
                     spec.user, spec.project);
}

std::optional<std::string> outside_reservation(const Reservation& own,
                                               const Node& node,
                                               const TaskProposal& task) {
  const bool inside = own.covers(node.name) &&
                      std::all_of(task.devices.begin(), task.devices.end(),
                                  [&](const DeviceGrant& grant) {
                                    return own.covers_device(grant.device);
                                  });
  if (inside) return std::nullopt;
  return fmt::format("node {} is not in its reservation", node.name);
}

// Labels and reservations: what the session chose, and what others keep.
std::optional<std::string> misplaced(const State& state, const Session& session,
                                     const Proposal& proposal, Time now) {
  const Spec spec = state.spec(session);
  const bool chooses = !spec.constraint.empty() || !spec.within.empty() ||
                       !spec.reservation.empty();
  if (!chooses && state.reservations().all().empty()) return std::nullopt;
  Constraint constraint;
  if (!spec.constraint.empty())
    if (auto parsed = Constraint::parse(spec.constraint))
      constraint = std::move(*parsed);
  if (auto why = not_let_in(state, spec, now)) return why;
  const Reservation* own = state.reservations().find(spec.reservation);
  const std::string* place = nullptr;
  for (const TaskProposal& task : proposal.tasks) {
    const Node& node = *state.node(task.node);
    if (auto why = kept_for_others(state, spec.reservation, node, task, now))
      return why;
    if (!chooses) continue;
    if (!spec.reservation.empty())
      if (auto why = outside_reservation(*own, node, task)) return why;
    if (!constraint.matches(facts_of(node)))
      return fmt::format("node {} does not satisfy {}", node.name,
                         spec.constraint);
    if (spec.within.empty()) continue;
    const std::string* value = find_label(node.labels, spec.within);
    if (!value || (place && *place != *value))
      return fmt::format("node {} is not within one {}", node.name,
                         spec.within);
    place = value;
  }
  return std::nullopt;
}

Amounts wanted(const Session& session, const Proposal& proposal) {
  const std::uint64_t tasks = proposal.tasks.size();
  Amounts out{1, 0, tasks * session.cpu_milli, tasks * session.memory_bytes, 0};
  for (const TaskProposal& task : proposal.tasks)
    for (const DeviceGrant& grant : task.devices) out.gpu_milli += grant.milli;
  return out;
}

void write_placed(const Session& session, const Proposal& proposal,
                  EventWriter& writer) {
  auto& builder = writer.builder();
  std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
  tasks.reserve(proposal.tasks.size());
  std::vector<schema::DeviceShare> shares;
  for (const TaskProposal& task : proposal.tasks) {
    shares.clear();
    for (const DeviceGrant& grant : task.devices)
      shares.emplace_back(grant.device, grant.milli, grant.memory_bytes);
    const auto devices =
        shares.empty() ? 0 : builder.CreateVectorOfStructs(shares);
    tasks.push_back(
        schema::CreateTaskPlacement(builder, task.node.value, devices));
  }
  const auto list = builder.CreateVector(tasks);
  writer.add(schema::CreateSessionPlaced(builder, session.id.value,
                                         session.attempt, list),
             session.last_seq);
}

}  // namespace

Decision decide_place(const State& state, const Proposal& proposal,
                      const Origin& origin, EventWriter& writer) {
  const Session* session = state.session(proposal.session);
  if (!session || session->state != SessionState::pending ||
      session->attempt != proposal.attempt)
    return tl::unexpected(stale("the session does not wait any more"));
  if (proposal.tasks.size() != session->tasks_wanted)
    return tl::unexpected(
        stale(fmt::format("{} tasks are placed, {} are wanted",
                          proposal.tasks.size(), session->tasks_wanted)));
  if (session->not_before > origin.now)
    return tl::unexpected(stale("the session may not start yet"));
  if (session->depends)
    for (const auto& dependency : state.spec(*session).after) {
      const Session* other = state.session(SessionId{dependency.session()});
      if (other && !(has_ended(other->state) &&
                     satisfied(dependency.kind(), other->state)))
        return tl::unexpected(stale("what it depends on has not ended so"));
    }
  std::vector<Taken> taken;
  for (const TaskProposal& task : proposal.tasks) {
    const Node* node = state.node(task.node);
    if (!node) return tl::unexpected(stale("there is no such node"));
    if (auto no = in_quarantine(*node, task))
      return tl::unexpected(std::move(*no));
    if (auto no = shared_by_others(state, *session, *node, task))
      return tl::unexpected(std::move(*no));
    if (auto why = take(*session, *node, taken_of(taken, *node), task))
      return tl::unexpected(stale(std::move(*why)));
  }
  if (auto why = misplaced(state, *session, proposal, origin.now))
    return tl::unexpected(stale(std::move(*why)));
  if (const auto no = state.accounts().excess(
          session->owners, wanted(*session, proposal), origin.now))
    return tl::unexpected(Rejection{RejectCode::over_limit, "quota",
                                    to_text(*no), no->limit, no->held});
  writer.begin(origin);
  const Sequence first = writer.next();
  write_placed(*session, proposal, writer);
  return Accepted{first, session->id};
}

}  // namespace reeve::cluster

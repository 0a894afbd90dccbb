// Nodes join, leave and rest; a cell begins; a manager leads.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/decide_internal.hpp"
#include "cluster/node_spec.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/scheduling/request.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {

Rejection unknown_node(const State& state, std::string_view name) {
  if (state.barred_node(name))
    return reject(RejectCode::not_found, "node_removed",
                  fmt::format("node {} was removed; \"reeve node resume {}\" "
                              "lets it join again",
                              name, name));
  return reject(
      RejectCode::not_found, "node_unknown",
      fmt::format("there is no node '{}' (reeve nodes lists them)", name));
}

namespace {

std::size_t device_count(const schema::NodeSpec& spec) {
  return spec.devices() ? spec.devices()->size() : 0;
}

// What a task holds must stay what and where it is.
std::optional<Rejection> check_held_devices(const Node& node,
                                            const schema::NodeSpec& spec) {
  for (std::size_t i = 0; i < node.devices.size(); ++i) {
    const Device& device = node.devices[i];
    if (device.used_milli == 0 || same_device(device, spec, i)) continue;
    return reject(
        RejectCode::wrong_state, "device_in_use",
        fmt::format("device {} of node {} ({}) is held by a task and is not "
                    "in the new inventory: end the tasks that hold it first",
                    i, node.name, device.uuid),
        0, device.used_milli);
  }
  return std::nullopt;
}

std::optional<Rejection> check_labels(const schema::NodeSpec& spec) {
  const Labels labels = labels_of(spec.labels());
  const std::string_view name = schema::text(spec.name());
  if (labels.size() > node_labels_max)
    return reject(RejectCode::over_limit, "node_labels_max",
                  fmt::format("node {} has {} labels; at most {} are possible",
                              name, labels.size(), node_labels_max),
                  node_labels_max, labels.size());
  for (const auto& label : labels) {
    if (auto good = check_label_key(label.first); !good)
      return reject(RejectCode::malformed, "node_label",
                    fmt::format("node {}: {}", name, good.error().text));
    const std::size_t bytes = std::max(label.first.size(), label.second.size());
    if (bytes > name_bytes_max)
      return reject(RejectCode::over_limit, "name_bytes_max",
                    fmt::format("label {} of node {} has {} bytes; at most {} "
                                "are possible",
                                label.first, name, bytes, name_bytes_max),
                    name_bytes_max, bytes);
    if (find_label(labels, label.first) != &label.second)
      return reject(
          RejectCode::malformed, "node_label",
          fmt::format("node {} has label {} twice", name, label.first));
  }
  return std::nullopt;
}

// Links go from a device to each of the node, or are not known at all.
std::optional<Rejection> check_links(const schema::NodeSpec& spec) {
  for (std::uint32_t i = 0; i < device_count(spec); ++i) {
    const auto* links = spec.devices()->Get(i)->links();
    if (!links || links->size() == 0) continue;
    if (links->size() != device_count(spec))
      return reject(RejectCode::malformed, "device_links",
                    fmt::format("device {} of node {} has links to {} devices; "
                                "there are {}",
                                i, schema::text(spec.name()), links->size(),
                                device_count(spec)),
                    device_count(spec), links->size());
  }
  return std::nullopt;
}

// By its model the scheduler knows an instance from a whole device.
std::optional<Rejection> check_instances(const schema::NodeSpec& spec) {
  for (std::uint32_t i = 0; i < device_count(spec); ++i) {
    const auto* device = spec.devices()->Get(i);
    if (schema::text(device->mig_of()).empty() ||
        is_mig_model(lower_case(device->model()->c_str())))
      continue;
    return reject(
        RejectCode::malformed, "device_mig_model",
        fmt::format("device {} of node {} is a part of {}, but its model, {}, "
                    "does not say which: \"MODEL MIG PROFILE\" does",
                    i, schema::text(spec.name()),
                    schema::text(device->mig_of()),
                    schema::text(device->model())));
  }
  return std::nullopt;
}

// By its uuid a device is known for good; a driver may not tell it.
std::optional<Rejection> check_uuids(const schema::NodeSpec& spec) {
  std::map<std::string_view, std::uint32_t> known;
  for (std::uint32_t i = 0; i < device_count(spec); ++i) {
    const std::string_view uuid = schema::text(spec.devices()->Get(i)->uuid());
    if (uuid.empty()) continue;
    const auto [first, fresh] = known.try_emplace(uuid, i);
    if (fresh) continue;
    return reject(
        RejectCode::malformed, "device_uuid",
        fmt::format("devices {} and {} of node {} have the same "
                    "uuid, {}",
                    first->second, i, schema::text(spec.name()), uuid),
        first->second, i);
  }
  return std::nullopt;
}

bool is_member_agent(const State& state, std::string_view agent) {
  return state.identities().find(principal_of(IdentityRole::agent, agent));
}

// The agent of a node that is to go has no other.
bool is_last_node(const State& state, const Node& node) {
  return std::none_of(state.nodes().begin(), state.nodes().end(),
                      [&](const Node& other) {
                        return other.id != node.id && !other.removed &&
                               other.agent == node.agent;
                      });
}

// A host that joined is one node, by the name in its token, and real: it takes
// no name that another may want and offers nothing that is not there.
std::optional<Rejection> check_member(const State& state,
                                      std::string_view agent,
                                      const schema::NodeSpec& spec,
                                      const Origin& origin) {
  const std::string_view name = schema::text(spec.name());
  if (origin.principal == state.owner() || !is_member_agent(state, agent) ||
      (name == agent && !spec.simulated()))
    return std::nullopt;
  return reject(
      RejectCode::forbidden, "node_of_member",
      fmt::format("agent {0} joined as the node {0} and declares {1} node {2}: "
                  "another host joins by a token of its own (reeve token "
                  "create --role agent), and the owner of the cell declares "
                  "simulated ones",
                  agent, spec.simulated() ? "a simulated" : "the", name));
}

std::optional<Rejection> check_spec(const State& state, const Node* known,
                                    std::string_view agent,
                                    const schema::NodeSpec& spec,
                                    const Origin& origin) {
  const std::string_view name = schema::text(spec.name());
  const std::size_t devices = device_count(spec);
  if (name.empty() || name.size() > name_bytes_max)
    return reject(RejectCode::malformed, "node_name",
                  fmt::format("a node's name has 1 to {} bytes, not {}",
                              name_bytes_max, name.size()),
                  name_bytes_max, name.size());
  if (devices > devices_per_node_max)
    return reject(RejectCode::over_limit, "devices_per_node_max",
                  fmt::format("node {} declares {} devices; at most {} are "
                              "possible",
                              name, devices, devices_per_node_max),
                  devices_per_node_max, devices);
  const std::size_t limits = spec.limits() ? spec.limits()->size() : 0;
  if (limits > node_limits_max)
    return reject(RejectCode::over_limit, "node_limits_max",
                  fmt::format("node {} names {} limits; at most {} are "
                              "possible",
                              name, limits, node_limits_max),
                  node_limits_max, limits);
  if (const std::size_t bytes = text_bytes(spec); bytes > node_spec_bytes_max)
    return reject(RejectCode::over_limit, "node_spec_bytes_max",
                  fmt::format("the texts of node {} have {} bytes; at most {} "
                              "are possible",
                              name, bytes, node_spec_bytes_max),
                  node_spec_bytes_max, bytes);
  if (auto no = check_member(state, agent, spec, origin)) return no;
  if (auto no = check_labels(spec)) return no;
  if (auto no = check_links(spec)) return no;
  if (auto no = check_uuids(spec)) return no;
  if (auto no = check_instances(spec)) return no;
  // Its owner may add it again by hand; an agent only joins where it may.
  if (!known && origin.principal != state.owner() && state.barred_node(name))
    return reject(RejectCode::wrong_state, "node_removed",
                  fmt::format("node {} was removed from the cell: \"reeve node "
                              "resume {}\" lets it join again; to be rid of "
                              "it, stop its daemon",
                              name, name));
  if (!known && state.nodes().size() >= nodes_max)
    return reject(
        RejectCode::over_limit, "nodes_max",
        fmt::format("the cell has {} nodes, its bound", state.nodes().size()),
        nodes_max, state.nodes().size());
  if (known && known->simulated != spec.simulated())
    return reject(RejectCode::wrong_state, "node_kind",
                  fmt::format("node {} is {}; a node cannot turn into the "
                              "other kind",
                              name, known->simulated ? "simulated" : "real"));
  if (known && known->agent != agent &&
      (!known->lost || is_member_agent(state, known->agent)))
    return reject(
        RejectCode::wrong_state, "node_taken",
        fmt::format("node {0} is run by agent {1}: give the node of agent {2} "
                    "another name, or take that one out first (reeve node "
                    "remove {0})",
                    name, known->agent, agent));
  if (known) return check_held_devices(*known, spec);
  return std::nullopt;
}

}  // namespace

void decide_creation(std::string_view cell, std::string_view owner,
                     std::uint32_t owner_uid, const Origin& origin,
                     EventWriter& writer) {
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto cell_name = build_text(builder, cell);
  const auto owner_name = build_text(builder, owner);
  const Sequence created = writer.add(
      schema::CreateCellCreated(builder, cell_name, owner_name), Sequence{});
  writer.add(
      schema::CreateGroupCreated(builder, build_text(builder, default_group)),
      created);
  writer.add(
      schema::CreateProjectCreated(builder, build_text(builder, "default")),
      created);
  writer.add(
      schema::CreateUserCreated(builder, build_text(builder, owner), owner_uid),
      created);
}

void decide_epoch(std::string_view manager, const Origin& origin,
                  EventWriter& writer, SessionId first_session) {
  writer.begin(origin);
  auto& builder = writer.builder();
  writer.add(schema::CreateEpochStarted(builder, build_text(builder, manager),
                                        first_session.value),
             Sequence{});
}

Decision decide_register(const State& state, std::string_view agent,
                         const schema::NodeSpec& spec, bool reconciled,
                         const Origin& origin, EventWriter& writer,
                         const AgentProgram& program) {
  const Node* known = state.node(schema::text(spec.name()));
  if (auto no = check_spec(state, known, agent, spec, origin))
    return tl::unexpected(std::move(*no));
  // It may run what an earlier node of its name left: it joins when that is
  // known to have ended.
  if (!known && !reconciled && !spec.simulated())
    return Accepted{state.last_sequence(), {}};
  writer.begin(origin);
  const Sequence first = writer.next();
  const auto id = known ? known->id.value
                        : static_cast<std::uint32_t>(state.nodes().size());
  Sequence cause;
  if (!known || !same_inventory(*known, agent, spec) ||
      known->version != program.version ||
      known->protocol != program.protocol) {
    auto& builder = writer.builder();
    const auto agent_text = build_text(builder, agent);
    const auto copy = copy_node(builder, spec);
    cause =
        writer.add(schema::CreateNodeRegistered(
                       builder, id, agent_text, copy,
                       build_text(builder, program.version), program.protocol),
                   Sequence{});
  }
  if (known && known->refused)
    writer.add(schema::CreateNodeResumed(writer.builder(), id), cause);
  if (known && known->lost && reconciled)
    writer.add(schema::CreateNodeReturned(writer.builder(), id), cause);
  return Accepted{writer.next() == first ? state.last_sequence() : first, {}};
}

void decide_refused(const State& state, std::string_view agent,
                    std::string_view why, const Origin& origin,
                    EventWriter& writer) {
  for (const Node& node : state.nodes()) {
    if (node.agent != agent || node.removed || node.simulated) continue;
    if (node.draining && (!node.refused || node.drain_reason == why)) continue;
    writer.begin(origin);
    auto& builder = writer.builder();
    const auto reason = build_text(builder, why);
    writer.add(
        schema::CreateNodeDrained(builder, node.id.value, reason, 0, true),
        Sequence{});
  }
}

Decision decide_drain(const State& state, const schema::DrainNode& command,
                      const Origin& origin, EventWriter& writer) {
  const Node* node = state.node(schema::text(command.node()));
  if (!node)
    return tl::unexpected(unknown_node(state, schema::text(command.node())));
  if (command.deadline_ns() > drain_ns_max)
    return tl::unexpected(
        reject(RejectCode::over_limit, "drain_ns_max",
               fmt::format("the deadline is {} ns away; at most {} are "
                           "possible",
                           command.deadline_ns(), drain_ns_max),
               drain_ns_max, command.deadline_ns()));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto reason = build_text(builder, schema::text(command.reason()));
  const std::uint64_t deadline_at =
      command.deadline_ns() ? origin.now.value + command.deadline_ns() : 0;
  const Sequence seq = writer.add(
      schema::CreateNodeDrained(builder, node->id.value, reason, deadline_at),
      Sequence{});
  return Accepted{seq, {}};
}

Decision decide_resume(const State& state, const schema::ResumeNode& command,
                       const Origin& origin, EventWriter& writer) {
  const std::string_view name = schema::text(command.node());
  const Node* node = state.node(name);
  if (!node) node = state.barred_node(name);
  if (!node) return tl::unexpected(unknown_node(state, name));
  if (!node->draining && !node->barred)
    return Accepted{state.last_sequence(), {}};
  writer.begin(origin);
  return Accepted{
      writer.add(schema::CreateNodeResumed(writer.builder(), node->id.value),
                 Sequence{}),
      {}};
}

Decision decide_remove(const State& state, const schema::RemoveNode& command,
                       const Origin& origin, EventWriter& writer) {
  const Node* node = state.node(schema::text(command.node()));
  if (!node)
    return tl::unexpected(unknown_node(state, schema::text(command.node())));
  if (!node->holders.empty())
    return tl::unexpected(reject(
        RejectCode::wrong_state, "node_in_use",
        fmt::format("parts of node {0} are held by {1} (the first is of s-{2}):"
                    " drain it first (reeve node drain {0} --deadline 1h) and "
                    "wait, or cancel them",
                    node->name, counted(node->holders.size(), "task"),
                    node->holders.front().value),
        0, node->holders.size()));
  writer.begin(origin);
  const Sequence removed = writer.add(
      schema::CreateNodeRemoved(writer.builder(), node->id.value), Sequence{});
  if (is_last_node(state, *node))
    write_identity_removed(
        state, principal_of(IdentityRole::agent, node->agent),
        fmt::format("node {} was removed", node->name), removed, writer);
  return Accepted{removed, {}};
}

void decide_node_lost(const State&, const Node& node, std::uint64_t silent_ns,
                      const Origin& origin, EventWriter& writer) {
  writer.begin(origin);
  writer.add(schema::CreateNodeLost(writer.builder(), node.id.value, silent_ns),
             Sequence{});
}

void decide_node_returned(const Node& node, const Origin& origin,
                          EventWriter& writer) {
  writer.begin(origin);
  writer.add(schema::CreateNodeReturned(writer.builder(), node.id.value),
             Sequence{});
}

}  // namespace reeve::cluster

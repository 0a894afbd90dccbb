#include "cluster/simulation/events.hpp"

namespace reeve::cluster::simulation {

namespace {

// What is written is let go in pieces of this size.
constexpr std::size_t kept_bytes = 1 << 20;

flatbuffers::Offset<schema::NodeSpec> node_spec(
    flatbuffers::FlatBufferBuilder& builder, const Node& node) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (const auto& device : node.devices) {
    const auto uuid = builder.CreateSharedString(device.uuid);
    const auto mig_of =
        device.mig_of.empty() ? 0 : builder.CreateSharedString(device.mig_of);
    const auto model = builder.CreateSharedString(device.model);
    flatbuffers::Offset<flatbuffers::Vector<schema::DeviceLink>> links;
    if (!device.links.empty()) links = builder.CreateVector(device.links);
    devices.push_back(
        schema::CreateDeviceSpec(builder, uuid, model, device.memory_bytes,
                                 device.numa_node, links, mig_of));
  }
  const auto list = builder.CreateVector(devices);
  const auto name = builder.CreateString(node.name);
  const auto group = builder.CreateString(node.group);
  std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
  for (const auto& [key, value] : node.labels)
    labels.push_back(
        schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
  return schema::CreateNodeSpec(builder, name, group, node.cpu_milli,
                                node.memory_bytes, list, node.simulated, 0,
                                builder.CreateVector(labels));
}

flatbuffers::Offset<schema::ResourceRequest> resource_request(
    flatbuffers::FlatBufferBuilder& builder, const Request& request) {
  const auto models = builder.CreateVectorOfStrings(request.gpu_models);
  return schema::CreateResourceRequest(
      builder, request.cpu_milli, request.memory_bytes, request.gpus,
      request.gpu_milli, request.gpu_memory_bytes, models);
}

}  // namespace

template <class Body>
const schema::Event& EventMaker::finish(Time at,
                                        flatbuffers::Offset<Body> body) {
  if (writer_.bytes().size() > kept_bytes) writer_.take();
  writer_.begin({at, {}, {}});
  writer_.add(body, Sequence{});
  return writer_.last();
}

std::span<const std::byte> EventMaker::bytes() const {
  return writer_.bytes().subspan(writer_.last_offset());
}

const schema::Event& EventMaker::changed(const NodeChange& change,
                                         const Node& inventory) {
  const std::uint32_t node = change.node.value;
  switch (change.kind) {
    case NodeChange::Kind::joined: {
      const auto spec = node_spec(builder_, inventory);
      const auto agent = builder_.CreateString(inventory.name);
      return finish(change.at,
                    schema::CreateNodeRegistered(builder_, node, agent, spec));
    }
    case NodeChange::Kind::lost:
      return finish(change.at, schema::CreateNodeLost(builder_, node));
    case NodeChange::Kind::returned:
      return finish(change.at, schema::CreateNodeReturned(builder_, node));
    case NodeChange::Kind::drained:
      return finish(change.at, schema::CreateNodeDrained(
                                   builder_, node, 0, change.deadline.value));
    case NodeChange::Kind::resumed:
      return finish(change.at, schema::CreateNodeResumed(builder_, node));
    case NodeChange::Kind::quarantined:
      return finish(change.at, schema::CreateDeviceQuarantined(
                                   builder_, node, change.device,
                                   builder_.CreateString(change.uuid)));
    case NodeChange::Kind::released:
      return finish(change.at, schema::CreateDeviceReleased(
                                   builder_, node, change.device,
                                   builder_.CreateString(change.uuid)));
    case NodeChange::Kind::removed: break;
  }
  return finish(change.at, schema::CreateNodeRemoved(builder_, node));
}

const schema::Event& EventMaker::submitted(
    const Session& session, const Workload& work,
    const std::vector<schema::Dependency>& after, Time at,
    std::uint64_t time_limit_ns) {
  const Request& request = work.requests[session.request];
  const auto resources = resource_request(builder_, request);
  const auto user = builder_.CreateString(work.users.all()[session.user]);
  const auto project =
      builder_.CreateString(work.projects.all()[session.project]);
  const auto group = builder_.CreateString(request.group);
  const auto on_node = builder_.CreateString(request.on_node);
  const auto dependencies = builder_.CreateVectorOfStructs(after);
  const auto name = builder_.CreateString(work.names.all()[session.name]);
  const auto prefer = builder_.CreateVectorOfStrings(request.prefer);
  const auto constraint = builder_.CreateString(request.constraint);
  const auto together = builder_.CreateString(request.together);
  const auto apart = builder_.CreateString(request.apart);
  const auto within = builder_.CreateString(request.within);
  const auto reservation = builder_.CreateString(request.reservation);
  schema::SessionSpecBuilder spec(builder_);
  spec.add_name(name);
  spec.add_request(resources);
  spec.add_user(user);
  spec.add_project(project);
  spec.add_group(group);
  spec.add_on_node(on_node);
  spec.add_after(dependencies);
  spec.add_priority(session.priority);
  spec.add_tasks(request.tasks);
  spec.add_nodes(request.nodes);
  spec.add_time_limit_ns(time_limit_ns);
  spec.add_not_before_at(session.not_before.value);
  spec.add_requeue_max(session.requeue_max);
  spec.add_cut_off_ns(session.cut_off_ns);
  spec.add_simulated(request.simulated);
  spec.add_constraint(constraint);
  spec.add_prefer(prefer);
  spec.add_together(together);
  spec.add_apart(apart);
  spec.add_within(within);
  spec.add_reservation(reservation);
  spec.add_on_preempt(session.on_preempt);
  spec.add_array_session(session.array.value);
  spec.add_array_index(session.array_index);
  spec.add_array_running_max(session.array_running_max);
  return finish(at, schema::CreateSessionSubmitted(builder_, session.id.value,
                                                   spec.Finish()));
}

const schema::Event& EventMaker::placed(const Proposal& proposal, Time at) {
  std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
  std::vector<schema::DeviceShare> shares;
  for (const auto& task : proposal.tasks) {
    shares.clear();
    for (const auto& grant : task.devices)
      shares.emplace_back(grant.device, grant.milli, grant.memory_bytes);
    tasks.push_back(
        schema::CreateTaskPlacementDirect(builder_, task.node.value, &shares));
  }
  return finish(
      at, schema::CreateSessionPlacedDirect(builder_, proposal.session.value,
                                            proposal.attempt, &tasks));
}

const schema::Event& EventMaker::exited(SessionId session,
                                        std::uint32_t attempt,
                                        std::uint32_t rank,
                                        schema::EndReason reason, Time at) {
  return finish(at, schema::CreateTaskExited(builder_, session.value, attempt,
                                             rank, reason));
}

const schema::Event& EventMaker::stopping(SessionId session,
                                          std::uint32_t attempt,
                                          SessionId for_session, Time at) {
  return finish(at, schema::CreateSessionStopping(
                        builder_, session.value, attempt,
                        schema::EndReason::preempted, 0, for_session.value));
}

const schema::Event& EventMaker::requeued(SessionId session,
                                          std::uint32_t attempt,
                                          schema::EndReason reason,
                                          Time not_before, Time at) {
  return finish(at,
                schema::CreateSessionRequeued(builder_, session.value, attempt,
                                              reason, not_before.value));
}

const schema::Event& EventMaker::ended(SessionId session, std::uint32_t attempt,
                                       schema::SessionState state,
                                       schema::EndReason reason, Time at) {
  return finish(at, schema::CreateSessionEnded(builder_, session.value, attempt,
                                               state, reason));
}

}  // namespace reeve::cluster::simulation

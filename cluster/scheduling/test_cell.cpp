#include "cluster/scheduling/test_cell.hpp"

namespace reeve::cluster {

using Builder = TestCell::Builder;
using schema::EventBody;

std::vector<std::string> devices(std::uint32_t count, std::string model) {
  return std::vector<std::string>(count, std::move(model));
}

std::string uuid_of(std::uint32_t node, std::size_t device) {
  return "gpu-" + std::to_string(node) + "-" + std::to_string(device);
}

namespace {

// How device `a` is connected to each of the node.
std::vector<schema::DeviceLink> links_of(const TestNode& node, std::size_t a) {
  std::vector<schema::DeviceLink> links;
  for (std::size_t b = 0; node.joined > 0 && b < node.models.size(); ++b)
    links.push_back(a == b ? schema::DeviceLink::none
                    : a / node.joined == b / node.joined
                        ? schema::DeviceLink::nvlink
                        : schema::DeviceLink::system);
  return links;
}

}  // namespace

flatbuffers::Offset<schema::NodeSpec> node_spec(Builder& builder,
                                                const TestNode& node) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> list;
  for (const auto& model : node.models) {
    const auto uuid = uuid_of(node.number, list.size());
    const auto links = links_of(node, list.size());
    list.push_back(schema::CreateDeviceSpecDirect(
        builder, uuid.c_str(), model.c_str(), node.device_memory_bytes, -1,
        links.empty() ? nullptr : &links));
  }
  const auto name = "n" + std::to_string(node.number);
  std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
  for (const auto& [key, value] : node.labels)
    labels.push_back(
        schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
  return schema::CreateNodeSpecDirect(builder, name.c_str(), node.group.c_str(),
                                      node.cpu_milli, node.memory_bytes, &list,
                                      node.simulated, nullptr, &labels);
}

flatbuffers::Offset<schema::SessionSpec> session_spec(
    Builder& builder, const TestSession& session) {
  const auto models = builder.CreateVectorOfStrings(session.gpu_models);
  const auto request = schema::CreateResourceRequest(
      builder, session.cpu_milli, session.memory_bytes, session.gpus,
      session.gpu_milli, session.gpu_memory_bytes, models);
  const auto group = builder.CreateString(session.group);
  const auto project = builder.CreateString(session.project);
  const auto user = builder.CreateString(session.user);
  const auto on_node = builder.CreateString(session.on_node);
  const auto after = builder.CreateVectorOfStructs(session.after);
  const auto constraint = builder.CreateString(session.constraint);
  const auto prefer = builder.CreateVectorOfStrings(session.prefer);
  const auto together = builder.CreateString(session.together);
  const auto apart = builder.CreateString(session.apart);
  const auto within = builder.CreateString(session.within);
  const auto reservation = builder.CreateString(session.reservation);
  const auto name =
      session.name.empty() ? 0 : builder.CreateString(session.name);
  schema::SessionSpecBuilder spec(builder);
  spec.add_name(name);
  spec.add_constraint(constraint);
  spec.add_prefer(prefer);
  spec.add_together(together);
  spec.add_apart(apart);
  spec.add_within(within);
  spec.add_reservation(reservation);
  spec.add_array_session(session.array_session);
  spec.add_array_running_max(session.array_running_max);
  spec.add_request(request);
  spec.add_group(group);
  spec.add_project(project);
  spec.add_user(user);
  spec.add_on_node(on_node);
  spec.add_after(after);
  spec.add_priority(session.priority);
  spec.add_tasks(session.tasks);
  spec.add_nodes(session.nodes);
  spec.add_time_limit_ns(session.time_limit_ns);
  spec.add_not_before_at(session.not_before_at);
  spec.add_simulated(session.simulated);
  return spec.Finish();
}

void TestCell::event(
    EventBody type,
    const std::function<flatbuffers::Offset<void>(Builder&)>& make) {
  Builder builder;
  const auto body = make(builder);
  builder.Finish(schema::CreateEvent(builder, ++sequence_, now.value, 1, 0,
                                     nullptr, 0, type, body));
  const auto& made =
      *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer());
  deliver ? deliver(made) : scheduler.apply(made);
}

void TestCell::add(const TestNode& node) {
  event(EventBody::NodeRegistered, [&](Builder& builder) {
    const auto spec = node_spec(builder, node);
    const auto agent = builder.CreateString("agent");
    return schema::CreateNodeRegistered(builder, node.number, agent, spec)
        .Union();
  });
}

void TestCell::lost(std::uint32_t node) {
  event(EventBody::NodeLost, [&](Builder& builder) {
    return schema::CreateNodeLost(builder, node).Union();
  });
}

void TestCell::returned(std::uint32_t node) {
  event(EventBody::NodeReturned, [&](Builder& builder) {
    return schema::CreateNodeReturned(builder, node).Union();
  });
}

void TestCell::drained(std::uint32_t node) {
  event(EventBody::NodeDrained, [&](Builder& builder) {
    return schema::CreateNodeDrained(builder, node).Union();
  });
}

void TestCell::resumed(std::uint32_t node) {
  event(EventBody::NodeResumed, [&](Builder& builder) {
    return schema::CreateNodeResumed(builder, node).Union();
  });
}

void TestCell::removed(std::uint32_t node) {
  event(EventBody::NodeRemoved, [&](Builder& builder) {
    return schema::CreateNodeRemoved(builder, node).Union();
  });
}

void TestCell::quarantined(std::uint32_t node, std::uint32_t device) {
  event(EventBody::DeviceQuarantined, [&](Builder& builder) {
    return schema::CreateDeviceQuarantinedDirect(builder, node, device,
                                                 uuid_of(node, device).c_str())
        .Union();
  });
}

void TestCell::released(std::uint32_t node, std::uint32_t device) {
  event(EventBody::DeviceReleased, [&](Builder& builder) {
    return schema::CreateDeviceReleasedDirect(builder, node, device,
                                              uuid_of(node, device).c_str())
        .Union();
  });
}

void TestCell::tested(std::uint32_t node, std::uint32_t device,
                      schema::DeviceVerdict verdict) {
  event(EventBody::DeviceTested, [&](Builder& builder) {
    return schema::CreateDeviceTestedDirect(builder, node, device,
                                            uuid_of(node, device).c_str(), 1,
                                            true, verdict)
        .Union();
  });
}

void TestCell::shared_by(const std::string& group, schema::GpuSharing setting,
                         const Policy& policy) {
  event(EventBody::AccountChanged, [&](Builder& builder) {
    const auto name = builder.CreateString(group);
    const auto text = builder.CreateString(to_text(policy));
    schema::AccountSpecBuilder spec(builder);
    spec.add_kind(schema::AccountKind::group);
    spec.add_name(name);
    spec.add_policy(text);
    spec.add_gpu_sharing(setting);
    return schema::CreateAccountChanged(builder, spec.Finish()).Union();
  });
}

std::uint64_t TestCell::submit(const TestSession& session) {
  const auto id = ++last_session_;
  event(EventBody::SessionSubmitted, [&](Builder& builder) {
    const auto spec = session_spec(builder, session);
    return schema::CreateSessionSubmitted(builder, id, spec).Union();
  });
  return id;
}

void TestCell::confirm(const Proposal& proposal) {
  event(EventBody::SessionPlaced, [&](Builder& builder) {
    std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
    for (const auto& task : proposal.tasks) {
      std::vector<schema::DeviceShare> shares;
      for (const auto& grant : task.devices) {
        shares.emplace_back(grant.device, grant.milli, grant.memory_bytes);
      }
      tasks.push_back(
          schema::CreateTaskPlacementDirect(builder, task.node.value, &shares));
    }
    return schema::CreateSessionPlacedDirect(builder, proposal.session.value,
                                             proposal.attempt, &tasks)
        .Union();
  });
}

void TestCell::exit(std::uint64_t session, std::uint32_t attempt,
                    std::uint32_t rank) {
  event(EventBody::TaskExited, [&](Builder& builder) {
    return schema::CreateTaskExited(builder, session, attempt, rank).Union();
  });
}

void TestCell::requeue(std::uint64_t session, std::uint32_t attempt,
                       std::uint64_t not_before_at) {
  event(EventBody::SessionRequeued, [&](Builder& builder) {
    return schema::CreateSessionRequeued(builder, session, attempt,
                                         schema::EndReason::node_lost,
                                         not_before_at)
        .Union();
  });
}

void TestCell::end(std::uint64_t session, schema::SessionState state) {
  event(EventBody::SessionEnded, [&](Builder& builder) {
    return schema::CreateSessionEnded(builder, session, 1, state).Union();
  });
}

std::vector<Proposal> TestCell::pass() {
  auto proposals = propose();
  for (const auto& proposal : proposals) confirm(proposal);
  return proposals;
}

std::vector<std::uint64_t> TestCell::started() {
  std::vector<std::uint64_t> ids;
  for (const auto& proposal : pass()) ids.push_back(proposal.session.value);
  return ids;
}

}  // namespace reeve::cluster

// For tests: workloads in few words. Times are seconds since the beginning.
#pragma once

#include <string>
#include <vector>

#include "cluster/accounts/reservation.hpp"
#include "cluster/event_writer.hpp"
#include "cluster/simulation/workload.hpp"

namespace reeve::cluster::simulation::testing {

inline constexpr std::uint64_t gib = std::uint64_t{1} << 30;
inline constexpr Time beginning{1'000 * second_ns};

inline Time at_s(std::uint64_t seconds) {
  return Time{beginning.value + seconds * second_ns};
}

struct Asked {
  std::uint64_t at_s = 0;
  std::uint64_t lasts_s = 10;
  std::uint32_t cpus = 1;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  std::int32_t priority = 0;
  std::uint32_t requeue_max = 0;
  std::uint64_t not_before_s = 0;
  std::uint64_t limit_s = 0;
  std::vector<std::uint64_t> task_s{};
  std::vector<schema::Dependency> after{};
  bool succeeds = true;
  bool running_before = false;
  std::string user = "ann";
  std::string on_node{};
  std::string constraint{};
  std::vector<std::string> prefer{};
  std::string together{};
  std::string apart{};
  std::string within{};
  std::string reservation{};
  schema::OnPreempt on_preempt = schema::OnPreempt::requeue;
  std::uint64_t leaving_s = 0;
  std::uint64_t array = 0;  // the first session of it
  std::uint32_t array_running_max = 0;
};

class WorkMaker {
 public:
  WorkMaker() {
    work.from = beginning;
    work.to = at_s(1'000);
  }

  NodeId node(std::uint32_t cpus, std::uint32_t gpus = 0,
              std::uint64_t from_s = 0, const Labels& labels = {}) {
    Node node;
    node.labels = labels;
    node.name = "n" + std::to_string(nodes_);
    node.cpu_milli = cpus * 1000;
    node.memory_bytes = 64 * gib;
    for (std::uint32_t i = 0; i < gpus; ++i)
      node.devices.push_back(
          {.model = "H100", .memory_bytes = 80 * gib, .uuid = uuid_of(i)});
    const auto inventory = static_cast<std::uint32_t>(work.inventories.size());
    work.inventories.push_back(node);
    const NodeId id{nodes_++};
    work.changes.push_back(
        {at_s(from_s), NodeChange::Kind::joined, id, inventory, Time{}});
    return id;
  }

  void change(NodeId node, NodeChange::Kind kind, std::uint64_t at,
              std::uint64_t deadline_s = 0) {
    work.changes.push_back(
        {at_s(at), kind, node, 0, deadline_s > 0 ? at_s(deadline_s) : Time{}});
  }

  static std::string uuid_of(std::uint32_t device) {
    return "gpu-" + std::to_string(device);
  }

  // `kind`: quarantined or released.
  void change_device(NodeId node, NodeChange::Kind kind, std::uint32_t device,
                     std::uint64_t at) {
    work.changes.push_back({.at = at_s(at),
                            .kind = kind,
                            .node = node,
                            .device = device,
                            .uuid = uuid_of(device)});
  }

  SessionId submit(const Asked& asked) {
    Request request;
    request.cpu_milli = asked.cpus * 1000;
    request.memory_bytes = gib / 4;
    request.gpus = asked.gpus;
    request.gpu_milli = asked.gpus > 0 ? asked.gpu_milli : 0;
    request.tasks = asked.tasks;
    request.nodes = asked.nodes;
    request.group = default_group;
    request.on_node = asked.on_node;
    request.constraint = asked.constraint;
    request.prefer = asked.prefer;
    request.together = asked.together;
    request.apart = asked.apart;
    request.within = asked.within;
    request.reservation = asked.reservation;
    if (!asked.together.empty() || !asked.apart.empty() ||
        !asked.reservation.empty())
      request.user = asked.user;
    Session session;
    session.id = SessionId{work.sessions.size() + 1};
    session.name = work.names.index("");
    session.on_preempt = asked.on_preempt;
    session.leaving_ns = asked.leaving_s * second_ns;
    session.array = SessionId{asked.array};
    session.array_running_max = asked.array_running_max;
    session.request = work.requests.index(request);
    session.user = work.users.index(asked.user);
    session.project = work.projects.index("default");
    session.priority = asked.priority;
    session.requeue_max = asked.requeue_max;
    session.submitted_at = at_s(asked.at_s);
    if (asked.not_before_s > 0) session.not_before = at_s(asked.not_before_s);
    session.duration_ns = asked.lasts_s * second_ns;
    session.time_limit_ns = asked.limit_s * second_ns;
    for (const auto seconds : asked.task_s)
      session.task_ns.push_back(seconds * second_ns);
    session.after = asked.after;
    session.succeeds = asked.succeeds;
    session.running_before = asked.running_before;
    session.counted = !asked.running_before;
    work.sessions.push_back(session);
    return session.id;
  }

  // About users, groups or reservations, as a log has it: `make` builds its
  // body.
  template <class Make>
  void logged(std::uint64_t at, Make&& make) {
    EventWriter writer(Sequence{1}, Epoch{1});
    writer.begin({at_s(at), {}, {}});
    writer.add(make(writer.builder()), Sequence{});
    work.accounts.push_back({at_s(at), writer.take().bytes});
  }

  void policy(const std::string& text) {
    logged(0, [&](flatbuffers::FlatBufferBuilder& builder) {
      const auto name = builder.CreateString(default_group);
      const auto policy = builder.CreateString(text);
      schema::AccountSpecBuilder group(builder);
      group.add_kind(schema::AccountKind::group);
      group.add_name(name);
      group.add_policy(policy);
      return schema::CreateAccountChanged(builder, group.Finish());
    });
  }

  // Of one node, for a user, or with none of them maintenance.
  void reserve(const std::string& name, NodeId node, const std::string& user,
               std::uint64_t from_s, std::uint64_t to_s,
               std::uint64_t every_s = 0) {
    Reservation kept;
    kept.name = name;
    kept.nodes = {"n" + std::to_string(node.value)};
    if (user.empty())
      kept.kind = ReservationKind::maintenance;
    else
      kept.users = {user};
    kept.first = {at_s(from_s), at_s(to_s)};
    kept.every_ns = every_s * second_ns;
    logged(0, [&](flatbuffers::FlatBufferBuilder& builder) {
      return schema::CreateReservationSet(builder,
                                          build_reservation(builder, kept));
    });
  }

  void unreserve(const std::string& name, std::uint64_t at) {
    logged(at, [&](flatbuffers::FlatBufferBuilder& builder) {
      return schema::CreateReservationRemovedDirect(builder, name.c_str());
    });
  }

  Workload work;

 private:
  std::uint32_t nodes_ = 0;
};

}  // namespace reeve::cluster::simulation::testing

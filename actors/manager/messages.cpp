#include "actors/manager/messages.hpp"

#include <fmt/format.h>

#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

template <class Table>
std::vector<std::byte> bytes_of(Builder& builder,
                                flatbuffers::Offset<Table> root) {
  const auto bytes = schema::finish(builder, root);
  return {bytes.begin(), bytes.end()};
}

template <class Body>
std::vector<std::byte> order_of(Builder& builder, const OrderStamp& stamp,
                                flatbuffers::Offset<Body> body) {
  return bytes_of(builder, schema::CreateAgentOrder(
                               builder, stamp.epoch.value,
                               schema::OrderBodyTraits<Body>::enum_value,
                               body.Union(), stamp.seq.value, stamp.heard));
}

}  // namespace

std::vector<std::byte> encode_reply(const schema::Id128& command,
                                    const cluster::CommandAnswer& answer,
                                    std::uint32_t sessions,
                                    std::uint64_t token) {
  Builder builder(128);
  return bytes_of(
      builder, schema::CreateReply(builder, &command, answer.seq.value,
                                   answer.session.value, 0, sessions, token));
}

std::vector<std::byte> encode_rejection(const schema::Id128& command,
                                        const cluster::Rejection& rejection) {
  Builder builder(512);
  const auto rule = builder.CreateString(rejection.rule);
  const auto text = builder.CreateString(rejection.text);
  const auto body = schema::CreateRejection(builder, rejection.code, rule, text,
                                            rejection.limit, rejection.value);
  return bytes_of(builder, schema::CreateReply(builder, &command, 0, 0, body));
}

std::vector<std::byte> encode_heard(const OrderStamp& stamp) {
  Builder builder(128);
  return order_of(builder, stamp, schema::CreateHeardOrder(builder));
}

std::vector<std::byte> encode_stop(const OrderStamp& stamp,
                                   std::span<const schema::TaskRef> tasks,
                                   std::uint64_t grace_ns) {
  Builder builder(1024);
  const auto list = builder.CreateVectorOfStructs(tasks.data(), tasks.size());
  return order_of(builder, stamp,
                  schema::CreateStopOrder(builder, list, grace_ns));
}

std::vector<std::byte> encode_signal(const OrderStamp& stamp,
                                     std::span<const schema::TaskRef> tasks,
                                     std::uint8_t signal) {
  Builder builder(1024);
  const auto list = builder.CreateVectorOfStructs(tasks.data(), tasks.size());
  return order_of(builder, stamp,
                  schema::CreateSignalOrder(builder, list, signal));
}

std::vector<std::byte> encode_probe(const OrderStamp& stamp,
                                    const cluster::DeviceTests& tests) {
  Builder builder(1024);
  std::vector<flatbuffers::Offset<schema::DeviceProbe>> list;
  for (const auto& [uuid, test] : tests)
    list.push_back(schema::CreateDeviceProbeDirect(builder, uuid.c_str(),
                                                   test.id.value, test.full));
  const auto devices = builder.CreateVector(list);
  return order_of(builder, stamp, schema::CreateProbeOrder(builder, devices));
}

std::vector<std::byte> encode_reconcile(
    const OrderStamp& stamp, const schema::Id128& boot,
    std::span<const schema::TaskRef> started,
    std::span<const schema::TaskRef> unstarted,
    const std::vector<std::string>& managers) {
  Builder builder(1024);
  const auto run =
      builder.CreateVectorOfStructs(started.data(), started.size());
  const auto launched =
      builder.CreateVectorOfStructs(unstarted.data(), unstarted.size());
  const auto hosts = builder.CreateVectorOfStrings(managers);
  return order_of(
      builder, stamp,
      schema::CreateReconcileOrder(builder, &boot, run, launched, hosts));
}

namespace {

// What the session gave, and its place in its array.
flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>>
build_env(Builder& builder, const cluster::Session& session,
          const cluster::Spec& spec) {
  if (spec.array_session == 0) return cluster::build_pairs(builder, spec.env);
  const auto before =
      static_cast<std::uint32_t>(session.id.value - spec.array_session);
  const std::string index = fmt::format("{}", spec.array_index);
  const std::string first = fmt::format("{}", spec.array_index - before);
  const std::string array = fmt::format("s-{}", spec.array_session);
  cluster::Spec::Pairs env = spec.env;
  env.emplace_back("REEVE_ARRAY_INDEX", index);
  env.emplace_back("REEVE_ARRAY_FIRST", first);
  env.emplace_back("REEVE_ARRAY_SESSION_ID", array);
  return cluster::build_pairs(builder, env);
}

}  // namespace

void LaunchBuilder::add(const cluster::State& state,
                        const cluster::Session& session,
                        const cluster::Spec& spec, std::uint32_t rank) {
  const cluster::Task& task = session.tasks[rank];
  const cluster::Node& node = *state.node(task.node);
  std::uint32_t local_rank = 0;
  for (std::uint32_t i = 0; i < rank; ++i)
    local_rank += session.tasks[i].node == task.node ? 1 : 0;
  std::vector<flatbuffers::Offset<schema::DeviceGrant>> grants;
  for (const auto& share : task.devices) {
    const auto uuid = builder_.CreateString(node.devices[share.device()].uuid);
    grants.push_back(schema::CreateDeviceGrant(
        builder_, uuid, share.device(), share.milli(), share.memory_bytes()));
  }
  const auto devices = grants.empty() ? 0 : builder_.CreateVector(grants);
  const auto node_name = builder_.CreateString(node.name);
  const auto name = cluster::build_text(builder_, spec.name);
  const auto user = cluster::build_text(builder_, spec.user);
  const auto master =
      cluster::build_text(builder_, state.node(session.tasks[0].node)->name);
  const auto argv = cluster::build_texts(builder_, spec.argv);
  const auto env = build_env(builder_, session, spec);
  const auto workdir = cluster::build_text(builder_, spec.workdir);
  tasks_.push_back(schema::CreateTaskOrder(
      builder_, session.id.value, session.attempt, rank, session.tasks_wanted,
      local_rank, node_name, name, user, master, argv, env, workdir, spec.uid,
      spec.gid, session.cpu_milli, session.memory_bytes, devices,
      session.simulated, session.sim_duration_ns, task.facts.started_at(),
      spec.workdir_optional, cluster::cut_off_of(session, spec.cut_off_ns)));
}

std::vector<std::byte> LaunchBuilder::finish(const OrderStamp& stamp) {
  const auto list = builder_.CreateVector(tasks_);
  auto bytes =
      order_of(builder_, stamp, schema::CreateLaunchOrder(builder_, list));
  builder_.Clear();
  tasks_.clear();
  return bytes;
}

}  // namespace reeve::manager

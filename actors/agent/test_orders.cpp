#include "actors/agent/test_orders.hpp"

#include <unistd.h>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::agent::testing {
namespace {

// Enough for a shell.
constexpr std::uint64_t memory_bytes = 64u << 20;

using Builder = flatbuffers::FlatBufferBuilder;

template <class Table>
std::vector<std::byte> finished(Builder& builder,
                                flatbuffers::Offset<Table> root) {
  const auto bytes = schema::finish(builder, root);
  return {bytes.begin(), bytes.end()};
}

template <class Body>
std::vector<std::byte> order(Builder& builder, std::uint64_t epoch,
                             std::uint64_t seq, std::uint64_t heard,
                             flatbuffers::Offset<Body> body) {
  return finished(builder,
                  schema::CreateAgentOrder(
                      builder, epoch, schema::OrderBodyTraits<Body>::enum_value,
                      body.Union(), seq, heard));
}

std::vector<schema::TaskRef> refs(const std::vector<TaskKey>& keys) {
  std::vector<schema::TaskRef> all;
  for (const TaskKey& key : keys)
    all.emplace_back(key.session, key.attempt, key.rank);
  return all;
}

template <class Table>
const Table& verified(const std::vector<std::byte>& bytes) {
  const Table* table = schema::verified<Table>(bytes);
  REEVE_CHECK(table != nullptr, "the agent sent what does not verify");
  return *table;
}

}  // namespace

Orders& Orders::at(std::uint64_t seq) {
  seq_ = seq;
  return *this;
}

Orders& Orders::with_cpus(std::uint32_t milli) {
  cpu_milli_ = milli;
  return *this;
}

Orders& Orders::on_master(std::string node) {
  master_ = std::move(node);
  return *this;
}

Orders& Orders::with_device(std::string uuid) {
  devices_ = {std::move(uuid)};
  return *this;
}

Orders& Orders::heard(std::uint64_t sent) {
  heard_ = sent;
  return *this;
}

Orders& Orders::cut_off(std::uint64_t cut_off_ns) {
  cut_off_ns_ = cut_off_ns;
  return *this;
}

Orders& Orders::with_devices(std::vector<std::string> uuids) {
  devices_ = std::move(uuids);
  return *this;
}

Orders& Orders::of_user(std::string name, std::uint32_t uid) {
  user_ = std::move(name);
  uid_ = uid;
  return *this;
}

Orders& Orders::with_share(std::uint32_t milli, std::uint64_t memory_bytes) {
  milli_ = milli;
  gpu_memory_bytes_ = memory_bytes;
  return *this;
}

Orders& Orders::with_env(std::string key, std::string value) {
  env_.emplace_back(std::move(key), std::move(value));
  return *this;
}

Orders& Orders::command(std::vector<std::string> argv) {
  argv_ = std::move(argv);
  devices_.clear();
  uid_ = ::getuid();
  gid_ = ::getgid();
  return *this;
}

std::vector<std::byte> Orders::make(const std::vector<TaskKey>& keys,
                                    bool simulated, std::uint64_t duration_ns,
                                    std::uint64_t started_at) const {
  Builder builder;
  std::vector<flatbuffers::Offset<schema::TaskOrder>> tasks;
  for (const TaskKey& key : keys) {
    const auto node = builder.CreateString("n1");
    const auto name = builder.CreateString("job");
    const auto user = builder.CreateString(user_);
    const auto master = builder.CreateString(master_);
    const auto argv = builder.CreateVectorOfStrings(argv_);
    std::vector<flatbuffers::Offset<schema::KeyValue>> pairs;
    for (const auto& [key_text, value] : env_)
      pairs.push_back(schema::CreateKeyValueDirect(builder, key_text.c_str(),
                                                   value.c_str()));
    const auto env = builder.CreateVector(pairs);
    std::vector<flatbuffers::Offset<schema::DeviceGrant>> grants;
    for (const std::string& uuid : devices_)
      grants.push_back(schema::CreateDeviceGrantDirect(
          builder, uuid.c_str(), 0, milli_, gpu_memory_bytes_));
    const auto devices = builder.CreateVector(grants);
    tasks.push_back(schema::CreateTaskOrder(
        builder, key.session, key.attempt, key.rank, 2, key.rank, node, name,
        user, master, argv, env, 0, uid_, gid_, cpu_milli_, memory_bytes,
        devices, simulated, duration_ns, started_at, false, cut_off_ns_));
  }
  const auto list = builder.CreateVector(tasks);
  return order(builder, epoch_, seq_, heard_,
               schema::CreateLaunchOrder(builder, list));
}

std::vector<std::byte> Orders::launch(const std::vector<TaskKey>& keys) const {
  return make(keys, false, 0, 0);
}

std::vector<std::byte> Orders::launch_simulated(
    const std::vector<TaskKey>& keys, std::uint64_t duration_ns,
    std::uint64_t started_at) const {
  return make(keys, true, duration_ns, started_at);
}

std::vector<std::byte> Orders::nothing_else() const {
  Builder builder;
  return order(builder, epoch_, seq_, heard_,
               schema::CreateHeardOrder(builder));
}

std::vector<std::byte> Orders::stop(const std::vector<TaskKey>& keys,
                                    std::uint64_t grace_ns) const {
  Builder builder;
  const auto list = builder.CreateVectorOfStructs(refs(keys));
  return order(builder, epoch_, seq_, heard_,
               schema::CreateStopOrder(builder, list, grace_ns));
}

std::vector<std::byte> Orders::signal(const std::vector<TaskKey>& keys,
                                      std::uint8_t signo) const {
  Builder builder;
  const auto list = builder.CreateVectorOfStructs(refs(keys));
  return order(builder, epoch_, seq_, heard_,
               schema::CreateSignalOrder(builder, list, signo));
}

std::vector<std::byte> Orders::probe(const std::vector<Probe>& devices) const {
  Builder builder;
  std::vector<flatbuffers::Offset<schema::DeviceProbe>> list;
  for (const Probe& one : devices)
    list.push_back(schema::CreateDeviceProbeDirect(builder, one.uuid.c_str(),
                                                   one.test, one.full));
  const auto all = builder.CreateVector(list);
  return order(builder, epoch_, seq_, heard_,
               schema::CreateProbeOrder(builder, all));
}

std::vector<std::byte> Orders::list(
    const schema::Id128& boot, const std::vector<TaskKey>& started,
    const std::vector<TaskKey>& unstarted,
    const std::vector<std::string>& managers) const {
  Builder builder;
  const auto run = builder.CreateVectorOfStructs(refs(started));
  const auto launched = builder.CreateVectorOfStructs(refs(unstarted));
  return order(
      builder, epoch_, seq_, heard_,
      schema::CreateReconcileOrder(builder, &boot, run, launched,
                                   builder.CreateVectorOfStrings(managers)));
}

std::vector<std::byte> make_reply(const schema::Id128& id, bool accepted) {
  if (!accepted)
    return make_refusal(id, schema::RejectCode::try_again, "try again");
  Builder builder;
  return finished(builder, schema::CreateReply(builder, &id, 1, 0));
}

std::vector<std::byte> make_refusal(const schema::Id128& id,
                                    schema::RejectCode code, const char* rule) {
  Builder builder;
  const auto rejection =
      schema::CreateRejectionDirect(builder, code, rule, rule);
  return finished(builder, schema::CreateReply(builder, &id, 1, 0, rejection));
}

const schema::AgentOrder& order_of(const std::vector<std::byte>& bytes) {
  return verified<schema::AgentOrder>(bytes);
}
const schema::Reply& reply_of(const std::vector<std::byte>& bytes) {
  return verified<schema::Reply>(bytes);
}
const schema::Command& command_of(const std::vector<std::byte>& bytes) {
  return verified<schema::Command>(bytes);
}

void Heard::take(const SendCommand& sent) {
  const schema::Command& command = command_of(sent.bytes);
  if (const auto* body = command.body_as_RegisterNodes()) {
    ++registrations;
    registration_id = *command.id();
    boot = *body->boot();
    reconciled = body->reconciled();
    list = body->list();
    newest_epoch = body->newest_epoch();
    newest_session = body->newest_session();
    test_new = body->test_new();
    test_quarantined = body->test_quarantined();
    node.clear();
    devices.clear();
    limits.clear();
    labels.clear();
    for (const auto* spec : *body->nodes()) {
      node = schema::text(spec->name());
      if (spec->labels())
        for (const auto* label : *spec->labels())
          labels += label->key()->str() + "=" + label->value()->str() + " ";
      if (spec->devices())
        for (const auto* device : *spec->devices())
          devices.push_back(device->uuid()->str());
      if (!spec->limits()) continue;
      for (const auto* limit : *spec->limits()) limits.push_back(limit->str());
    }
    return;
  }
  if (const auto* body = command.body_as_ReportTest()) {
    kinds += "test ";
    test_id = *command.id();
    tests.push_back({body->node()->str(), body->device()->str(), body->test(),
                     body->verdict(), std::string(schema::text(body->text())),
                     body->figures() ? body->figures()->size() : 0});
    return;
  }
  if (const auto* body = command.body_as_QuarantineDevice()) {
    kinds += "quarantine ";
    quarantine_id = *command.id();
    quarantines.push_back({body->node()->str(), body->device()->str(),
                           std::string(schema::text(body->reason()))});
    return;
  }
  const auto* body = command.body_as_ReportFacts();
  REEVE_CHECK(body != nullptr, "the agent sent a command of another kind");
  kinds += "report ";
  ++reports;
  const schema::Id128& id = *command.id();
  if (id.high() == report_id.high() && id.low() == report_id.low()) return;
  report_id = id;
  for (const auto* fact : *body->facts()) {
    const schema::ExitFacts none;
    const schema::ExitFacts& seen = fact->facts() ? *fact->facts() : none;
    facts.push_back({fact->kind(), fact->session(), fact->attempt(),
                     fact->rank(), fact->pid(), fact->reason(),
                     seen.started_at(), seen.ended_at(), seen.exit_code(),
                     std::string(schema::text(fact->detail()))});
  }
}

}  // namespace reeve::agent::testing

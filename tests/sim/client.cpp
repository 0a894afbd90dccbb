#include "tests/sim/client.hpp"

#include <array>

#include "cluster/decide.hpp"
#include "schema/wire.hpp"
#include "tests/sim/keeper.hpp"
#include "tests/sim/node.hpp"

namespace reeve::sim {
namespace {

constexpr std::uint64_t retry_first_ns = 250 * ms_ns;
constexpr std::uint64_t retry_longest_ns = 5 * second_ns;
constexpr std::uint64_t refused_wait_ns = 10 * second_ns;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint32_t proofs = 4;
constexpr std::uint32_t array_sessions_max = 6;
constexpr const char* default_name = "default";
constexpr const char* side_project = "side";

}  // namespace

Client::Client(World& world, std::uint32_t number)
    : world_(world),
      number_(number),
      end_(world.network.attach(
          fmt::format("client-{}", number),
          [this](const Packet& packet) { receive(packet); })) {}

void Client::begin() {
  declare_simulated_nodes();
  if (number_ == 0 && world_.plan.reservations) make_project();
  world_.loop.after(world_.random.spread(ms_ns, second_ns), [this] { act(); });
}

void Client::act() {
  if (!world_.faults) return;
  switch (world_.random.below(16)) {
    case 0: cancel(); break;
    case 1: cancel(); break;
    case 2: ask(); break;
    case 3: ask(); break;
    case 4:
      world_.plan.quarantines&& world_.random.one_in(2) ? change_device()
                                                        : change_node();
      break;
    case 5: give_up(); break;
    case 6:
      if (world_.plan.quotas) change_quota();
      break;
    case 7: world_.plan.reservations ? change_reservation() : submit(); break;
    case 8: world_.plan.policies ? change_policy() : submit(); break;
    case 9: world_.plan.arrays ? submit_array() : submit(); break;
    default: submit(); break;
  }
  world_.loop.after(world_.random.between(1, 2 * world_.plan.command_every_ns),
                    [this] { act(); });
}

// ---- what is asked for

void Client::draw_devices(cluster::Spec& spec) {
  if (world_.plan.devices_per_node == 0 || world_.random.one_in(3)) return;
  spec.gpus = static_cast<std::uint32_t>(
      world_.random.between(1, world_.plan.devices_per_node));
  if (spec.gpus == 1)
    spec.gpu_milli =
        static_cast<std::uint32_t>(250 * world_.random.between(1, 4));
}

// Where it wants to be.
void Client::draw_wishes(cluster::Spec& spec) {
  static constexpr std::array constraints = {
      "rack=r0", "rack!=r0", "disk=nvme", "rack=r1 || disk=nvme",
      "!disk",   "gpus>=1",  "cpus>8",    "node!=node-0 && node!=sim-0"};
  static constexpr std::array words = {"db", "web", "db@rack"};
  Random& random = world_.random;
  if (random.one_in(3)) spec.constraint = random.pick(constraints);
  if (spec.tasks > 1 && random.one_in(2))
    spec.nodes = static_cast<std::uint32_t>(random.between(1, spec.tasks));
  if (spec.tasks > 1 && random.one_in(3)) spec.within = "rack";
  if (random.one_in(4)) spec.apart = random.pick(words);
  if (random.one_in(4)) spec.together = random.pick(words);
  if (random.one_in(8)) spec.on_node = node_ = draw_node();
}

// Its project, and the reservation that it names.
void Client::draw_owners(cluster::Spec& spec) {
  if (!world_.plan.reservations) return;
  const cluster::State& truth = world_.oracle.truth();
  if (world_.random.one_in(4) &&
      truth.accounts().find(schema::AccountKind::project, side_project))
    spec.project = side_project;
  std::vector<std::string> names;
  for (const auto& [name, kept] : truth.reservations().all())
    if (!kept.is_maintenance()) names.push_back(name);
  if (names.empty() || !world_.random.one_in(4)) return;
  reservation_ = world_.random.pick(names);
  spec.reservation = reservation_;
}

cluster::Spec Client::draw_spec() {
  Random& random = world_.random;
  cluster::Spec spec;
  spec.user = "root";
  const bool crowded = world_.plan.crowded && !random.one_in(4);
  spec.cpu_milli =
      static_cast<std::uint32_t>(500 * random.between(1, crowded ? 16 : 8));
  spec.memory_bytes = gib * random.between(1, 8);
  spec.priority = static_cast<std::int32_t>(random.below(3));
  spec.simulated = world_.plan.simulated_nodes > 0 && random.one_in(4);
  const std::uint64_t task_ns_max = world_.plan.task_ns_max;
  const std::uint64_t duration_ns =
      crowded ? random.between(task_ns_max / 4, task_ns_max)
              : random.spread(ms_ns, task_ns_max);
  words_ = task_command(duration_ns, random.one_in(5) ? 1 : 0);
  spec.argv.assign(words_.begin(), words_.end());
  if (spec.simulated) spec.sim_duration_ns = duration_ns;
  if (!spec.simulated) draw_devices(spec);
  if (random.one_in(4))
    spec.tasks = static_cast<std::uint32_t>(
        random.between(1, spec.simulated ? 4 : world_.plan.nodes));
  if (random.one_in(2))
    spec.requeue_max = static_cast<std::uint32_t>(random.between(1, 3));
  if (world_.plan.limits && !random.one_in(16))
    spec.time_limit_ns =
        random.between(duration_ns + second_ns, 2 * duration_ns + minute_ns);
  if (random.one_in(world_.plan.limits ? 16 : 6))
    spec.time_limit_ns = random.spread(second_ns, task_ns_max);
  if (random.one_in(4))
    spec.cut_off_ns = random.spread(cluster::cut_off_ns_min, 5 * minute_ns);
  if (random.one_in(8)) spec.grace_ns = random.spread(ms_ns, 20 * second_ns);
  if (spec.time_limit_ns > 1 && random.one_in(2)) {
    spec.warn_signal = 10;
    spec.warn_ns = random.between(1, spec.time_limit_ns - 1);
  }
  if (world_.plan.policies && random.one_in(4))
    spec.on_preempt = schema::OnPreempt::end;
  draw_owners(spec);
  if (world_.plan.wishes) draw_wishes(spec);
  return spec;
}

void Client::submit_array() {
  cluster::Spec spec = draw_spec();
  spec.array_running_max =
      static_cast<std::uint32_t>(world_.random.below(array_sessions_max));
  submit(
      spec, false,
      static_cast<std::uint32_t>(world_.random.between(1, array_sessions_max)));
}

void Client::submit() {
  cluster::Spec spec = draw_spec();
  if (!sessions_.empty() && world_.random.one_in(6))
    spec.after.emplace_back(
        world_.random.one_in(2) ? sessions_.back()
                                : world_.random.pick(sessions_),
        static_cast<schema::DependencyKind>(world_.random.below(3)));
  submit(spec, false);
}

void Client::submit(const cluster::Spec& given, bool proof,
                    std::uint32_t sessions) {
  cluster::Spec spec = given;
  name_ = fmt::format("c{}-{}", number_, ++names_);
  spec.name = name_;
  const schema::Id128 id = next_id();
  const bool array = sessions > 0;
  world_.oracle.asked_submit(id, name_, array ? sessions : 1);
  Builder builder;
  const auto packed = cluster::build_spec(builder, spec);
  command(builder, id,
          schema::CreateSubmitSession(builder, packed, array, 1, sessions),
          proof);
}

void Client::submit_proofs() {
  proofs_wanted_ = proofs;
  for (std::uint32_t i = 0; i < proofs; ++i) submit_proof();
}

void Client::submit_proof() {
  cluster::Spec spec;
  spec.user = "root";
  spec.cpu_milli = 1'000;
  spec.memory_bytes = gib;
  spec.gpus = world_.plan.devices_per_node > 0 ? 1 : 0;
  words_ = task_command(second_ns, 0);
  spec.argv.assign(words_.begin(), words_.end());
  submit(spec, true);
}

void Client::check_proofs() const {
  for (const std::uint64_t id : proofs_) {
    const auto* session = world_.oracle.truth().session(SessionId{id});
    SIM_CHECK(session && session->attempt == 1 &&
                  session->state == cluster::SessionState::succeeded,
              "s-{} did not succeed though nothing was wrong any more: {} {}",
              id, schema::EnumNameSessionState(session->state),
              schema::EnumNameEndReason(session->reason));
  }
}

void Client::cancel() {
  if (sessions_.empty()) return;
  cancel(world_.random.pick(sessions_),
         world_.plan.arrays && world_.random.one_in(4));
}

void Client::cancel(std::uint64_t session, bool array) {
  Builder builder;
  command(builder, next_id(),
          schema::CreateCancelSession(builder, session, array));
}

std::string Client::draw_node() {
  const std::uint64_t count = world_.plan.nodes + world_.plan.simulated_nodes;
  const std::uint64_t at = world_.random.below(count);
  return at < world_.plan.nodes ? fmt::format("node-{}", at)
                                : fmt::format("sim-{}", at - world_.plan.nodes);
}

void Client::change_node() {
  const std::string node = draw_node();
  Builder builder;
  const auto name = builder.CreateString(node);
  switch (world_.random.below(4)) {
    case 0: {
      const std::uint64_t deadline_ns =
          world_.random.one_in(2) ? 0
                                  : world_.random.spread(second_ns, hour_ns);
      return command(builder, next_id(),
                     schema::CreateDrainNode(builder, name, 0, deadline_ns));
    }
    case 1:
      return command(builder, next_id(),
                     schema::CreateRemoveNode(builder, name));
    default:
      return command(builder, next_id(),
                     schema::CreateResumeNode(builder, name));
  }
}

void Client::change_device() {
  const auto node =
      fmt::format("node-{}", world_.random.below(world_.plan.nodes));
  const auto device =
      fmt::format("{}", world_.random.below(world_.plan.devices_per_node));
  Builder builder;
  if (world_.random.one_in(3))
    return command(builder, next_id(),
                   schema::CreateReleaseDeviceDirect(builder, node.c_str(),
                                                     device.c_str(), true));
  command(builder, next_id(),
          schema::CreateQuarantineDeviceDirect(builder, node.c_str(),
                                               device.c_str(), "hot"));
}

void Client::release_devices() {
  for (const auto& node : world_.oracle.truth().nodes())
    for (const auto& [uuid, quarantine] : node.quarantined) {
      if (node.removed) continue;
      Builder builder;
      command(builder, next_id(),
              schema::CreateReleaseDeviceDirect(builder, node.name.c_str(),
                                                uuid.c_str(), true));
    }
}

void Client::change_quota() {
  Random& random = world_.random;
  static constexpr const char* names[] = {"root", default_name, default_name};
  const std::uint64_t at = random.below(std::size(names));
  const auto kind = static_cast<schema::AccountKind>(at);
  if (random.one_in(4)) return remove_quota(kind, names[at]);
  Builder builder;
  const auto some = [&](std::uint64_t most) {
    return random.one_in(2) ? cluster::no_limit : random.between(1, most);
  };
  const auto limits = schema::CreateQuotaLimits(
      builder, some(10), some(20), some(16'000), some(64 * gib), some(4'000),
      random.one_in(2) ? cluster::no_limit : random.spread(1, 2'000),
      static_cast<schema::QuotaPeriod>(random.below(4)));
  const auto name = builder.CreateString(names[at]);
  command(builder, next_id(),
          schema::CreateSetQuota(builder, kind, name, limits));
}

void Client::remove_quota(schema::AccountKind kind, const std::string& name) {
  Builder builder;
  const auto text = builder.CreateString(name);
  command(builder, next_id(), schema::CreateRemoveQuota(builder, kind, text));
}

void Client::remove_quotas() {
  for (const auto& account : world_.oracle.truth().accounts().all())
    if (account.quota) remove_quota(account.kind, account.name);
}

// ---- reservations and policies

// Of which one kind of reservation is.
void Client::make_project() {
  Builder builder;
  const auto account = schema::CreateAccountSpecDirect(
      builder, schema::AccountKind::project, side_project);
  command(builder, next_id(), schema::CreateSetAccount(builder, account));
}

void Client::change_reservation() {
  Random& random = world_.random;
  static constexpr const char* names[] = {"mine", "side", "patch"};
  const std::uint64_t at = random.below(std::size(names));
  if (random.one_in(4)) return remove_reservation(names[at]);
  cluster::Reservation kept;
  kept.name = names[at];
  if (at == 0) kept.users = {"root"};
  if (at == 1) kept.projects = {side_project};
  if (at == 2) kept.kind = cluster::ReservationKind::maintenance;
  kept.nodes = {draw_node()};
  if (const auto other = draw_node(); other != kept.nodes[0])
    kept.nodes.push_back(other);
  if (world_.plan.devices_per_node > 0 && random.one_in(4)) kept.devices = {0};
  const std::uint64_t now = world_.oracle.truth().last_time().value;
  const std::uint64_t from =
      now + (random.one_in(3) ? 0 : random.spread(second_ns, hour_ns));
  const std::uint64_t length_ns = random.spread(10 * second_ns, 2 * hour_ns);
  kept.first = {Time{from}, Time{from + length_ns}};
  if (random.one_in(4))
    kept.every_ns = std::max(length_ns, cluster::reservation_every_ns_min) +
                    random.spread(second_ns, hour_ns);
  Builder builder;
  command(builder, next_id(),
          schema::CreateSetReservation(
              builder, cluster::build_reservation(builder, kept)));
}

void Client::remove_reservation(const std::string& name) {
  Builder builder;
  const auto text = builder.CreateString(name);
  command(builder, next_id(), schema::CreateRemoveReservation(builder, text));
}

void Client::remove_reservations() {
  for (const auto& [name, kept] : world_.oracle.truth().reservations().all())
    remove_reservation(name);
}

void Client::change_policy() {
  static constexpr const char* policies[] = {
      "",
      "preemption=priority,preempt_after=1s",
      "easy,preemption=priority,preempt_after=10s",
      "conservative,preemption=fair,preempt_after=1s",
      "fair_share,packing=spread,preemption=priority,preempt_after=1s",
      "fifo",
      "easy",
      "conservative,depth=4,packing=pack",
      "lifo,easy",
      "sjf,preemption=priority,preempt_after=1m",
      "drf,packing=fragmentation",
      "multifactor,easy,estimates=history"};
  set_policy(policies[world_.random.below(std::size(policies))]);
}

void Client::set_policy(const char* policy) {
  Builder builder;
  const auto account = schema::CreateAccountSpecDirect(
      builder, schema::AccountKind::group, default_name, nullptr, 1000,
      cluster::any_priority, nullptr, policy);
  command(builder, next_id(), schema::CreateSetAccount(builder, account));
}

void Client::reset_policy() {
  const auto* group = world_.oracle.truth().accounts().find(
      schema::AccountKind::group, default_name);
  if (group && !group->policy.empty()) set_policy("");
}

void Client::resume_nodes() {
  for (const auto& node : world_.oracle.truth().nodes()) {
    if (!node.draining && !node.barred) continue;
    Builder builder;
    const auto name = builder.CreateString(node.name);
    command(builder, next_id(), schema::CreateResumeNode(builder, name));
  }
}

flatbuffers::Offset<schema::NodeSpec> Client::declare_node(
    Builder& builder, std::uint32_t number) const {
  std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
  for (const auto& [key, value] : labels_of_node(number))
    labels.push_back(
        schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
  return schema::CreateNodeSpecDirect(
      builder, fmt::format("sim-{}", number).c_str(), nullptr, 16'000, 64 * gib,
      nullptr, true, nullptr, &labels);
}

void Client::declare_simulated_nodes() {
  if (world_.plan.simulated_nodes == 0) return;
  Builder builder;
  std::vector<flatbuffers::Offset<schema::NodeSpec>> nodes;
  for (std::uint32_t i = 0; i < world_.plan.simulated_nodes; ++i)
    nodes.push_back(declare_node(builder, i));
  const auto list = builder.CreateVector(nodes);
  const auto agent = builder.CreateString("sim");
  command(builder, next_id(),
          schema::CreateRegisterNodes(builder, agent, nullptr, list, true));
}

void Client::ask() {
  Builder builder;
  const std::uint64_t session =
      sessions_.empty() ? 1 : world_.random.pick(sessions_);
  schema::QueryBody kind = schema::QueryBody::StatusQuery;
  flatbuffers::Offset<void> body;
  switch (world_.random.below(5)) {
    case 0: body = schema::CreateStatusQuery(builder).Union(); break;
    case 1:
      kind = schema::QueryBody::SessionsQuery;
      body = schema::CreateSessionsQuery(builder, true).Union();
      break;
    case 2:
      kind = schema::QueryBody::SessionQuery;
      body = schema::CreateSessionQuery(builder, session).Union();
      break;
    case 3:
      kind = schema::QueryBody::NodesQuery;
      body = schema::CreateNodesQuery(builder).Union();
      break;
    default:
      kind = schema::QueryBody::WhyQuery;
      body = schema::CreateWhyQuery(builder, session).Union();
      break;
  }
  const auto bytes =
      schema::finish(builder, schema::CreateQuery(builder, kind, body));
  world_.network.send(end_, world_.daemon,
                      {Packet::Kind::query, end_, "root",
                       fmt::format("{}", static_cast<std::uint32_t>(end_)),
                       std::make_shared<const std::vector<std::byte>>(
                           bytes.begin(), bytes.end())});
}

// ---- again until it is answered

template <class Body>
void Client::command(Builder& builder, const schema::Id128& id,
                     flatbuffers::Offset<Body> body, bool proof) {
  const auto bytes = schema::finish(
      builder, schema::CreateCommand(
                   builder, &id, schema::CommandBodyTraits<Body>::enum_value,
                   body.Union()));
  Pending& pending = pending_[id.low()];
  pending.bytes.assign(bytes.begin(), bytes.end());
  pending.wait_ns = retry_first_ns;
  pending.proof = proof;
  send(id.low());
}

void Client::send(std::uint64_t number) {
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  world_.network.send(
      end_, world_.daemon,
      {Packet::Kind::command, end_, "root",
       fmt::format("{}", static_cast<std::uint32_t>(end_)),
       std::make_shared<const std::vector<std::byte>>(pending.bytes)});
  const std::uint64_t wait_ns =
      world_.random.between(pending.wait_ns / 2, pending.wait_ns);
  pending.wait_ns = std::min(2 * pending.wait_ns, retry_longest_ns);
  world_.loop.after(wait_ns, [this, number] { send(number); });
}

void Client::receive(const Packet& packet) {
  const auto* reply = schema::verified<schema::Reply>(*packet.bytes);
  if (!reply) return;  // an answer to a question: the oracle has seen it
  const auto found = pending_.find(reply->command_id()->low());
  const std::uint64_t session = world_.oracle.heard(*reply);
  if (found == pending_.end()) return;
  const bool proof = found->second.proof;
  pending_.erase(found);
  if (session != 0) {
    if (proof) proofs_.push_back(session);
    sessions_.push_back(session);
  }
  const auto* refusal = reply->rejection();
  if (proof && refusal && refusal->code() == schema::RejectCode::try_again)
    world_.loop.after(refused_wait_ns, [this] { submit_proof(); });
}

void Client::give_up() {
  if (pending_.empty()) return;
  world_.probes.hit(Probe::client_crashed);
  pending_.clear();
}

std::string Client::unrest() const {
  if (proofs_wanted_ > proofs_.size())
    return fmt::format("client {} has {} of {} sessions accepted", number_,
                       proofs_.size(), proofs_wanted_);
  if (pending_.empty()) return {};
  return fmt::format("client {} waits for {} answers", number_,
                     pending_.size());
}

}  // namespace reeve::sim

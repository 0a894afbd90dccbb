#include "actors/manager/test_harness.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::manager::testing {

using cluster::State;

std::string text_of(const schema::Id128& id) {
  return fmt::format("{}/{}", id.high(), id.low());
}

std::string text_of(const schema::AgentOrder& order) {
  const auto ref = [](const auto& task) {
    return fmt::format(" {}.{}.{}", task.session(), task.attempt(),
                       task.rank());
  };
  std::string text;
  if (const auto* launch = order.body_as_LaunchOrder()) {
    text = "launch";
    for (const auto* task : *launch->tasks()) text += ref(*task);
  } else if (const auto* stop = order.body_as_StopOrder()) {
    text = "stop";
    for (const auto* task : *stop->tasks()) text += ref(*task);
  } else if (const auto* signal = order.body_as_SignalOrder()) {
    text = fmt::format("signal {}", signal->signal());
    for (const auto* task : *signal->tasks()) text += ref(*task);
  } else if (const auto* probe = order.body_as_ProbeOrder()) {
    text = "test";
    for (const auto* one : *probe->devices())
      text += fmt::format(" {} ({})", one->uuid()->str(),
                          one->full() ? "full" : "quick");
  } else if (const auto* list = order.body_as_ReconcileOrder()) {
    text = "reconcile";
    for (const auto* task : *list->tasks()) text += ref(*task);
    if (list->unstarted()->size() > 0) text += " unstarted";
    for (const auto* task : *list->unstarted()) text += ref(*task);
  }
  return text;
}

void for_each(const Batch& batch,
              const std::function<void(const schema::Event&)>& visit) {
  std::span<const std::byte> rest(batch.events);
  while (!rest.empty()) {
    const std::size_t size =
        flatbuffers::GetPrefixedSize(
            reinterpret_cast<const std::uint8_t*>(rest.data())) +
        sizeof(flatbuffers::uoffset_t);
    visit(schema::event_of(rest.first(size)));
    rest = rest.subspan(size);
  }
}

flatbuffers::Offset<schema::RegisterNodes> build_register(
    Builder& builder, std::string_view agent, const schema::Id128& boot,
    const std::vector<NodeOptions>& nodes, bool reconciled, bool tests_devices,
    std::string_view version, std::uint64_t followed, Epoch epoch_seen) {
  std::vector<flatbuffers::Offset<schema::NodeSpec>> specs;
  for (const NodeOptions& node : nodes) {
    std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
    for (std::uint32_t i = 0; i < node.devices; ++i) {
      const auto uuid = fmt::format("GPU-{}-{}", node.name, i);
      devices.push_back(schema::CreateDeviceSpecDirect(
          builder, uuid.c_str(), node.model.c_str(), node.device_memory_bytes));
    }
    std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
    for (const auto& [key, value] : node.labels)
      labels.push_back(
          schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
    specs.push_back(schema::CreateNodeSpecDirect(
        builder, node.name.c_str(),
        node.group.empty() ? "default" : node.group.c_str(), node.cpu_milli,
        node.memory_bytes, &devices, node.simulated, nullptr, &labels));
  }
  const auto list = builder.CreateVector(specs);
  const auto name = builder.CreateString(agent.data(), agent.size());
  return schema::CreateRegisterNodes(
      builder, name, &boot, list, reconciled, epoch_seen.value, 0,
      tests_devices, tests_devices, cluster::build_text(builder, version),
      followed);
}

Harness::Harness(Options options) : options_(options) {
  restart();
}

State Harness::replayed(std::size_t commits) const {
  State state;
  for (std::size_t i = 0; i < std::min(commits, log.size()); ++i)
    for_each(log[i], [&](const schema::Event& event) {
      const Status applied = state.apply(event);
      REEVE_CHECK(applied.has_value(), applied.error().text);
    });
  return state;
}

std::string Harness::life_after(std::size_t commits,
                                Core::Beginning beginning) const {
  Core other(replayed(commits), options_);
  const auto follow = [&](const Batch& batch) {
    for_each(batch, [&](const schema::Event& event) {
      const Status followed = other.follow(event);
      REEVE_CHECK(followed.has_value(), followed.error().text);
    });
  };
  for (std::size_t i = commits; i < log.size(); ++i) follow(log[i]);
  std::string events = other.state().digest_hex();
  std::string orders;
  const auto append = [](std::string& to, const Bytes& bytes) {
    to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  if (beginning == Core::Beginning::begun) {
    const Batch first = other.beginning(
        "cell", "root", 0, "m0", Epoch{other.state().epoch().value + 1}, now);
    append(events, first.events);
    follow(first);
  }
  other.start("cell", "root", 0, "m0", now, beginning);
  for (const std::uint64_t after_s : {0, 3, 6, 20, 700, 4'000}) {
    if (after_s != 0) other.on_tick(Time{now.value + after_s * second_ns});
    const Batch batch = other.take_batch();
    append(events, batch.events);
    other.committed(other.decided());
    for (const Effect& effect : other.take_effects())
      if (const auto* order = std::get_if<SendOrder>(&effect)) {
        orders += order->agent;
        append(orders, order->bytes);
      } else {
        for (const auto& one : std::get<SetBusIdentities>(effect).list)
          orders += one.principal;
      }
  }
  return events + orders + other.state().digest_hex();
}

void Harness::restart() {
  in_flight.reset();
  sent.clear();
  core.emplace(replayed(), options_);
  core->start("cell", "root", 0, "m0", now);
}

void Harness::begin_commit() {
  Batch batch = core->take_batch();
  if (batch.count == 0) return collect();
  in_flight = std::move(batch);
  collect();
}

void Harness::finish_commit() {
  if (in_flight) {
    const Sequence last{in_flight->first.value + in_flight->count - 1};
    log.push_back(std::move(*in_flight));
    in_flight.reset();
    core->committed(last);
  }
  collect();
}

void Harness::commit() {
  finish_commit();
  begin_commit();
  finish_commit();
}

void Harness::collect() {
  for (Effect& effect : core->take_effects()) {
    if (auto* reply = std::get_if<SendReply>(&effect)) {
      replies[reply->reply_to] = std::move(reply->bytes);
    } else if (auto* identities = std::get_if<SetBusIdentities>(&effect)) {
      bus_identities.push_back(std::move(identities->list));
    } else {
      auto& order = std::get<SendOrder>(effect);
      REEVE_CHECK(schema::verified<schema::AgentOrder>(order.bytes),
                  "an order fails verification");
      sent.push_back({order.agent, std::move(order.bytes)});
    }
  }
}

schema::Id128 Harness::submit(const cluster::Spec& spec,
                              std::string_view principal,
                              std::optional<schema::Id128> id) {
  Builder builder;
  const schema::Id128 used = id ? *id : next_id();
  const auto packed = cluster::build_spec(builder, spec);
  core->on_command(
      command_of(builder, used, schema::CreateSubmitSession(builder, packed),
                 protocol()),
      principal, text_of(used), now);
  return used;
}

schema::Id128 Harness::cancel(std::uint64_t session, std::string_view principal,
                              std::optional<schema::Id128> given) {
  Builder builder;
  const schema::Id128 id = given.value_or(next_id());
  core->on_command(
      command_of(builder, id, schema::CreateCancelSession(builder, session)),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::register_nodes(std::string_view agent,
                                      const std::vector<NodeOptions>& nodes,
                                      bool reconciled,
                                      std::string_view principal) {
  // Whoever says so has asked for a list before.
  if (reconciled) send_registration(agent, nodes, false, principal);
  return send_registration(agent, nodes, reconciled, principal);
}

schema::Id128 Harness::send_registration(std::string_view agent,
                                         const std::vector<NodeOptions>& nodes,
                                         bool reconciled,
                                         std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto body =
      build_register(builder, agent, {5, 6}, nodes, reconciled, tests_devices,
                     program ? program->version : std::string(), followed_list,
                     epoch_seen.value_or(core->state().epoch()));
  const std::string own = "agent-" + std::string(agent);
  core->on_command(command_of(builder, id, body, protocol()),
                   principal.empty() ? own : principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::report(std::string_view agent, std::uint64_t session,
                              const FactOptions& options,
                              std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto* known = core->state().session(SessionId{session});
  schema::ExitFacts facts;
  facts.mutate_exit_code(options.exit_code);
  facts.mutate_started_at(options.started_at);
  const std::uint32_t attempt =
      options.attempt ? options.attempt : (known ? known->attempt : 1);
  const std::vector list{schema::CreateFact(builder, options.kind, session,
                                            attempt, options.rank, 1,
                                            options.reason, &facts)};
  const auto fact_list = builder.CreateVector(list);
  const auto name = builder.CreateString(agent.data(), agent.size());
  const std::string own = "agent-" + std::string(agent);
  core->on_command(
      command_of(builder, id,
                 schema::CreateReportFacts(builder, name, fact_list),
                 protocol()),
      principal.empty() ? own : principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::drain(std::string_view node, std::uint64_t deadline_ns,
                             std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(node.data(), node.size());
  core->on_command(
      command_of(builder, id,
                 schema::CreateDrainNode(builder, name, 0, deadline_ns),
                 protocol()),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::resume(std::string_view node) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(node.data(), node.size());
  core->on_command(
      command_of(builder, id, schema::CreateResumeNode(builder, name),
                 protocol()),
      "root", text_of(id), now);
  return id;
}

schema::Id128 Harness::quarantine(std::string_view node,
                                  std::string_view device,
                                  std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  const auto reason = builder.CreateString("hot");
  core->on_command(
      command_of(builder, id,
                 schema::CreateQuarantineDevice(builder, name, word, reason)),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::release(std::string_view node, std::string_view device,
                               std::string_view principal, bool force) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  core->on_command(
      command_of(builder, id,
                 schema::CreateReleaseDevice(builder, name, word, force)),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::create_token(const cluster::testing::TokenOptions& token,
                                    std::string_view principal,
                                    std::optional<schema::Id128> given) {
  Builder builder;
  const schema::Id128 id = given ? *given : next_id();
  const auto& identities = core->state().identities();
  const std::string key =
      token.key.empty() ? cluster::testing::key_of(
                              cluster::token_principal(identities.next_token()))
                        : token.key;
  core->on_command(
      command_of(builder, id,
                 schema::CreateCreateTokenDirect(
                     builder, token.role, key.c_str(), token.expires_ns,
                     token.uses, token.name.c_str())),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::join_by_token(
    const cluster::testing::JoinOptions& options,
    std::optional<schema::Id128> given) {
  Builder builder;
  const schema::Id128 id = given ? *given : next_id();
  const std::string key = options.key.empty()
                              ? cluster::testing::key_of(options.name)
                              : options.key;
  core->on_command(command_of(builder, id,
                              schema::CreateJoinDirect(
                                  builder, options.name.c_str(), key.c_str(),
                                  options.address.c_str(), options.role)),
                   cluster::token_principal(options.token), text_of(id), now);
  return id;
}

schema::Id128 Harness::leave(std::string_view principal, bool force) {
  Builder builder;
  const schema::Id128 id = next_id();
  core->on_command(command_of(builder, id, schema::CreateLeave(builder, force)),
                   principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::remove_identity(std::string_view identity,
                                       std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(identity.data(), identity.size());
  core->on_command(
      command_of(builder, id, schema::CreateRemoveIdentity(builder, name)),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::test(std::string_view node, std::string_view device,
                            bool full, std::string_view principal) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  core->on_command(
      command_of(builder, id,
                 schema::CreateTestDevice(builder, name, word, full)),
      principal, text_of(id), now);
  return id;
}

schema::Id128 Harness::tested(std::string_view node, const std::string& uuid,
                              schema::DeviceVerdict verdict) {
  Builder builder;
  const schema::Id128 id = next_id();
  const auto& waiting = core->state().node(node)->testing;
  const auto found = waiting.find(uuid);
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(uuid);
  const auto text = builder.CreateString("as it is");
  const auto body = schema::CreateReportTest(
      builder, name, word, found == waiting.end() ? 0 : found->second.id.value,
      verdict, text);
  core->on_command(command_of(builder, id, body),
                   "agent-" + core->state().node(node)->agent, text_of(id),
                   now);
  return id;
}

void Harness::join(const NodeOptions& node) {
  const std::string agent = node.agent.empty() ? node.name : node.agent;
  register_nodes(agent, {node}, true,
                 node.simulated ? std::string_view("root") : "");
  commit();
  REEVE_CHECK(core->state().node(node.name), "the node was not registered");
}

void Harness::place(std::uint64_t session,
                    const std::vector<std::string>& nodes) {
  Proposal proposal;
  proposal.session = SessionId{session};
  proposal.attempt = core->state().session(proposal.session)->attempt;
  for (const std::string& name : nodes)
    proposal.tasks.push_back({core->state().node(name)->id, {}});
  REEVE_CHECK(core->on_proposals({proposal}, now).empty(), "it was refused");
}

void Harness::start(std::uint64_t session, std::uint32_t rank) {
  const auto& state = core->state();
  const auto& task = state.session(SessionId{session})->tasks[rank];
  report(state.node(task.node)->agent, session,
         {.kind = schema::FactKind::started, .rank = rank});
}

void Harness::tick(std::uint64_t after_ns) {
  now.value += after_ns;
  core->on_tick(now);
}

std::string Harness::verdict(const schema::Id128& id) const {
  const auto found = replies.find(text_of(id));
  if (found == replies.end()) return "none";
  const auto* reply = schema::verified<schema::Reply>(found->second);
  REEVE_CHECK(reply, "a reply fails verification");
  if (const auto* no = reply->rejection())
    return fmt::format("{} {}", schema::EnumNameRejectCode(no->code()),
                       schema::text(no->rule()));
  if (reply->token()) return fmt::format("accepted token {}", reply->token());
  return reply->session() ? fmt::format("accepted s-{}", reply->session())
                          : "accepted";
}

std::uint64_t Harness::session_of(const schema::Id128& id) const {
  const auto found = replies.find(text_of(id));
  if (found == replies.end()) return 0;
  return flatbuffers::GetRoot<schema::Reply>(found->second.data())->session();
}

std::string Harness::orders() {
  std::string text;
  for (const Sent& one : sent) {
    if (!text.empty()) text += "; ";
    text += one.agent + " " + text_of(one.order());
  }
  sent.clear();
  return text;
}

}  // namespace reeve::manager::testing

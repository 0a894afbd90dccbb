#include "cluster/testing.hpp"

#include <fmt/format.h>

#include "cluster/check.hpp"
#include "cluster/nkey.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster::testing {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

flatbuffers::Offset<schema::NodeSpec> build_node(Builder& builder,
                                                 const NodeOptions& node) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (std::uint32_t i = 0; i < node.devices; ++i) {
    const auto uuid = builder.CreateString(
        node.uuid.empty() ? fmt::format("GPU-{}-{}", node.name, i) : node.uuid);
    const auto model = builder.CreateString(node.model);
    const std::vector<schema::DeviceLink> links(node.links,
                                                schema::DeviceLink::nvlink);
    const auto link_list = links.empty() ? 0 : builder.CreateVector(links);
    const auto mig_of = build_text(builder, node.mig_of);
    devices.push_back(schema::CreateDeviceSpec(
        builder, uuid, model, node.device_memory_bytes, 0, link_list, mig_of));
  }
  const std::vector<std::string_view> limits(node.limits, "no namespaces");
  const auto device_list = builder.CreateVector(devices);
  const auto limit_list = build_texts(builder, limits);
  const auto labels =
      build_pairs(builder, {node.labels.begin(), node.labels.end()});
  const auto name = builder.CreateString(node.name);
  const auto group = build_text(builder, node.group);
  return schema::CreateNodeSpec(builder, name, group, node.cpu_milli,
                                node.memory_bytes, device_list, node.simulated,
                                limit_list, labels);
}

template <class Table>
const Table* root(Builder& builder, flatbuffers::Offset<Table> table) {
  builder.Finish(table);
  return flatbuffers::GetRoot<Table>(builder.GetBufferPointer());
}

std::size_t event_size(std::span<const std::byte> bytes) {
  return flatbuffers::GetPrefixedSize(
             reinterpret_cast<const std::uint8_t*>(bytes.data())) +
         sizeof(flatbuffers::uoffset_t);
}

}  // namespace

Spec one_task() {
  Spec spec;
  spec.name = "one";
  spec.user = "root";
  spec.cpu_milli = 1000;
  spec.memory_bytes = gib;
  spec.argv = {"/bin/true"};
  return spec;
}

Spec tasks_of(std::uint32_t count) {
  Spec spec = one_task();
  spec.tasks = count;
  return spec;
}

std::string key_of(std::string_view word) {
  KeyBytes bytes{};
  for (std::size_t i = 0; i < word.size(); ++i)
    bytes[i % bytes.size()] ^= static_cast<std::byte>(word[i]);
  return user_key_text(bytes);
}

schema::Id128 id_of(std::uint64_t number) {
  return {77, number};
}

Cell::Cell(Time begun) : writer(Sequence{1}, Epoch{1}), now(begun) {
  decide_creation("cell", "root", 0, origin(), writer);
  decide_epoch("m0", origin(), writer);
  settle();
}

Decision Cell::create_token(const TokenOptions& token,
                            std::string_view principal) {
  Builder builder;
  const std::string key =
      token.key.empty()
          ? key_of(token_principal(state.identities().next_token()))
          : token.key;
  auto decision = decide_create_token(
      state,
      *root(builder, schema::CreateCreateTokenDirect(
                         builder, token.role, key.c_str(), token.expires_ns,
                         token.uses, token.name.c_str())),
      local, origin(principal), writer);
  settle();
  return decision;
}

Decision Cell::revoke_token(std::uint64_t token) {
  Builder builder;
  auto decision = decide_revoke_token(
      state, *root(builder, schema::CreateRevokeToken(builder, token)),
      origin("root"), writer);
  settle();
  return decision;
}

Decision Cell::join(const JoinOptions& options) {
  Builder builder;
  const std::string key =
      options.key.empty() ? key_of(options.name) : options.key;
  const std::string principal = token_principal(options.token);
  auto decision = decide_join(
      state,
      *root(builder,
            schema::CreateJoinDirect(builder, options.name.c_str(), key.c_str(),
                                     options.address.c_str(), options.role)),
      local, origin(principal), writer);
  settle();
  return decision;
}

Decision Cell::leave(std::string_view principal, bool force) {
  Builder builder;
  auto decision =
      decide_leave(state, *root(builder, schema::CreateLeave(builder, force)),
                   origin(principal), writer);
  settle();
  return decision;
}

Decision Cell::remove_identity(std::string_view principal,
                               std::string_view reason) {
  Builder builder;
  const auto name = builder.CreateString(principal.data(), principal.size());
  const auto why = build_text(builder, reason);
  auto decision = decide_remove_identity(
      state, *root(builder, schema::CreateRemoveIdentity(builder, name, why)),
      origin("root"), writer);
  settle();
  return decision;
}

void Cell::add_user(std::string_view name) {
  Builder builder;
  const auto text = builder.CreateString(name.data(), name.size());
  const auto spec = schema::CreateAccountSpec(
      builder, AccountKind::user, text, 0, 1000, any_priority, 0, 0, 1001);
  const auto decision = decide_set_account(
      state, *root(builder, schema::CreateSetAccount(builder, spec)),
      origin("root"), writer);
  REEVE_CHECK(decision.has_value(), decision.error().text);
  settle();
}

void Cell::settle() {
  kinds.clear();
  const auto bytes = writer.take().bytes;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto rest = std::span(bytes).subspan(at);
    const std::size_t size = event_size(rest);
    const schema::Event* event = schema::verified_event(rest.first(size));
    REEVE_CHECK(event != nullptr, "an event that fails verification");
    const Status applied = state.apply(*event);
    REEVE_CHECK(applied.has_value(), applied.error().text);
    if (deliver_to) {
      const Status also = deliver_to->apply(*event);
      REEVE_CHECK(also.has_value(), also.error().text);
    }
    if (!kinds.empty()) kinds += ' ';
    kinds += schema::EnumNameEventBody(event->body_type());
    if (keeps_log) offsets_.push_back(log_.size() + at);
    at += size;
  }
  if (keeps_log) log_.insert(log_.end(), bytes.begin(), bytes.end());
  if (!checks) return;
  const Status sound = state.check_invariants();
  REEVE_CHECK(sound.has_value(), sound.error().text);
}

const schema::Event& Cell::event(Sequence sequence) const {
  return schema::event_of(std::span(log_).subspan(offset_of(sequence)));
}

Decision Cell::register_node(const NodeOptions& node, bool reconciled,
                             std::string_view principal) {
  Builder builder;
  const auto* spec = root(builder, build_node(builder, node));
  const std::string agent = node.agent.empty() ? node.name : node.agent;
  auto decision = decide_register(state, agent, *spec, reconciled,
                                  origin(principal), writer);
  settle();
  return decision;
}

NodeId Cell::add(const NodeOptions& node) {
  const auto decision = register_node(node, true);
  REEVE_CHECK(decision.has_value(), decision.error().text);
  return state.node(node.name)->id;
}

Decision Cell::drain(std::string_view node, std::uint64_t deadline_ns) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  const auto reason = builder.CreateString("repair");
  auto decision = decide_drain(
      state,
      *root(builder,
            schema::CreateDrainNode(builder, name, reason, deadline_ns)),
      origin(), writer);
  settle();
  return decision;
}

Decision Cell::resume(std::string_view node) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  auto decision = decide_resume(
      state, *root(builder, schema::CreateResumeNode(builder, name)), origin(),
      writer);
  settle();
  return decision;
}

Decision Cell::remove(std::string_view node) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  auto decision = decide_remove(
      state, *root(builder, schema::CreateRemoveNode(builder, name)), origin(),
      writer);
  settle();
  return decision;
}

Decision Cell::quarantine(std::string_view node, std::string_view device,
                          std::string_view principal, std::string_view reason) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  const auto why = builder.CreateString(reason.data(), reason.size());
  auto decision = decide_quarantine(
      state,
      *root(builder, schema::CreateQuarantineDevice(builder, name, word, why)),
      origin(principal), writer);
  settle();
  return decision;
}

Decision Cell::test(std::string_view node, std::string_view device, bool full,
                    std::string_view principal) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  auto decision = decide_test(
      state,
      *root(builder, schema::CreateTestDevice(builder, name, word, full)),
      origin(principal), writer);
  settle();
  return decision;
}

Decision Cell::tested(std::string_view node, std::string_view uuid,
                      DeviceVerdict verdict, std::string_view text, Sequence id,
                      std::string_view principal) {
  const Node* there = state.node(node);
  if (there && id.value == 0)
    if (const auto asked = there->testing.find(uuid);
        asked != there->testing.end())
      id = asked->second.id;
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(uuid.data(), uuid.size());
  const auto said = build_text(builder, text);
  const auto figures = builder.CreateVector(std::vector{
      schema::CreateDeviceFigureDirect(builder, "memory_read", 3'000, 940)});
  const std::string agent = there ? "agent-" + there->agent : "agent";
  auto decision = decide_tested(
      state,
      *root(builder, schema::CreateReportTest(builder, name, word, id.value,
                                              verdict, said, figures)),
      origin(principal.empty() ? std::string_view(agent) : principal), writer);
  settle();
  return decision;
}

void Cell::own_tests(std::string_view node, OwnTests wanted) {
  const Node& there = *state.node(node);
  decide_own_tests(there, wanted, origin("agent-" + there.agent), writer);
  settle();
}

Decision Cell::release(std::string_view node, std::string_view device,
                       std::string_view principal, bool force) {
  Builder builder;
  const auto name = builder.CreateString(node.data(), node.size());
  const auto word = builder.CreateString(device.data(), device.size());
  auto decision = decide_release(
      state,
      *root(builder, schema::CreateReleaseDevice(builder, name, word, force)),
      origin(principal), writer);
  settle();
  return decision;
}

void Cell::lose(std::string_view node) {
  decide_node_lost(state, *state.node(node), 15 * second_ns, origin(), writer);
  settle();
}

Decision Cell::try_submit(const Spec& spec, std::string_view principal,
                          schema::Id128 id) {
  Builder builder;
  const auto packed = build_spec(builder, spec);
  const auto* command =
      root(builder, schema::CreateSubmitSession(builder, packed));
  if (id.high() == 0 && id.low() == 0) id = {1, ++commands_};
  auto decision =
      decide_submit(state, *command, admission, origin(principal, id), writer);
  settle();
  return decision;
}

SessionId Cell::submit(const Spec& spec) {
  const auto decision = try_submit(spec);
  REEVE_CHECK(decision.has_value(), decision.error().text);
  return decision->session;
}

Decision Cell::cancel(SessionId session, std::string_view principal,
                      schema::Id128 id) {
  Builder builder;
  if (id.high() == 0 && id.low() == 0) id = {1, ++commands_};
  auto decision = decide_cancel(
      state,
      *root(builder, schema::CreateCancelSession(builder, session.value)),
      origin(principal, id), writer);
  settle();
  return decision;
}

Decision Cell::try_submit_array(const Spec& spec, const ArrayRange& range,
                                std::string_view principal, schema::Id128 id) {
  Builder builder;
  const auto packed = build_spec(builder, spec);
  const auto* command = root(
      builder,
      schema::CreateSubmitSession(builder, packed, true, range.from, range.to));
  if (id.high() == 0 && id.low() == 0) id = {1, ++commands_};
  auto decision =
      decide_submit(state, *command, admission, origin(principal, id), writer);
  settle();
  return decision;
}

Decision Cell::cancel_array(SessionId first, std::string_view principal) {
  Builder builder;
  auto decision = decide_cancel(
      state,
      *root(builder, schema::CreateCancelSession(builder, first.value, true)),
      origin(principal, {1, ++commands_}), writer);
  settle();
  return decision;
}

Decision Cell::try_place(SessionId id, const std::vector<std::string>& nodes,
                         const std::vector<DeviceGrant>& devices) {
  Proposal proposal;
  proposal.session = id;
  proposal.attempt = state.session(id) ? session(id).attempt : 1;
  for (const std::string& name : nodes)
    proposal.tasks.push_back({state.node(name)->id, devices});
  auto decision = decide_place(state, proposal, origin(), writer);
  settle();
  return decision;
}

void Cell::place(SessionId id, const std::vector<std::string>& nodes,
                 const std::vector<DeviceGrant>& devices) {
  const auto decision = try_place(id, nodes, devices);
  REEVE_CHECK(decision.has_value(), decision.error().text);
}

FactOutcome Cell::fact(SessionId id, const FactOptions& options) {
  Builder builder;
  const Session* known = state.session(id);
  const std::uint32_t attempt =
      options.attempt ? options.attempt : (known ? known->attempt : 1);
  std::string agent = options.agent;
  if (agent.empty() && known && options.rank < known->tasks.size())
    agent = state.node(known->tasks[options.rank].node)->agent;
  const auto detail = build_text(builder, options.detail);
  schema::ExitFacts facts;
  facts.mutate_exit_code(options.exit_code);
  facts.mutate_started_at(options.started_at);
  facts.mutate_ended_at(options.ended_at);
  const auto* fact =
      root(builder, schema::CreateFact(builder, options.kind, id.value, attempt,
                                       options.rank, 4711, options.reason,
                                       &facts, detail));
  const FactOutcome outcome =
      decide_fact(state, agent, *fact, origin("agent-" + agent), writer);
  settle();
  return outcome;
}

void Cell::start(SessionId session, std::uint32_t rank) {
  const auto outcome =
      fact(session, {.kind = schema::FactKind::started, .rank = rank});
  REEVE_CHECK(outcome == FactOutcome::recorded, "the start was not recorded");
}

void Cell::exit(SessionId session, std::uint32_t rank, std::int32_t exit_code) {
  const auto outcome = fact(session, {.rank = rank, .exit_code = exit_code});
  REEVE_CHECK(outcome == FactOutcome::recorded, "the exit was not recorded");
}

bool Cell::deadline(SessionId id) {
  const bool passed = decide_deadline(state, session(id), origin(), writer);
  settle();
  return passed;
}

bool Cell::task_lost(SessionId id) {
  const bool lost = decide_task_lost(state, session(id), origin(), writer);
  settle();
  return lost;
}

bool Cell::evict(SessionId id) {
  const bool evicted = decide_evict(state, session(id), origin(), writer);
  settle();
  return evicted;
}

bool Cell::dependent(SessionId waiting, SessionId ended) {
  const bool decided = decide_dependent(state, session(waiting), session(ended),
                                        origin(), writer);
  settle();
  return decided;
}

bool Cell::preempt(SessionId victim, SessionId for_session) {
  const Session* known = state.session(victim);
  const std::uint32_t attempt = known ? known->attempt : 1;
  const bool decided =
      decide_preempt(state, {victim, attempt, for_session}, origin(), writer);
  settle();
  return decided;
}

bool Cell::warn(SessionId id) {
  const bool warned = decide_warning(state, session(id), origin(), writer);
  settle();
  return warned;
}

Decision Cell::set_reservation(const Reservation& reservation) {
  Builder builder;
  const auto spec = build_reservation(builder, reservation);
  auto decision = decide_set_reservation(
      state, *root(builder, schema::CreateSetReservation(builder, spec)),
      origin("root"), writer);
  settle();
  return decision;
}

Decision Cell::remove_reservation(std::string_view name) {
  Builder builder;
  const auto text = builder.CreateString(name.data(), name.size());
  auto decision = decide_remove_reservation(
      state, *root(builder, schema::CreateRemoveReservation(builder, text)),
      origin("root"), writer);
  settle();
  return decision;
}

void Cell::tick_reservations() {
  for (const auto& [name, reservation] : state.reservations().all())
    decide_reservation_over(reservation, origin(), writer);
  settle();
}

bool Cell::unreserved(SessionId waiting, const ReservationChange& change) {
  const bool ended =
      decide_unreserved(state, session(waiting), change, origin(), writer);
  settle();
  return ended;
}

Reservation a_reservation(const Cell& cell) {
  Reservation out;
  out.name = "r";
  out.nodes = {"n0"};
  out.users = {"root"};
  out.first = {Time{cell.now.value + hour_ns},
               Time{cell.now.value + 3 * hour_ns}};
  return out;
}

SessionId Cell::running(const Spec& spec) {
  const SessionId id = submit(spec);
  place(id, std::vector<std::string>(spec.tasks, "n0"));
  for (std::uint32_t rank = 0; rank < spec.tasks; ++rank) start(id, rank);
  return id;
}

void replay(State& state, const Cell& cell, Sequence from) {
  const std::span log(cell.log());
  std::size_t at =
      from > cell.state.last_sequence() ? log.size() : cell.offset_of(from);
  while (at < log.size()) {
    const auto rest = log.subspan(at);
    const Status applied = state.apply(schema::event_of(rest));
    REEVE_CHECK(applied.has_value(), applied.error().text);
    at += event_size(rest);
  }
}

std::string replayed_digest(const Cell& cell) {
  State again;
  replay(again, cell, Sequence{1});
  return again.digest_hex();
}

std::string verdict(const Decision& decision) {
  if (decision) return "accepted";
  const Rejection& no = decision.error();
  return fmt::format("{} {} {} {}", schema::EnumNameRejectCode(no.code),
                     no.rule, no.limit, no.value);
}

}  // namespace reeve::cluster::testing

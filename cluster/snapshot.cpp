// The state as canonical bytes, and back. Everything is written in an order
// that depends on values alone, so equal states give equal bytes.
#include <fmt/format.h>
#include <sodium/crypto_generichash_blake2b.h>

#include <algorithm>

#include "cluster/device_tests.hpp"
#include "cluster/node_spec.hpp"
#include "cluster/plant.hpp"
#include "cluster/proved_snapshot.hpp"
#include "cluster/state.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

namespace fb = flatbuffers;
using Builder = fb::FlatBufferBuilder;

fb::Offset<schema::NodeRecord> encode_node(Builder& builder, const Node& node) {
  const auto spec = build_node(builder, node);
  const auto agent = build_text(builder, node.agent);
  const auto reason = build_text(builder, node.drain_reason);
  const auto quarantined = build_quarantines(builder, node.quarantined);
  const auto testing = build_tests(builder, node.testing);
  const auto tested = build_tests(builder, node.tested);
  const auto version = build_text(builder, node.version);
  return schema::CreateNodeRecord(
      builder, node.id.value, agent, spec, node.lost, node.removed,
      node.draining, reason, node.drain_deadline.value, node.barred,
      quarantined, testing, tested, version, node.protocol, node.refused);
}

fb::Offset<schema::AccountRecord> encode_account(Builder& builder,
                                                 const Accounts& accounts,
                                                 const Account& account) {
  const auto spec = build_account(builder, accounts, account, true);
  const auto limits = account.quota ? build_quota(builder, *account.quota) : 0;
  return schema::CreateAccountRecord(builder, spec, account.removed, limits,
                                     account.used_milli_ms,
                                     account.counted_at.value);
}

fb::Offset<schema::TaskRecord> encode_task(Builder& builder, const Task& task) {
  const auto devices =
      task.devices.empty() ? 0 : builder.CreateVectorOfStructs(task.devices);
  return schema::CreateTaskRecord(builder, task.node.value,
                                  static_cast<std::uint8_t>(task.phase),
                                  task.pid, task.reason, &task.facts, devices);
}

fb::Offset<schema::SessionRecord> encode_session(Builder& builder,
                                                 const State& state,
                                                 const Session& session) {
  const auto spec = build_spec(builder, state.spec(session));
  std::vector<fb::Offset<schema::TaskRecord>> tasks;
  for (const Task& task : session.tasks)
    tasks.push_back(encode_task(builder, task));
  const auto task_list = tasks.empty() ? 0 : builder.CreateVector(tasks);
  const auto detail =
      session.detail ? builder.CreateString(*session.detail) : 0;
  return schema::CreateSessionRecord(
      builder, session.id.value, spec, session.state, session.reason,
      session.attempt, session.exit_code, session.signal, detail,
      session.submitted_seq.value, session.last_seq.value,
      session.state_at.value, session.submitted_at.value,
      session.placed_at.value, session.started_at.value, session.ended_at.value,
      session.not_before.value, task_list, session.warned, session.preemptions,
      session.stopping_for.value);
}

template <class Record>
using List = fb::Offset<fb::Vector<fb::Offset<Record>>>;

List<schema::TokenRecord> build_tokens(Builder& builder,
                                       const Identities& identities) {
  std::vector<fb::Offset<schema::TokenRecord>> list;
  for (const auto& [id, token] : identities.tokens())
    list.push_back(build_token(builder, token));
  return list.empty() ? 0 : builder.CreateVector(list);
}

List<schema::IdentityRecord> build_identities(Builder& builder,
                                              const Identities& identities) {
  std::vector<fb::Offset<schema::IdentityRecord>> list;
  for (const auto& [principal, identity] : identities.all())
    list.push_back(build_identity(builder, identity));
  return list.empty() ? 0 : builder.CreateVector(list);
}

List<schema::HealingRecord> build_healings(Builder& builder,
                                           const Healings& healings) {
  std::vector<fb::Offset<schema::HealingRecord>> list;
  for (const auto& [key, kept] : healings.all())
    list.push_back(build_record(builder, kept));
  return list.empty() ? 0 : builder.CreateVector(list);
}

[[gnu::cold]] tl::unexpected<Error> damaged_snapshot(std::string_view what) {
  return fail(Errc::damaged, fmt::format("snapshot: {}", what));
}

}  // namespace

std::vector<std::byte> State::encode_snapshot() const {
  Builder builder(1 << 20);
  const auto cell = build_text(builder, cell_);
  const auto owner = build_text(builder, owner_);
  std::vector<fb::Offset<schema::AccountRecord>> accounts;
  for (const Account& account : accounts_.all())
    accounts.push_back(encode_account(builder, accounts_, account));
  const auto account_list = builder.CreateVector(accounts);
  std::vector<fb::Offset<schema::NodeRecord>> nodes;
  for (const Node& node : nodes_) nodes.push_back(encode_node(builder, node));
  const auto node_list = builder.CreateVector(nodes);
  std::vector<fb::Offset<schema::SessionRecord>> sessions;
  visit_sessions(SessionId{}, [&](const Session& session) {
    sessions.push_back(encode_session(builder, *this, session));
    return true;
  });
  const auto session_list = builder.CreateVector(sessions);
  std::vector<schema::CommandRecord> commands;
  commands.reserve(commands_.size());
  commands_.visit(
      [&](const CommandRing::Key& key, const CommandAnswer& answer) {
        commands.emplace_back(schema::Id128(key[0], key[1]), answer.seq.value,
                              answer.session.value);
      });
  const auto command_list = builder.CreateVectorOfStructs(commands);
  const auto reservations = reservations_.build(builder);
  const auto tokens = build_tokens(builder, identities_);
  const auto identities = build_identities(builder, identities_);
  const auto healings = build_healings(builder, healings_);
  const auto root = schema::CreateStateSnapshot(
      builder, last_sequence_.value - snapshot_lag(), last_time_.value,
      epoch_.value, cell, owner, next_session_, 0, 0, 0, node_list,
      session_list, command_list, ended_evicted_, account_list, reservations,
      identities_.last_token(), tokens, identities, healings);
  const auto bytes = schema::finish(builder, root);
  return {bytes.begin(), bytes.end()};
}

// Fills a fresh State from a verified snapshot.
struct SnapshotReader {
  const schema::StateSnapshot& from;
  State& state;

  Status read() {
    state.last_sequence_ = Sequence{from.seq()};
    state.last_time_ = Time{from.time_at()};
    state.epoch_ = Epoch{from.epoch()};
    state.cell_ = schema::text(from.cell());
    state.owner_ = schema::text(from.owner());
    state.ended_evicted_ = from.ended_evicted();
    if (auto status = accounts(); !status) return status;
    if (from.reservations())
      for (const auto* one : *from.reservations())
        state.reservations_.set(*one);
    identities();
    if (from.healings())
      for (const auto* one : *from.healings())
        state.healings_.set(healing_of(*one->healing()), Sequence{one->seq()},
                            Time{one->at()});
    if (auto status = nodes(); !status) return status;
    if (auto status = sessions(); !status) return status;
    state.next_session_ = from.next_session();
    if (from.commands())
      for (const auto* command : *from.commands())
        state.commands_.push(
            {command->id().high(), command->id().low()},
            {Sequence{command->seq()}, SessionId{command->session()}});
    return {};
  }

  void identities() {
    state.identities_.restore(from.last_token());
    if (from.tokens())
      for (const auto* token : *from.tokens())
        state.identities_.restore(*token);
    if (from.identities())
      for (const auto* identity : *from.identities())
        state.identities_.restore(*identity);
  }

  Status accounts() {
    Accounts& accounts = state.accounts_;
    accounts.advance(state.last_time_);
    if (from.accounts()) {
      for (const auto* record : *from.accounts()) {
        if (record->account()->kind() > AccountKind::MAX)
          return damaged_snapshot("an account is of no kind");
        accounts.place_of(record->account()->kind(),
                          schema::text(record->account()->name()));
      }
      for (const auto* record : *from.accounts()) {
        const auto& spec = *record->account();
        accounts.restore(spec, record->removed());
        if (record->limits())
          accounts.restore_quota(schema::text(spec.name()), spec.kind(),
                                 quota_of(*record->limits()),
                                 record->used_milli_ms(),
                                 Time{record->counted_at()});
      }
    }
    first_format_accounts();
    // Time stands still while holdings come back with the sessions.
    accounts.advance(Time{});
    return {};
  }

  void first_format_accounts() {
    fb::FlatBufferBuilder builder;
    const auto restore = [&](AccountKind kind, const fb::String* name,
                             std::uint32_t uid) {
      builder.Clear();
      builder.Finish(schema::CreateAccountSpec(builder, kind,
                                               builder.CreateString(name), 0,
                                               1000, any_priority, 0, 0, uid));
      state.accounts_.restore(
          *fb::GetRoot<schema::AccountSpec>(builder.GetBufferPointer()), false);
    };
    if (from.groups())
      for (const auto* name : *from.groups())
        restore(AccountKind::group, name, 0);
    if (from.projects())
      for (const auto* name : *from.projects())
        restore(AccountKind::project, name, 0);
    if (from.users())
      for (const auto* user : *from.users())
        restore(AccountKind::user, user->name(), user->uid());
  }

  Status nodes() {
    if (!from.nodes()) return {};
    for (const auto* record : *from.nodes()) {
      if (record->node() != state.nodes_.size())
        return damaged_snapshot("its nodes are out of order");
      Node& node = state.nodes_.emplace_back();
      node.id = NodeId{record->node()};
      state.load_node(node, schema::text(record->agent()), *record->spec());
      node.lost = record->lost();
      node.removed = record->removed();
      node.draining = record->draining();
      node.drain_reason = schema::text(record->drain_reason());
      node.drain_deadline = Time{record->drain_deadline_at()};
      node.barred = record->barred();
      node.version = schema::text(record->version());
      node.protocol = record->protocol();
      node.refused = record->refused();
      if (record->quarantined())
        for (const auto* one : *record->quarantined())
          node.quarantined.emplace(
              one->uuid()->str(),
              Quarantine{
                  one->device(), std::string(schema::text(one->reason())),
                  Time{one->since_at()}, one->by_agent(), one->for_test()});
      node.testing = tests_of(record->testing());
      node.tested = tests_of(record->tested());
      mark_slow(node);
      if (!node.removed || node.barred)
        state.node_by_name_[node.name] = record->node();
      if (node.removed) continue;
      state.count_shape(node, shape_of(*record->spec()));
    }
    return {};
  }

  Status sessions() {
    if (!from.sessions()) return {};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ended;
    std::uint64_t previous = 0;
    for (const auto* record : *from.sessions()) {
      if (record->session() <= previous ||
          record->session() >= from.next_session())
        return damaged_snapshot("its sessions are out of order");
      previous = record->session();
      if (auto status = session(*record); !status) return status;
      if (has_ended(record->state()))
        ended.emplace_back(record->last_seq(), record->session());
    }
    std::sort(ended.begin(), ended.end());
    for (const auto& [seq, id] : ended) state.ended_.push_back(id);
    return {};
  }

  Status session(const schema::SessionRecord& record) {
    Session& session = state.create_session(record.session());
    state.load_spec(session, *record.spec());
    session.state = record.state();
    session.reason = record.reason();
    session.attempt = record.attempt();
    session.exit_code = record.exit_code();
    session.signal = record.signal();
    if (record.detail())
      session.detail =
          std::make_unique<std::string>(schema::text(record.detail()));
    session.submitted_seq = Sequence{record.submitted_seq()};
    session.last_seq = Sequence{record.last_seq()};
    session.state_at = Time{record.state_at()};
    session.submitted_at = Time{record.submitted_at()};
    session.placed_at = Time{record.placed_at()};
    session.started_at = Time{record.started_at()};
    session.ended_at = Time{record.ended_at()};
    session.not_before = Time{record.not_before_at()};
    session.warned = record.warned();
    session.preemptions = record.preemptions();
    session.stopping_for = SessionId{record.stopping_for()};
    const auto index = static_cast<std::size_t>(record.state());
    if (index >= session_states)
      return damaged_snapshot("a session has no such state");
    state.count(session, record.state());
    return tasks(session, record);
  }

  Status tasks(Session& session, const schema::SessionRecord& record) {
    if (!record.tasks()) return {};
    for (const auto* from_task : *record.tasks()) {
      Task& task = session.tasks.emplace_back();
      if (from_task->node() >= state.nodes_.size() || from_task->phase() > 2)
        return damaged_snapshot("a task has no such node or phase");
      task.node = NodeId{from_task->node()};
      task.phase = static_cast<TaskPhase>(from_task->phase());
      task.pid = from_task->pid();
      task.reason = from_task->reason();
      if (from_task->facts()) task.facts = *from_task->facts();
      if (from_task->devices())
        for (const auto* share : *from_task->devices()) {
          // One that was held may be gone from its node by now.
          if (task.phase != TaskPhase::exited &&
              share->device() >= state.nodes_[task.node.value].devices.size())
            return damaged_snapshot("a task has no such device");
          task.devices.push_back(*share);
        }
      if (task.phase == TaskPhase::exited) {
        ++session.tasks_exited;
      } else {
        state.hold(session, task);
      }
      if (task.facts.started_at() != 0) ++session.tasks_started;
    }
    return {};
  }
};

Expected<State> State::decode_snapshot(std::span<const std::byte> bytes) {
  if (!schema::verified<schema::StateSnapshot>(bytes))
    return damaged_snapshot("its bytes fail verification");
  return decode_proved(bytes);
}

Expected<State> decode_proved(std::span<const std::byte> bytes) {
  if (bytes.size() < 8) return damaged_snapshot("it is empty");
  State state;
  SnapshotReader reader{
      *flatbuffers::GetRoot<schema::StateSnapshot>(bytes.data()), state};
  if (auto status = reader.read(); !status)
    return tl::unexpected(status.error());
  return state;
}

Digest State::digest_of(std::span<const std::byte> snapshot) {
  Digest digest;
  crypto_generichash_blake2b(
      reinterpret_cast<unsigned char*>(digest.data()), digest.size(),
      reinterpret_cast<const unsigned char*>(snapshot.data()), snapshot.size(),
      nullptr, 0);
  return digest;
}

Digest State::digest() const {
  return digest_of(encode_snapshot());
}

std::string State::digest_hex() const {
  std::string out;
  for (const std::byte byte : digest())
    fmt::format_to(std::back_inserter(out), "{:02x}",
                   static_cast<unsigned>(byte));
  return out;
}

}  // namespace reeve::cluster

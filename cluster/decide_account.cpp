// Users, projects and groups are made, changed and removed; quotas are set.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide.hpp"
#include "cluster/decide_internal.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/scheduling/policy.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

std::string_view kind_name(AccountKind kind) {
  return schema::EnumNameAccountKind(kind);
}

bool is_kind(AccountKind kind) {
  return kind <= AccountKind::MAX;
}

Check check_kind(AccountKind kind) {
  if (is_kind(kind)) return std::nullopt;
  return reject(RejectCode::malformed, "account_kind",
                "this program does not know that kind of account: it is older "
                "than the one that asks");
}

Rejection unknown(const State& state, AccountKind kind, std::string_view name) {
  return reject(
      RejectCode::not_found, "account_unknown",
      fmt::format("there is no {} '{}'; there are: {}", kind_name(kind), name,
                  fmt::join(state.accounts().names(kind), ", ")));
}

Check check_account_name(std::string_view name) {
  return check_name(name, "account_name", "a name", name_bytes_max);
}

Check check_bounds(const schema::AccountSpec& spec) {
  if (auto no = check_kind(spec.kind())) return no;
  if (auto no = check_account_name(schema::text(spec.name()))) return no;
  if (spec.weight_milli() == 0 ||
      spec.weight_milli() > account_weight_milli_max)
    return reject(RejectCode::over_limit, "account_weight_milli_max",
                  fmt::format("a weight is 0.001 to {}, not {}",
                              account_weight_milli_max / 1000,
                              spec.weight_milli() / 1000.0),
                  account_weight_milli_max, spec.weight_milli());
  if (spec.gpu_sharing() > schema::GpuSharing::MAX)
    return reject(RejectCode::malformed, "gpu_sharing",
                  "this program does not know that way to share a GPU: it is "
                  "older than the one that asks");
  const std::size_t members = spec.members() ? spec.members()->size() : 0;
  if (members > account_members_max)
    return reject(RejectCode::over_limit, "account_members_max",
                  fmt::format("{} members; at most {} are possible", members,
                              account_members_max),
                  account_members_max, members);
  if (spec.members())
    for (const auto* member : *spec.members())
      if (auto no = check_account_name(schema::text(member))) return no;
  return std::nullopt;
}

// What belongs to one kind of account only.
Check check_fields(const schema::AccountSpec& spec) {
  const AccountKind kind = spec.kind();
  const auto only = [&](bool given, const char* what, AccountKind of) -> Check {
    if (!given || kind == of) return std::nullopt;
    return reject(RejectCode::malformed, "account_field",
                  fmt::format("a {} has no {}", kind_name(kind), what));
  };
  if (auto no = only(!schema::text(spec.parent()).empty(), "parent",
                     AccountKind::project))
    return no;
  if (auto no = only(!schema::text(spec.policy()).empty(), "policy",
                     AccountKind::group))
    return no;
  if (auto no =
          only(spec.admin() || spec.uid() != 0, "user id", AccountKind::user))
    return no;
  if (auto no = only(spec.gpu_sharing() != schema::GpuSharing::project,
                     "setting of who shares a GPU", AccountKind::group))
    return no;
  if (kind == AccountKind::user && spec.members() && spec.members()->size() > 0)
    return reject(RejectCode::malformed, "account_field",
                  "a user has no members");
  return std::nullopt;
}

Check check_parent(const State& state, const schema::AccountSpec& spec) {
  const std::string_view parent = schema::text(spec.parent());
  if (parent.empty()) return std::nullopt;
  const Accounts& accounts = state.accounts();
  const Account* above = accounts.find(AccountKind::project, parent);
  if (!above) return unknown(state, AccountKind::project, parent);
  std::size_t depth = 1;
  for (;; ++depth) {
    if (above->name == schema::text(spec.name()))
      return reject(RejectCode::malformed, "project_circle",
                    fmt::format("project {} would be above itself: {} lies "
                                "below it",
                                schema::text(spec.name()), parent));
    if (above->parent == no_account) break;
    above = &accounts.at(above->parent);
  }
  // What lies below it moves with it.
  std::size_t below = 0;
  for (const Account& account : accounts.all()) {
    if (account.kind != AccountKind::project) continue;
    std::size_t steps = 0;
    const Account* at = &account;
    while (at->name != schema::text(spec.name()) && at->parent != no_account) {
      at = &accounts.at(at->parent);
      ++steps;
    }
    if (at->name == schema::text(spec.name())) below = std::max(below, steps);
  }
  const std::size_t levels = depth + 1 + below;
  if (levels > project_depth_max)
    return reject(RejectCode::over_limit, "project_depth_max",
                  fmt::format("projects would be {} levels deep; at most {} "
                              "are possible",
                              levels, project_depth_max),
                  project_depth_max, levels);
  return std::nullopt;
}

Check check_policy(const schema::AccountSpec& spec) {
  const std::string_view text = schema::text(spec.policy());
  if (text.empty()) return std::nullopt;
  const auto policy = parse_policy(text);
  if (policy) return std::nullopt;
  return reject(RejectCode::malformed, "policy", policy.error().text);
}

Check check_removal(const State& state, const Account& account) {
  if (account.kind == AccountKind::user && account.name == state.owner())
    return reject(RejectCode::wrong_state, "account_owner",
                  fmt::format("{} owns the cell", account.name));
  if (account.kind != AccountKind::user && account.name == default_group)
    return reject(RejectCode::wrong_state, "account_default",
                  fmt::format("sessions that name no {} are of this one",
                              kind_name(account.kind)));
  const Amounts& held = account.held;
  if (held.sessions + held.waiting > 0)
    return reject(
        RejectCode::wrong_state, "account_in_use",
        fmt::format("{} {} has {} and {}: let them end, or cancel them",
                    kind_name(account.kind), account.name,
                    counted(held.sessions, "running session"),
                    counted(held.waiting, "waiting one")),
        0, held.sessions + held.waiting);
  for (const Node& node : state.nodes())
    if (account.kind == AccountKind::group && node.group == account.name &&
        !node.removed)
      return reject(
          RejectCode::wrong_state, "group_in_use",
          fmt::format("node {} is of group {}", node.name, account.name));
  for (const Account& other : state.accounts().all())
    if (account.kind == AccountKind::project && !other.removed &&
        other.parent != no_account &&
        &state.accounts().at(other.parent) == &account)
      return reject(
          RejectCode::wrong_state, "project_has_children",
          fmt::format("project {} lies below {}", other.name, account.name));
  return std::nullopt;
}

flatbuffers::Offset<schema::AccountSpec> copy_account(
    flatbuffers::FlatBufferBuilder& builder, const schema::AccountSpec& spec) {
  std::vector<std::string_view> members;
  if (spec.members())
    for (const auto* member : *spec.members())
      members.push_back(schema::text(member));
  const auto name = builder.CreateString(spec.name());
  const auto parent = build_text(builder, schema::text(spec.parent()));
  const auto member_list = build_texts(builder, members);
  const auto policy = build_text(builder, schema::text(spec.policy()));
  return schema::CreateAccountSpec(builder, spec.kind(), name, parent,
                                   spec.weight_milli(), spec.priority_max(),
                                   member_list, policy, spec.uid(),
                                   spec.admin(), 0, spec.gpu_sharing());
}

// The bus would take such a user for somebody else.
Check check_reserved(const schema::AccountSpec& spec) {
  const std::string_view name = schema::text(spec.name());
  if (spec.kind() != AccountKind::user || !is_reserved_principal(name))
    return std::nullopt;
  return reject(RejectCode::malformed, "user_reserved",
                fmt::format("the bus knows members of the cell by names like "
                            "'{}': choose another for a user",
                            name));
}

// Who may submit no more connects no more.
void write_member_removed(const State& state, const Account& account,
                          Sequence cause, EventWriter& writer) {
  if (account.kind == AccountKind::user)
    write_identity_removed(state, account.name, "the user was removed", cause,
                           writer);
}

}  // namespace

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

Check check_name(std::string_view name, const char* rule, std::string_view what,
                 std::size_t bytes_max) {
  if (name.size() <= bytes_max && is_plain_name(name)) return std::nullopt;
  return reject(RejectCode::malformed, rule,
                fmt::format("{} has 1 to {} letters, digits and -_. and does "
                            "not begin with -; this one is '{}'",
                            what, bytes_max, name.substr(0, bytes_max)),
                bytes_max, name.size());
}

std::optional<Rejection> check_new_account(const State& state,
                                           std::string_view name) {
  if (auto no = check_account_name(name)) return no;
  const std::size_t count = state.accounts().all().size();
  if (count < accounts_max) return std::nullopt;
  return reject(RejectCode::over_limit, "accounts_max",
                fmt::format("the cell has {} accounts, its bound", count),
                accounts_max, count);
}

Decision decide_set_account(const State& state,
                            const schema::SetAccount& command,
                            const Origin& origin, EventWriter& writer) {
  const auto& spec = *command.account();
  if (auto no = check_bounds(spec)) return tl::unexpected(std::move(*no));
  if (auto no = check_fields(spec)) return tl::unexpected(std::move(*no));
  if (auto no = check_parent(state, spec))
    return tl::unexpected(std::move(*no));
  if (auto no = check_policy(spec)) return tl::unexpected(std::move(*no));
  if (!state.accounts().find(spec.kind(), schema::text(spec.name()))) {
    if (auto no = check_reserved(spec)) return tl::unexpected(std::move(*no));
    if (auto no = check_new_account(state, schema::text(spec.name())))
      return tl::unexpected(std::move(*no));
  }
  writer.begin(origin);
  auto& builder = writer.builder();
  return Accepted{writer.add(schema::CreateAccountChanged(
                                 builder, copy_account(builder, spec)),
                             Sequence{}),
                  {}};
}

Decision decide_remove_account(const State& state,
                               const schema::RemoveAccount& command,
                               const Origin& origin, EventWriter& writer) {
  if (auto no = check_kind(command.kind())) return tl::unexpected(*no);
  const Account* account =
      state.accounts().find(command.kind(), schema::text(command.name()));
  if (!account)
    return tl::unexpected(
        unknown(state, command.kind(), schema::text(command.name())));
  if (auto no = check_removal(state, *account))
    return tl::unexpected(std::move(*no));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto name = builder.CreateString(account->name);
  const Sequence removed = writer.add(
      schema::CreateAccountRemoved(builder, account->kind, name), Sequence{});
  write_member_removed(state, *account, removed, writer);
  return Accepted{removed, {}};
}

Decision decide_set_quota(const State& state, const schema::SetQuota& command,
                          const Origin& origin, EventWriter& writer) {
  if (auto no = check_kind(command.kind())) return tl::unexpected(*no);
  const Account* account =
      state.accounts().find(command.kind(), schema::text(command.name()));
  if (!account)
    return tl::unexpected(
        unknown(state, command.kind(), schema::text(command.name())));
  const Quota quota = quota_of(*command.limits());
  if (quota.period > QuotaPeriod::MAX)
    return tl::unexpected(reject(RejectCode::malformed, "quota_period",
                                 "this program does not know that period"));
  Quota nothing;
  nothing.period = quota.period;
  if (quota == nothing && !account->quota)
    return tl::unexpected(
        reject(RejectCode::malformed, "quota_empty",
               "a quota limits something: sessions, waiting sessions, CPUs, "
               "memory, GPUs or GPU hours"));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto name = builder.CreateString(account->name);
  if (quota == nothing)  // the last limit goes
    return Accepted{
        writer.add(schema::CreateQuotaRemoved(builder, account->kind, name),
                   Sequence{}),
        {}};
  const auto limits = build_quota(builder, quota);
  return Accepted{
      writer.add(schema::CreateQuotaSet(builder, account->kind, name, limits),
                 Sequence{}),
      {}};
}

Decision decide_remove_quota(const State& state,
                             const schema::RemoveQuota& command,
                             const Origin& origin, EventWriter& writer) {
  if (auto no = check_kind(command.kind())) return tl::unexpected(*no);
  const Account* account =
      state.accounts().find(command.kind(), schema::text(command.name()));
  if (!account)
    return tl::unexpected(
        unknown(state, command.kind(), schema::text(command.name())));
  if (!account->quota)
    return tl::unexpected(
        reject(RejectCode::not_found, "quota_unknown",
               fmt::format("{} {} has no quota", kind_name(account->kind),
                           account->name)));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto name = builder.CreateString(account->name);
  return Accepted{
      writer.add(schema::CreateQuotaRemoved(builder, account->kind, name),
                 Sequence{}),
      {}};
}

}  // namespace reeve::cluster

#include "cluster/accounts/accounts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/check.hpp"
#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

constexpr std::uint64_t hour_ms = 3'600'000;

void add_to(std::uint64_t& sum, std::uint64_t amount) {
  sum += amount;
}
void take_from(std::uint64_t& sum, std::uint64_t amount) {
  REEVE_CHECK(sum >= amount,
              fmt::format("an account gives back {} of {}", amount, sum));
  sum -= amount;
}

template <class Change>
void change_amounts(Amounts& sums, const Amounts& by, Change change) {
  change(sums.sessions, by.sessions);
  change(sums.waiting, by.waiting);
  change(sums.cpu_milli, by.cpu_milli);
  change(sums.memory_bytes, by.memory_bytes);
  change(sums.gpu_milli, by.gpu_milli);
}

// Limits are whole numbers of thousandths of an hour, so an hour is its
// milliseconds; a product that no number holds is no limit either.
std::uint64_t limit_milli_ms(const Quota& quota) {
  if (quota.gpu_milli_hours > no_limit / hour_ms) return no_limit;
  return quota.gpu_milli_hours * hour_ms;
}

struct Line {
  QuotaItem item;
  std::uint64_t limit;
  std::uint64_t held;
  std::uint64_t wanted;
};

std::array<Line, 5> lines_of(const Quota& quota, const Amounts& held,
                             const Amounts& wanted) {
  return {
      {{QuotaItem::sessions, quota.sessions, held.sessions, wanted.sessions},
       {QuotaItem::waiting, quota.waiting, held.waiting, wanted.waiting},
       {QuotaItem::cpu, quota.cpu_milli, held.cpu_milli, wanted.cpu_milli},
       {QuotaItem::memory, quota.memory_bytes, held.memory_bytes,
        wanted.memory_bytes},
       {QuotaItem::gpus, quota.gpu_milli, held.gpu_milli, wanted.gpu_milli}}};
}

std::optional<QuotaExcess> gpu_time_excess(const Account& account,
                                           std::uint64_t used_milli_ms,
                                           Time now) {
  if (!account.limits_gpu_time() ||
      used_milli_ms < limit_milli_ms(*account.quota))
    return std::nullopt;
  QuotaExcess found;
  found.kind = account.kind;
  found.name = account.name;
  found.item = QuotaItem::gpu_hours;
  found.limit = account.quota->gpu_milli_hours;
  found.held = used_milli_ms / hour_ms;
  found.period = account.quota->period;
  found.renewed_at = period_end(account.quota->period, now);
  return found;
}

}  // namespace

std::optional<QuotaExcess> excess(const Account& account, const Amounts& held,
                                  const Amounts& wanted) {
  if (!account.quota) return std::nullopt;
  for (const Line& line : lines_of(*account.quota, held, wanted)) {
    if (line.wanted == 0) continue;
    if (line.held <= line.limit && line.wanted <= line.limit - line.held)
      continue;
    QuotaExcess found;
    found.kind = account.kind;
    found.name = account.name;
    found.item = line.item;
    found.limit = line.limit;
    found.held = line.held;
    found.wanted = line.wanted;
    return found;
  }
  return std::nullopt;
}

std::optional<QuotaExcess> never(const Account& account,
                                 const Amounts& wanted) {
  if (auto found = excess(account, {}, wanted)) return found;
  if (wanted.gpu_milli == 0 || !account.quota ||
      account.quota->gpu_milli_hours > 0)
    return std::nullopt;
  QuotaExcess found;
  found.kind = account.kind;
  found.name = account.name;
  found.item = QuotaItem::gpu_hours;
  found.period = account.quota->period;
  return found;
}

bool Account::admits(std::string_view member) const {
  return members.empty() ||
         std::find(members.begin(), members.end(), member) != members.end();
}

AccountIndex Accounts::index_of(AccountKind kind, std::string_view name) const {
  const auto& index = index_[static_cast<std::size_t>(kind)];
  const auto found = index.find(std::string(name));
  return found == index.end() ? no_account : found->second;
}

AccountIndex Accounts::intern(AccountKind kind, std::string_view name) {
  const auto fresh = static_cast<AccountIndex>(accounts_.size());
  const auto [at, added] = index_[static_cast<std::size_t>(kind)].try_emplace(
      std::string(name), fresh);
  if (!added) return at->second;
  Account& account = accounts_.emplace_back();
  account.kind = kind;
  account.name = name;
  account.removed = true;
  return fresh;
}

const Account* Accounts::find(AccountKind kind, std::string_view name) const {
  const AccountIndex index = index_of(kind, name);
  if (index == no_account || accounts_[index].removed) return nullptr;
  return &accounts_[index];
}

const Account* Accounts::find_removed(AccountKind kind,
                                      std::string_view name) const {
  const AccountIndex index = index_of(kind, name);
  if (index == no_account || !accounts_[index].removed) return nullptr;
  return &accounts_[index];
}

std::vector<std::string> Accounts::names(AccountKind kind) const {
  std::vector<std::string> out;
  for (const Account& account : accounts_)
    if (account.kind == kind && !account.removed) out.push_back(account.name);
  return out;
}

Owners Accounts::owners(std::string_view user, std::string_view project,
                        std::string_view group) {
  return {intern(AccountKind::user, user),
          intern(AccountKind::project, project),
          intern(AccountKind::group, group)};
}

std::vector<AccountIndex> Accounts::with_parents(AccountIndex index) const {
  std::vector<AccountIndex> out;
  for (; index != no_account; index = accounts_[index].parent)
    out.push_back(index);
  return out;
}

bool Accounts::has_children(AccountIndex index) const {
  return std::any_of(accounts_.begin(), accounts_.end(),
                     [&](const Account& account) {
                       return account.parent == index && !account.removed;
                     });
}

// ---- events

bool Accounts::apply(const schema::Event& event) {
  using schema::EventBody;
  const auto create = [&](AccountKind kind, const flatbuffers::String* name) {
    Account& account = accounts_[intern(kind, schema::text(name))];
    account.removed = false;
    return &account;
  };
  switch (event.body_type()) {
    case EventBody::GroupCreated:
      create(AccountKind::group, event.body_as_GroupCreated()->name());
      return true;
    case EventBody::ProjectCreated:
      create(AccountKind::project, event.body_as_ProjectCreated()->name());
      return true;
    case EventBody::UserCreated: {
      const auto* body = event.body_as_UserCreated();
      create(AccountKind::user, body->name())->uid = body->uid();
      return true;
    }
    case EventBody::AccountChanged:
      change(*event.body_as_AccountChanged()->account());
      return true;
    case EventBody::AccountRemoved: {
      const auto* body = event.body_as_AccountRemoved();
      Account& account =
          accounts_[intern(body->kind(), schema::text(body->name()))];
      account.removed = true;
      account.quota.reset();
      account.used_milli_ms = 0;
      account.counted_at = Time{};
      return true;
    }
    case EventBody::QuotaSet: {
      const auto* body = event.body_as_QuotaSet();
      const AccountIndex index =
          intern(body->kind(), schema::text(body->name()));
      set_quota(index, quota_of(*body->limits()));
      if (body->counted_at() != 0) {
        accounts_[index].used_milli_ms = body->used_milli_ms();
        accounts_[index].counted_at = Time{body->counted_at()};
      }
      return true;
    }
    case EventBody::QuotaRemoved: {
      const auto* body = event.body_as_QuotaRemoved();
      Account& account =
          accounts_[intern(body->kind(), schema::text(body->name()))];
      account.quota.reset();
      account.used_milli_ms = 0;
      account.counted_at = Time{};
      return true;
    }
    default: return false;
  }
}

void Accounts::change(const schema::AccountSpec& spec) {
  const AccountIndex index = intern(spec.kind(), schema::text(spec.name()));
  const std::string_view parent = schema::text(spec.parent());
  const AccountIndex above =
      parent.empty() ? no_account : intern(AccountKind::project, parent);
  Account& account = accounts_[index];
  // What it holds moves with it; what was used stays where it was used. A
  // snapshot forgets below what one was that is gone, so nothing that moves
  // changes nothing.
  if (account.parent != above && account.held != Amounts{}) {
    for (const AccountIndex old : with_parents(account.parent)) {
      count_time(accounts_[old]);
      change_amounts(accounts_[old].held, account.held, take_from);
    }
    for (const AccountIndex now : with_parents(above)) {
      count_time(accounts_[now]);
      change_amounts(accounts_[now].held, account.held, add_to);
    }
  }
  account.parent = above;
  account.removed = false;
  account.weight_milli = spec.weight_milli();
  account.priority_max = spec.priority_max();
  account.members.clear();
  if (spec.members())
    for (const auto* member : *spec.members())
      account.members.emplace_back(schema::text(member));
  account.policy = schema::text(spec.policy());
  account.uid = spec.uid();
  account.admin = spec.admin();
  account.gpu_sharing = spec.gpu_sharing();
  if (!spec.usage()) return;
  account.usage.restore(*spec.usage());
  account.usage_at = now_;
}

void Accounts::set_quota(AccountIndex index, const Quota& quota) {
  Account& account = accounts_[index];
  count_gpu_time(account);
  const bool goes_on = account.limits_gpu_time() &&
                       account.quota->period == quota.period &&
                       quota.gpu_milli_hours != no_limit;
  account.quota = quota;
  if (goes_on) return;
  account.used_milli_ms = 0;
  account.counted_at = account.limits_gpu_time() ? now_ : Time{};
}

// ---- what is held

std::uint64_t Accounts::used_milli_ms(const Account& account, Time now) const {
  if (!account.limits_gpu_time()) return 0;
  if (now <= account.counted_at) return account.used_milli_ms;
  const Time begun = period_start(account.quota->period, now);
  const bool renewed = begun > account.counted_at;
  const Time from = renewed ? begun : account.counted_at;
  // Differences of whole milliseconds since the epoch add up exactly.
  const std::uint64_t elapsed_ms = now.value / ms_ns - from.value / ms_ns;
  return (renewed ? 0 : account.used_milli_ms) +
         account.held.gpu_milli * elapsed_ms;
}

void Accounts::count_gpu_time(Account& account) {
  if (!account.limits_gpu_time() || now_ <= account.counted_at) return;
  account.used_milli_ms = used_milli_ms(account, now_);
  account.counted_at = now_;
}

void Accounts::count_usage(Account& account) {
  if (account.kind == AccountKind::group) return;
  if (account.usage_at.value != 0 && now_ > account.usage_at)
    account.usage.count(account.usage_at, now_, account.held);
  account.usage_at = std::max(account.usage_at, now_);
}

// Before what it holds changes.
void Accounts::count_time(Account& account) {
  count_gpu_time(account);
  count_usage(account);
}

template <class Visit>
void Accounts::each_of(const Owners& owners, Visit&& visit) const {
  if (owners.user != no_account) visit(owners.user);
  for (AccountIndex at = owners.project; at != no_account;
       at = accounts_[at].parent)
    visit(at);
  if (owners.group != no_account) visit(owners.group);
}

void Accounts::add(const Owners& owners, const Amounts& amounts) {
  each_of(owners, [&](AccountIndex index) {
    count_time(accounts_[index]);
    change_amounts(accounts_[index].held, amounts, add_to);
  });
}

void Accounts::remove(const Owners& owners, const Amounts& amounts) {
  each_of(owners, [&](AccountIndex index) {
    count_time(accounts_[index]);
    change_amounts(accounts_[index].held, amounts, take_from);
  });
}

// ---- quotas

template <class HeldBy>
std::optional<QuotaExcess> Accounts::first_excess(const Owners& owners,
                                                  const Amounts& wanted,
                                                  Time now,
                                                  HeldBy&& held_by) const {
  std::optional<QuotaExcess> found;
  each_of(owners, [&](AccountIndex index) {
    const Account& account = accounts_[index];
    if (found || !account.quota) return;
    found = cluster::excess(account, held_by(account), wanted);
    if (!found && wanted.gpu_milli > 0)
      found = gpu_time_excess(account, used_milli_ms(account, now), now);
    if (found) found->account = index;
  });
  return found;
}

std::optional<QuotaExcess> Accounts::excess(const Owners& owners,
                                            const Amounts& wanted,
                                            Time now) const {
  return first_excess(owners, wanted, now,
                      [](const Account& account) { return account.held; });
}

std::optional<QuotaExcess> Accounts::lasting_excess(const Owners& owners,
                                                    const Amounts& wanted,
                                                    Time now) const {
  return first_excess(owners, wanted, now,
                      [](const Account&) { return Amounts{}; });
}

// ---- snapshots

void Accounts::restore(const schema::AccountSpec& spec, bool removed) {
  change(spec);
  Account& account =
      accounts_[index_of(spec.kind(), schema::text(spec.name()))];
  account.removed = removed;
  if (account.kind != AccountKind::group) account.usage_at = now_;
}

void Accounts::restore_quota(std::string_view name, AccountKind kind,
                             const Quota& quota, std::uint64_t used_milli_ms,
                             Time counted_at) {
  Account& account = accounts_[intern(kind, name)];
  account.quota = quota;
  account.used_milli_ms = used_milli_ms;
  account.counted_at = counted_at;
}

Accounts Accounts::without_holdings() const {
  Accounts out = *this;
  for (Account& account : out.accounts_) account.held = {};
  return out;
}

flatbuffers::Offset<schema::AccountSpec> build_account(
    flatbuffers::FlatBufferBuilder& builder, const Accounts& accounts,
    const Account& account, bool with_usage) {
  const auto name = builder.CreateString(account.name);
  flatbuffers::Offset<flatbuffers::Vector<const UsageBucket*>> usage = 0;
  if (with_usage) {
    UsageHistory counted = account.usage;
    if (account.usage_at.value != 0 && accounts.now() > account.usage_at)
      counted.count(account.usage_at, accounts.now(), account.held);
    if (!counted.buckets().empty())
      usage = builder.CreateVectorOfStructs(counted.buckets());
  }
  const auto parent =
      account.parent == no_account
          ? 0
          : builder.CreateString(accounts.at(account.parent).name);
  const auto members = account.members.empty()
                           ? 0
                           : builder.CreateVectorOfStrings(account.members);
  const auto policy =
      account.policy.empty() ? 0 : builder.CreateString(account.policy);
  return schema::CreateAccountSpec(builder, account.kind, name, parent,
                                   account.weight_milli, account.priority_max,
                                   members, policy, account.uid, account.admin,
                                   usage, account.gpu_sharing);
}

}  // namespace reeve::cluster

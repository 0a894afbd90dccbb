// Users, projects and resource groups: who they are, what they may hold, and
// what they hold. The state and the scheduler each keep one, fed by the same
// events.
//
// Holdings are those of the sessions' tasks, added and taken away as tasks get
// and leave them; a project's are with those of the projects below it. GPU
// time is counted where a quota limits it, from when it does.
#pragma once

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/accounts/quota.hpp"
#include "cluster/accounts/usage.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

inline constexpr std::int32_t any_priority = INT32_MAX;

// An account's place in the order in which they were first named, for ever.
using AccountIndex = std::uint32_t;
inline constexpr AccountIndex no_account = ~AccountIndex{0};

struct Account {
  AccountKind kind = AccountKind::user;
  std::string name;
  bool removed = false;
  AccountIndex parent = no_account;
  std::uint32_t weight_milli = 1000;
  std::int32_t priority_max = any_priority;
  std::vector<std::string> members;
  std::string policy;
  std::uint32_t uid = 0;
  bool admin = false;
  // Of a group: whose shares one of its GPUs may hold at a time.
  schema::GpuSharing gpu_sharing = schema::GpuSharing::project;
  std::optional<Quota> quota;

  Amounts held;
  // GPU time in thousandths of a GPU times milliseconds, since the quota was
  // set or its period began, up to `counted_at`.
  std::uint64_t used_milli_ms = 0;
  Time counted_at;
  UsageHistory usage;  // up to `usage_at`; of users and projects
  Time usage_at;

  bool admits(std::string_view member) const;
  bool limits_gpu_time() const {
    return quota && quota->gpu_milli_hours != no_limit;
  }
};

// Whose a session is.
struct Owners {
  AccountIndex user = no_account;
  AccountIndex project = no_account;
  AccountIndex group = no_account;
};

class Accounts {
 public:
  // Takes in events about accounts; others are none of its business. Returns
  // whether it was one.
  bool apply(const schema::Event& event);

  // Of those that are there; null where there is none of that name.
  const Account* find(AccountKind kind, std::string_view name) const;
  // One that was removed.
  const Account* find_removed(AccountKind kind, std::string_view name) const;
  const std::vector<Account>& all() const { return accounts_; }
  const Account& at(AccountIndex index) const { return accounts_[index]; }
  // The names of those that are there, in order.
  std::vector<std::string> names(AccountKind kind) const;
  // Those that were never named before count as removed.
  Owners owners(std::string_view user, std::string_view project,
                std::string_view group);
  // From the account up to the root; at most project_depth_max of them.
  std::vector<AccountIndex> with_parents(AccountIndex index) const;
  bool has_children(AccountIndex index) const;

  // The time of what follows; GPU time is counted up to it.
  void advance(Time now) { now_ = now; }
  Time now() const { return now_; }
  void add(const Owners& owners, const Amounts& amounts);
  void remove(const Owners& owners, const Amounts& amounts);

  // GPU time used in the period of `now`, in thousandths of a GPU times
  // milliseconds.
  std::uint64_t used_milli_ms(const Account& account, Time now) const;

  // What a user or project used, the older the less, in `weigh`'s unit.
  template <class Weigh>
  double decayed_usage(AccountIndex index, Time now, std::uint64_t half_life_ns,
                       Weigh&& weigh) const {
    const Account& account = accounts_[index];
    UsageHistory open;  // not counted yet
    if (account.usage_at.value != 0)
      open.count(account.usage_at, std::max(now, account.usage_at),
                 account.held);
    return account.usage.decayed(now, half_life_ns, weigh) +
           open.decayed(now, half_life_ns, weigh);
  }

  // The first quota (user, project and those above it, group) that has no room
  // for so much more at `now`; nothing: all have.
  std::optional<QuotaExcess> excess(const Owners& owners, const Amounts& wanted,
                                    Time now) const;
  // The first that would have none if nothing were held: until its next period
  // begins, or it is another quota.
  std::optional<QuotaExcess> lasting_excess(const Owners& owners,
                                            const Amounts& wanted,
                                            Time now) const;
  // For a snapshot: places in the order of their indexes first, then what the
  // accounts are. Holdings come back with the sessions.
  AccountIndex place_of(AccountKind kind, std::string_view name) {
    return intern(kind, name);
  }
  void restore(const schema::AccountSpec& spec, bool removed);
  void restore_quota(std::string_view name, AccountKind kind,
                     const Quota& quota, std::uint64_t used_milli_ms,
                     Time counted_at);
  // The same accounts with nothing held, for a recount.
  Accounts without_holdings() const;

 private:
  using Key = std::pair<AccountKind, std::string>;

  AccountIndex index_of(AccountKind kind, std::string_view name) const;
  AccountIndex intern(AccountKind kind, std::string_view name);
  void change(const schema::AccountSpec& spec);
  void set_quota(AccountIndex index, const Quota& quota);
  void count_gpu_time(Account& account);
  void count_usage(Account& account);
  void count_time(Account& account);
  template <class Visit>
  void each_of(const Owners& owners, Visit&& visit) const;
  template <class HeldBy>
  std::optional<QuotaExcess> first_excess(const Owners& owners,
                                          const Amounts& wanted, Time now,
                                          HeldBy&& held_by) const;

  std::vector<Account> accounts_;
  std::array<boost::unordered_flat_map<std::string, AccountIndex>, 3> index_;
  Time now_;
};

// Whether the account's own quota has no room for so much beside what is held;
// GPU time is left out.
std::optional<QuotaExcess> excess(const Account& account, const Amounts& held,
                                  const Amounts& wanted);
// Whether it would have none if nothing were held or used.
std::optional<QuotaExcess> never(const Account& account, const Amounts& wanted);

// `with_usage`: and what it used, up to the time that the accounts stand at.
flatbuffers::Offset<schema::AccountSpec> build_account(
    flatbuffers::FlatBufferBuilder& builder, const Accounts& accounts,
    const Account& account, bool with_usage = false);

}  // namespace reeve::cluster

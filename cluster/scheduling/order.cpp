// Who comes first among sessions of one priority: a rank, the least first. That
// of a session stands in its key; where the order looks at accounts, the rank
// of the account is added when keys are compared, because it changes with each
// placement. During a pass such a rank only rises.
//
// drf: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, by user, with
// weights. fair_share: the levels of the tree are compared from the top down,
// as in Slurm's Fair Tree: use divided by weight, of the project, of the one
// below it, of the user. multifactor: a sum of hours of age, of size and of
// fair share, 2 to the minus of (share of all use / share by weight).
#include <bit>
#include <cmath>

#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// Use is summed up anew so often; until then what is held counts as used.
constexpr std::uint64_t fair_refresh_ns = 60 * second_ns;
constexpr double hour_ms = 3.6e6;
constexpr double gib_bytes = 1024.0 * 1024 * 1024;

// Multi-factor ranks: fixed point around the middle.
constexpr double factor_scale = 1 << 20;
constexpr std::uint64_t factor_middle = std::uint64_t{1} << 63;

// Only this many levels of projects are told apart.
constexpr std::size_t project_levels = 3;

// Rises with the value, for values that are not negative.
std::uint64_t rising(double value) {
  return std::bit_cast<std::uint64_t>(value);
}
std::uint64_t rising_16(double value) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 15;
}

double part(std::uint64_t held, std::uint64_t capacity) {
  if (held == 0) return 0;
  return static_cast<double>(held) /
         static_cast<double>(std::max<std::uint64_t>(capacity, 1));
}

double dominant(const Amounts& held, const Amounts& capacity) {
  return std::max({part(held.cpu_milli, capacity.cpu_milli),
                   part(held.memory_bytes, capacity.memory_bytes),
                   part(held.gpu_milli, capacity.gpu_milli)});
}

double weighted(const Amounts& held, const ResourceWeights& weights) {
  return static_cast<double>(held.cpu_milli) / 1000 * weights.cpu +
         static_cast<double>(held.memory_bytes) / gib_bytes * weights.memory +
         static_cast<double>(held.gpu_milli) / 1000 * weights.gpu;
}

double weighted_hours(const UsageBucket& used, const ResourceWeights& weights) {
  return (static_cast<double>(used.cpu_milli_ms()) / 1000 * weights.cpu +
          static_cast<double>(used.memory_mib_ms()) / 1024 * weights.memory +
          static_cast<double>(used.gpu_milli_ms()) / 1000 * weights.gpu) /
         hour_ms;
}

double hours(Time at) {
  return static_cast<double>(at.value) / hour_ns;
}

// GPUs asked for, or what counts as one.
double size_of(const Request& request) {
  const double tasks = request.tasks;
  const double gpus = tasks * request.gpus * request.gpu_milli / 1000;
  return std::max(gpus, tasks * request.cpu_milli / 16000);
}

double weight_of(const Accounts& accounts, AccountIndex index) {
  if (index == no_account) return 1;
  return std::max<double>(accounts.at(index).weight_milli, 1) / 1000;
}

}  // namespace

void Scheduler::Core::set_rank(Session& session, const Pool& pool,
                               const Request& request) {
  auto& rank = session.key.rank;
  const auto& factors = pool.policy.factors;
  switch (pool.policy.order) {
    case Order::lifo: rank = ~session.key.session; return;
    case Order::sjf: rank = session.length_ns; return;
    case Order::multifactor:
      rank = factor_middle +
             static_cast<std::uint64_t>(static_cast<std::int64_t>(
                 factor_scale * (factors.age * hours(session.submitted_at) -
                                 factors.size * size_of(request))));
      return;
    default: rank = 0;
  }
}

std::uint64_t Scheduler::Core::dominant_share(const Pool& pool,
                                              AccountIndex user) const {
  const auto it = pool.held.find(user);
  if (it == pool.held.end()) return 0;
  return rising(share_of(pool, user, it->second));
}

// The dominant share of a user who holds so much.
double Scheduler::Core::share_of(const Pool& pool, AccountIndex user,
                                 const Amounts& held) const {
  return dominant(held, pool.capacity) / weight_of(accounts, user);
}

// Hours of use when it was last summed up, and what is held since.
double Scheduler::Core::fair_use(const Pool& pool, AccountIndex account) const {
  if (account == no_account) return 0;
  const auto it = pool.fair_used.find(account);
  const double used = it == pool.fair_used.end() ? 0 : it->second;
  const double refresh_hours =
      static_cast<double>(fair_refresh_ns) / static_cast<double>(hour_ns);
  return used + refresh_hours *
                    weighted(accounts.at(account).held, pool.policy.weights);
}

std::uint64_t Scheduler::Core::fair_rank(const Pool& pool,
                                         const Owner& owner) const {
  std::array<AccountIndex, project_levels> top{};
  top.fill(no_account);
  // Towards the root; the last ones seen are those at the top.
  for (auto at = owner.project; at != no_account; at = accounts.at(at).parent) {
    std::rotate(top.begin(), top.end() - 1, top.end());
    top[0] = at;
  }
  std::uint64_t rank = 0;
  const auto level = [&](AccountIndex account) {
    rank = rank << 16 |
           rising_16(fair_use(pool, account) / weight_of(accounts, account));
  };
  // Users right below a project stand beside the projects below it.
  for (const auto project : top)
    level(project == no_account ? owner.user : project);
  level(owner.user);
  return rank;
}

double Scheduler::Core::fair_factor(const Pool& pool, AccountIndex user) const {
  if (pool.fair_total <= 0 || pool.fair_weights <= 0) return 1;
  const double used = fair_use(pool, user) / pool.fair_total;
  const double share = weight_of(accounts, user) / pool.fair_weights;
  return std::exp2(-used / share);
}

OrderKey Scheduler::Core::effective(const Pool& pool, const Owner& owner,
                                    OrderKey key) const {
  if (!pool.policy.by_account() || key == OrderKey::last()) return key;
  switch (pool.policy.order) {
    case Order::drf: key.rank = dominant_share(pool, owner.user); break;
    case Order::fair_share: key.rank = fair_rank(pool, owner); break;
    default:
      key.rank -=
          static_cast<std::uint64_t>(factor_scale * pool.policy.factors.fair *
                                     fair_factor(pool, owner.user));
  }
  return key;
}

OrderKey Scheduler::Core::effective(const Class& of) const {
  return effective(pools[of.pool], of.owner, of.waiting.front());
}

OrderKey Scheduler::Core::guard_key(const Pool& pool) const {
  return effective(pool, pool.guard_owner, pool.guard);
}

// The first of the refused classes.
std::optional<std::pair<OrderKey, ClassId>> Scheduler::Core::head_of(
    const Pool& pool) const {
  auto best = OrderKey::last();
  const Demand* found = nullptr;
  for (std::size_t i = 0; i < pool.demands.size(); ++i) {
    const auto key =
        effective(pool, pool.demands[i].owner, pool.demand_heads[i]);
    if (key >= best) continue;
    best = key;
    found = &pool.demands[i];
  }
  if (!found) return std::nullopt;
  return std::pair(best, found->refused.begin()->second);
}

void Scheduler::Core::sum_up_use(Pool& pool, Time now) {
  const auto& policy = pool.policy;
  pool.fair_at = now;
  pool.fair_used.clear();
  pool.fair_total = 0;
  pool.fair_weights = 0;
  const auto& all = accounts.all();
  for (AccountIndex i = 0; i < all.size(); ++i) {
    const auto& account = all[i];
    if (account.kind == AccountKind::group) continue;
    const double used = accounts.decayed_usage(
        i, now, policy.half_life_ns, [&](const UsageBucket& bucket) {
          return weighted_hours(bucket, policy.weights);
        });
    if (used <= 0) continue;
    pool.fair_used.emplace(i, used);
    if (account.kind != AccountKind::user) continue;
    pool.fair_total += used;
    pool.fair_weights += weight_of(accounts, i);
  }
}

// Brings what is listed up to ranks that have become less since.
void Scheduler::Core::refresh_ranks(Time now) {
  for (std::uint32_t number = 0; number < pools.size(); ++number) {
    auto& pool = pools[number];
    if (!pool.policy.by_account()) continue;
    if (pool.policy.order != Order::drf &&
        now.value >= pool.fair_at.value + fair_refresh_ns) {
      sum_up_use(pool, now);
      pool.ranks_eased = true;
    }
    if (!pool.ranks_eased) continue;
    pool.ranks_eased = false;
    freed_stale = true;
    if (pool.policy.planned()) plan_changed(pool);
    std::vector<ClassId> listed;
    for (const auto& [key, id] : ready)
      if (classes[id].pool == number) listed.push_back(id);
    for (const auto id : listed) {
      unlist(id);
      list(id, Class::Standing::ready);
    }
    promote_head(pool);
  }
}

std::vector<RankPart> Scheduler::Core::rank_parts(const Session& session,
                                                  Time now) const {
  const auto& own = classes[session.request_class];
  const auto& pool = pools[own.pool];
  const auto user = session.owners.user;
  const auto& factors = pool.policy.factors;
  std::vector<RankPart> parts{
      {"priority", static_cast<double>(session.key.priority)}};
  switch (pool.policy.order) {
    case Order::fifo:
    case Order::lifo: break;
    case Order::sjf:
      if (session.length_ns != no_length)
        parts.push_back({"length_s", static_cast<double>(session.length_ns) /
                                         static_cast<double>(second_ns)});
      break;
    case Order::drf:
      parts.push_back({"dominant_share",
                       std::bit_cast<double>(dominant_share(pool, user))});
      break;
    case Order::fair_share:
      for (auto at = session.owners.project; at != no_account;
           at = accounts.at(at).parent)
        parts.push_back(
            {"project_use_h", fair_use(pool, at) / weight_of(accounts, at)});
      parts.push_back(
          {"user_use_h", fair_use(pool, user) / weight_of(accounts, user)});
      break;
    case Order::multifactor:
      parts.push_back(
          {"age", factors.age * (hours(now) - hours(session.submitted_at))});
      parts.push_back({"size", factors.size * size_of(own.request)});
      parts.push_back({"fair", factors.fair * fair_factor(pool, user)});
      break;
  }
  return parts;
}

// ---- lengths

namespace {

// The lengths of so many users' names are remembered.
constexpr std::size_t lengths_max = 100'000;

}  // namespace

void Scheduler::Core::remember_length(const Session& session, Time ended_at) {
  if (session.started_at.value == 0 || ended_at <= session.started_at) return;
  const auto length_ns = ended_at.value - session.started_at.value;
  auto [it, added] = lengths.try_emplace(session.likeness);
  it->second = {length_ns, added ? length_ns : it->second[0]};
  if (!added) return;
  lengths_by_age.push_back(session.likeness);
  if (lengths_by_age.size() <= lengths_max) return;
  lengths.erase(lengths_by_age.front());
  lengths_by_age.pop_front();
}

// From history: the mean of the last two (Tsafrir et al., "Backfilling Using
// System-Generated Predictions", TPDS 2007), within the limit.
std::uint64_t Scheduler::Core::expected_length(const Session& session,
                                               const Policy& policy) const {
  const auto limit = session.limit_ns();
  if (policy.estimates != EstimateSource::history) return limit;
  const auto it = lengths.find(session.likeness);
  if (it == lengths.end()) return limit;
  return std::min(limit, it->second[0] / 2 + it->second[1] / 2);
}

}  // namespace reeve::cluster

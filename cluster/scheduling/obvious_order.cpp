// Who comes before whom, and who may not start: from what all hold and used.
#include <algorithm>
#include <cmath>

#include "cluster/scheduling/obvious_scheduler.hpp"

namespace reeve::cluster {

namespace {

constexpr double hour_ns = 3600e9;
// What is held counts as so much use until it is summed up again.
constexpr double held_hours = 1.0 / 60;
// Use of one bucket counts as of one moment.
constexpr double use_slack = 0.03;

double gpus_of(const TestSession& spec) {
  return spec.tasks * spec.gpus * spec.gpu_milli / 1000.0;
}

// Whether what is held and wanted is within the quota; of what is not wanted
// more may be held than may be.
bool within(const Quota& quota, const Amounts& held, const Amounts& wanted) {
  const auto fits = [](std::uint64_t has, std::uint64_t more,
                       std::uint64_t limit) {
    return more == 0 || has + more <= limit;
  };
  return fits(held.sessions, wanted.sessions, quota.sessions) &&
         fits(held.cpu_milli, wanted.cpu_milli, quota.cpu_milli) &&
         fits(held.memory_bytes, wanted.memory_bytes, quota.memory_bytes) &&
         fits(held.gpu_milli, wanted.gpu_milli, quota.gpu_milli);
}

Amounts task_amounts(const TestSession& spec) {
  return {0, 0, spec.cpu_milli, spec.memory_bytes,
          std::uint64_t{spec.gpus} * spec.gpu_milli};
}

void add_held(Amounts& sum, const ObviousScheduler::Session& session) {
  if (session.tasks.empty()) return;
  ++sum.sessions;
  for (const bool exited : session.exited)
    if (!exited) sum += task_amounts(session.spec);
}

void add_wanted(Amounts& sum, const ObviousScheduler::Session& session) {
  ++sum.sessions;
  for (std::uint32_t i = 0; i < session.spec.tasks; ++i)
    sum += task_amounts(session.spec);
}

}  // namespace

double ObviousScheduler::weight(const Key& account) const {
  const auto it = accounts.find(account);
  return it == accounts.end() ? 1 : it->second.weight;
}

// Its user, its project and those above it, the group.
std::vector<ObviousScheduler::Key> ObviousScheduler::owners(
    const Session& session) const {
  std::vector<Key> keys{{AccountKind::user, session.spec.user},
                        {AccountKind::group, "default"}};
  auto project = session.spec.project;
  do {
    keys.emplace_back(AccountKind::project, project);
    const auto it = accounts.find(keys.back());
    project = it == accounts.end() ? "" : it->second.parent;
  } while (!project.empty());
  return keys;
}

bool ObviousScheduler::over_quota(const Session& session) const {
  for (const auto& key : owners(session)) {
    const auto it = accounts.find(key);
    if (it == accounts.end() || !it->second.quota) continue;
    Amounts sum;
    for (const auto& [id, other] : cell.sessions)
      for (const auto& owner : owners(other))
        if (owner == key) add_held(sum, other);
    Amounts wanted;
    add_wanted(wanted, session);
    if (!within(*it->second.quota, sum, wanted)) return true;
  }
  return false;
}

bool ObviousScheduler::array_full(const Session& session) const {
  if (session.spec.array_running_max == 0) return false;
  std::uint32_t running = 0;
  for (const auto& [id, other] : cell.sessions)
    if (other.spec.array_session == session.spec.array_session &&
        !other.tasks.empty())
      ++running;
  return running >= session.spec.array_running_max;
}

bool ObviousScheduler::may_start(const Session& session) const {
  return session.standing == Standing::waiting && !over_quota(session) &&
         !array_full(session);
}

// The line of an account is in the order of the queue; where that looks at
// accounts, by priority and submission.
bool ObviousScheduler::excused(const Session& session) const {
  const auto ahead = [&](const Session& other) {
    if (!policy.by_account())
      return over_quota(other) && before(other, session);
    return other.spec.priority > session.spec.priority ||
           (other.spec.priority == session.spec.priority &&
            (other.id < session.id || over_quota(other)));
  };
  for (const auto& mine : owners(session)) {
    const auto it = accounts.find(mine);
    if (it == accounts.end() || !it->second.quota) continue;
    for (const auto* other : waiting()) {
      const auto theirs = owners(*other);
      if (other != &session && ahead(*other) &&
          std::find(theirs.begin(), theirs.end(), mine) != theirs.end())
        return true;
    }
  }
  return false;
}

// ---- use

double ObviousScheduler::weighted(const TestSession& spec) const {
  return spec.tasks *
         (spec.cpu_milli / 1000.0 * policy.weights.cpu +
          static_cast<double>(spec.memory_bytes) / static_cast<double>(gib) *
              policy.weights.memory +
          spec.gpus * spec.gpu_milli / 1000.0 * policy.weights.gpu);
}

bool ObviousScheduler::owned_by(const std::string& user,
                                const std::string& project,
                                const Key& account) const {
  if (account.first == AccountKind::user) return user == account.second;
  auto at = project;
  do {
    if (at == account.second) return true;
    const auto it = accounts.find({AccountKind::project, at});
    at = it == accounts.end() ? "" : it->second.parent;
  } while (!at.empty());
  return false;
}

// Hours up to now, each worth half after a half-life.
double ObviousScheduler::past_use(const Key& account) const {
  const auto decayed = [this](double amount, Time from, Time to) {
    const auto age = static_cast<double>(now.value - from.value);
    const auto hours = static_cast<double>(to.value - from.value) / hour_ns;
    return amount * hours *
           std::exp2(-age / static_cast<double>(policy.half_life_ns));
  };
  double sum = 0;
  for (const auto& used : used_)
    if (owned_by(used.user, used.project, account))
      sum += decayed(used.amount, used.from, used.to);
  for (const auto& [id, session] : cell.sessions) {
    const auto& spec = session.spec;
    if (!owned_by(spec.user, spec.project, account)) continue;
    for (const bool exited : session.exited)
      if (!exited)
        sum += decayed(weighted(spec) / spec.tasks, session.started_at, now);
  }
  return sum;
}

// And what is held, from the moment it is placed.
double ObviousScheduler::use(const Key& account) const {
  double held = 0;
  for (const auto& [id, session] : cell.sessions)
    if (owned_by(session.spec.user, session.spec.project, account))
      for (const bool exited : session.exited)
        if (!exited) held += weighted(session.spec) / session.spec.tasks;
  return past_use(account) + held * held_hours;
}

// The levels of the tree that a session stands on, from the top: three of
// projects, where users right below one stand beside projects, and the user.
std::vector<ObviousScheduler::Key> ObviousScheduler::path(
    const Session& session) const {
  std::vector<Key> levels;
  for (const auto& key : owners(session))
    if (key.first == AccountKind::project) levels.insert(levels.begin(), key);
  const Key user{AccountKind::user, session.spec.user};
  levels.resize(3, user);
  levels.push_back(user);
  return levels;
}

double ObviousScheduler::fair_factor(const std::string& user) const {
  std::map<std::string, double> uses;
  for (const auto& used : used_) uses[used.user] = 0;
  for (const auto& [id, session] : cell.sessions) uses[session.spec.user] = 0;
  double total = 0;
  double weights = 0;
  for (const auto& [name, unused] : uses) {
    const auto used = past_use({AccountKind::user, name});
    if (used <= 0) continue;
    total += used;
    weights += weight({AccountKind::user, name});
  }
  if (total <= 0) return 1;
  const Key key{AccountKind::user, user};
  return std::exp2(-(use(key) / total) / (weight(key) / weights));
}

// The largest part of the cell that the user holds, without what one session
// has and with what another wants.
double ObviousScheduler::dominant_share(const std::string& user,
                                        const Session* without,
                                        const Session* with) const {
  Amounts sum;
  for (const auto& [id, session] : cell.sessions)
    if (session.spec.user == user && &session != without)
      add_held(sum, session);
  if (with) add_wanted(sum, *with);
  Amounts all;
  for (const auto& [number, node] : cell.nodes) {
    if (node.away) continue;
    all.cpu_milli += node.spec.cpu_milli;
    all.memory_bytes += node.spec.memory_bytes;
    all.gpu_milli += 1000 * node.spec.models.size();
  }
  const auto part = [](std::uint64_t held, std::uint64_t of) {
    return held == 0 ? 0.0
                     : static_cast<double>(held) /
                           static_cast<double>(of == 0 ? 1 : of);
  };
  return std::max({part(sum.cpu_milli, all.cpu_milli),
                   part(sum.memory_bytes, all.memory_bytes),
                   part(sum.gpu_milli, all.gpu_milli)}) /
         weight({AccountKind::user, user});
}

// ---- order

ObviousScheduler::Turn ObviousScheduler::by_value(double a, double b,
                                                  double slack) const {
  if (std::abs(a - b) <= slack) return Turn::unclear;
  return a < b ? Turn::before : Turn::after;
}

ObviousScheduler::Turn ObviousScheduler::turn(const Session& a,
                                              const Session& b) const {
  const auto earlier = a.id < b.id ? Turn::before : Turn::after;
  if (a.spec.priority != b.spec.priority)
    return a.spec.priority > b.spec.priority ? Turn::before : Turn::after;
  switch (policy.order) {
    case Order::fifo: return earlier;
    case Order::lifo:
      return earlier == Turn::before ? Turn::after : Turn::before;
    case Order::sjf:
      if (a.length_ns == b.length_ns) return earlier;
      return a.length_ns < b.length_ns ? Turn::before : Turn::after;
    case Order::drf: {
      const auto share_a = dominant_share(a.spec.user, nullptr, nullptr);
      const auto share_b = dominant_share(b.spec.user, nullptr, nullptr);
      return share_a == share_b ? earlier : by_value(share_a, share_b, 1e-9);
    }
    case Order::fair_share: {
      const auto path_a = path(a);
      const auto path_b = path(b);
      for (std::size_t i = 0; i < path_a.size(); ++i) {
        if (path_a[i] == path_b[i]) continue;
        const auto use_a = use(path_a[i]) / weight(path_a[i]);
        const auto use_b = use(path_b[i]) / weight(path_b[i]);
        if (use_a == 0 && use_b == 0) continue;
        return by_value(use_a, use_b, use_slack * std::max(use_a, use_b));
      }
      return earlier;
    }
    case Order::multifactor: break;
  }
  const auto& factors = policy.factors;
  const auto worth = [&](const Session& one) {
    const auto age = static_cast<double>(now.value - one.submitted_at.value);
    const auto size = std::max(gpus_of(one.spec),
                               one.spec.tasks * one.spec.cpu_milli / 16000.0);
    return factors.age * age / hour_ns + factors.size * size;
  };
  const bool same_user = a.spec.user == b.spec.user;
  auto worth_a = worth(a);
  auto worth_b = worth(b);
  if (same_user && worth_a == worth_b) return earlier;
  if (!same_user) {
    worth_a += factors.fair * fair_factor(a.spec.user);
    worth_b += factors.fair * fair_factor(b.spec.user);
  }
  const auto slack = same_user ? 1e-5 : 1e-5 + factors.fair * use_slack;
  return by_value(worth_b, worth_a, slack);
}

}  // namespace reeve::cluster

// Those that wait: whose turn it is, what the first of them is promised, and
// that it does not wait for ever.
#include <algorithm>
#include <deque>

#include "cluster/decide.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/loop.hpp"

namespace reeve::sim {

using cluster::Backfill;
using cluster::Policy;
using cluster::SessionState;

namespace {

constexpr Time never{UINT64_MAX};

// Lengths are told anew when a task is known to run: by so much a promise may
// have come to be wrong since.
constexpr std::uint64_t drift_ns = 60 * second_ns;

// Of those that fit nowhere so many are passed by.
constexpr std::size_t stuck_max = 8;

bool has_fixed_order(const Policy& policy) {
  if (policy.order == cluster::Order::sjf)
    return policy.estimates == cluster::EstimateSource::limit;
  return policy.order == cluster::Order::fifo ||
         policy.order == cluster::Order::lifo;
}

}  // namespace

// ---- who waits

bool Judge::is_clear() const {
  const auto& accounts = known_.accounts().all();
  return known_.reservations().all().empty() &&
         std::none_of(accounts.begin(), accounts.end(),
                      [](const auto& account) { return account.quota; });
}

bool Judge::may_start(const Session& session, Time now) const {
  if (session.state != SessionState::pending || session.not_before > now ||
      open_.contains(session.id.value))
    return false;
  const cluster::Spec spec = known_.spec(session);
  if (!spec.reservation.empty()) {
    const auto* own = known_.reservations().find(spec.reservation);
    if (!own || !own->holds_at(now)) return false;
  }
  if (!session.depends) return true;
  const auto& after = spec.after;
  return std::all_of(after.begin(), after.end(), [&](const auto& one) {
    const Session* other = known_.session(SessionId{one.session()});
    return !other || (cluster::has_ended(other->state) &&
                      cluster::satisfied(one.kind(), other->state));
  });
}

bool Judge::is_before(const Policy& policy, const Session& a,
                      const Session& b) const {
  if (a.priority != b.priority) return a.priority > b.priority;
  if (policy.order == cluster::Order::lifo) return a.id > b.id;
  // Without a limit: the largest.
  if (policy.order == cluster::Order::sjf && a.time_limit_ns != b.time_limit_ns)
    return a.time_limit_ns - 1 < b.time_limit_ns - 1;
  return a.id < b.id;
}

// In their order; nothing: it is not certain who they are.
std::optional<std::vector<Ask>> Judge::queue_of(const Pool& pool,
                                                Time now) const {
  const Policy policy = policy_of(pool);
  if (!is_clear() || !has_fixed_order(policy)) return std::nullopt;
  std::vector<Ask> queue;
  std::map<std::uint64_t, std::uint32_t> of_array;  // that hold a place
  known_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (holds(session) || open_.contains(session.id.value))
      ++of_array[known_.spec(session).array_session];
    if (may_start(session, now) && pool_of(session) == pool)
      queue.emplace_back(known_, session);
    return true;
  });
  std::erase_if(queue, [&](const Ask& ask) {
    const std::uint32_t most = ask.spec.array_running_max;
    return most != 0 && of_array[ask.spec.array_session] >= most;
  });
  std::sort(queue.begin(), queue.end(), [&](const Ask& a, const Ask& b) {
    return is_before(policy, *a.session, *b.session);
  });
  return queue;
}

bool Judge::fits_idle(const Ask& ask) const {
  return fits(known_, rooms_of(known_, true), ask);
}

// The first that would fit if nothing ran; null: it is not certain.
const Ask* Judge::hopeful(const std::vector<Ask>& queue) const {
  for (std::size_t i = 0; i < std::min(stuck_max, queue.size()); ++i) {
    if (queue[i].is_tied()) return nullptr;
    if (fits_idle(queue[i])) return &queue[i];
  }
  return nullptr;
}

std::set<Judge::Pool> Judge::pools() const {
  std::set<Pool> pools;
  for (const auto& node : known_.nodes())
    pools.emplace(node.group, node.simulated);
  return pools;
}

// ---- when the first may start

// By the time limits of what runs; `never` where one has none. Nothing: one
// runs for longer than it may, and nobody knows.
std::optional<Time> Judge::earliest(const Pool& pool, const Ask& ask,
                                    Time now) const {
  struct Ending {
    Time at;
    std::uint32_t node;
    const Ask* ask;
    std::vector<cluster::DeviceGrant> grants;
  };
  std::deque<Ask> asks;
  std::vector<Ending> ends;
  const auto ends_at = [](Time from, const Session& session) {
    return session.time_limit_ns == 0
               ? never
               : Time{from.value + session.time_limit_ns};
  };
  known_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!holds(session) || pool_of(session) != pool) return true;
    const Ask& of = asks.emplace_back(known_, session);
    for (const auto& task : session.tasks)
      if (task.phase != cluster::TaskPhase::exited)
        ends.push_back({ends_at(began_.at(session.id.value), session),
                        task.node.value, &of, grants_of(task)});
    return true;
  });
  for (const auto& [id, open] : open_) {
    const Ask& of = asks.emplace_back(known_, session(id));
    for (const auto& task : open.proposal.tasks)
      ends.push_back(
          {ends_at(open.at, *of.session), task.node.value, &of, task.devices});
  }
  std::sort(ends.begin(), ends.end(),
            [](const Ending& a, const Ending& b) { return a.at < b.at; });
  if (!ends.empty() && ends.front().at < now) return std::nullopt;
  Rooms then = rooms();
  if (fits(known_, then, ask)) return now;
  for (std::size_t i = 0; i < ends.size() && ends[i].at != never; ++i) {
    then.at(ends[i].node).give(*ends[i].ask, ends[i].grants);
    const bool more = i + 1 < ends.size() && ends[i + 1].at == ends[i].at;
    if (!more && fits(known_, then, ask)) return ends[i].at;
  }
  return never;
}

void Judge::begin_pass(const cluster::Scheduler& scheduler, Time now) {
  passing_.clear();
  promises_.clear();
  for (const Pool& pool : pools()) {
    if (!policy_of(pool).planned()) continue;
    const auto queue = queue_of(pool, now);
    const Ask* first = queue ? hopeful(*queue) : nullptr;
    const auto start = first ? earliest(pool, *first, now) : std::nullopt;
    if (!start || *start == never) continue;
    const auto told = scheduler.why(first->session->id);
    const bool kept = told.basis == cluster::StartBasis::plan;
    // What ran for longer than expected has broken it already.
    if (kept && told.expected_start < *start) continue;
    promises_[pool] = {first->session->id.value,
                       kept ? told.expected_start : *start};
  }
}

// ---- after a pass

// Nobody passes the first where nobody may, nor when there is room for it.
void Judge::check_turn(const cluster::Proposal& proposal, const Rooms& before,
                       Time now) const {
  const Session& passing = session(proposal.session.value);
  const Pool pool = pool_of(passing);
  const Policy policy = policy_of(pool);
  const auto queue = queue_of(pool, now);
  if (!queue || queue->empty()) return;
  const Ask& first = queue->front();
  if (!is_before(policy, *first.session, passing)) return;
  const std::uint64_t id = first.session->id.value;
  SIM_CHECK(policy.backfill != Backfill::none,
            "s-{} passes s-{}, where nobody may pass", passing.id.value, id);
  SIM_CHECK(first.is_tied() || !fits(known_, before, first),
            "s-{} is proposed, and s-{} is before it and fits",
            passing.id.value, id);
}

// Nothing keeps the first from what is free.
void Judge::check_first(const Pool& pool, Time now) const {
  const auto queue = queue_of(pool, now);
  if (!queue || queue->empty() || queue->front().is_tied()) return;
  SIM_CHECK(!fits(known_, rooms(), queue->front()),
            "s-{} is the first that waits, there is room for it, and it does "
            "not start",
            queue->front().session->id.value);
}

// Those that passed the first leave it its place.
void Judge::check_promise(const Pool& pool, const Promise& promise,
                          Time now) const {
  const auto queue = queue_of(pool, now);
  const Ask* first = queue ? hopeful(*queue) : nullptr;
  if (!first || first->session->id.value != promise.session) return;
  const Policy policy = policy_of(pool);
  bool passed = false;
  for (const std::uint64_t id : passing_) {
    if (pool_of(session(id)) != pool) continue;
    if (is_before(policy, session(id), *first->session)) return;
    passed = true;
  }
  if (!passed) return;
  const auto start = earliest(pool, *first, now);
  if (!start) return;
  probes_.hit(Probe::head_passed);
  SIM_CHECK(*start != never && start->value <= promise.start.value + drift_ns,
            "s-{} might have started in {} s and may do so in {} s now, for "
            "others passed it",
            promise.session, (promise.start.value - now.value) / second_ns,
            *start == never ? 0 : (start->value - now.value) / second_ns);
}

// When its patience is over places are kept for the first. What holds a place
// then, and what comes before it, will end: then it starts.
void Judge::watch_first(const Pool& pool, Time now) {
  const Policy policy = policy_of(pool);
  Watch& watch = watches_[pool];
  const auto queue = queue_of(pool, now);
  const Ask* first =
      queue && !policy.planned() && !queue->empty() ? &queue->front() : nullptr;
  if (!first || first->is_tied()) {
    watch = {};
    return;
  }
  if (watch.session != first->session->id.value)
    watch = {first->session->id.value, now, false};
  const auto holds_a_place = [&](std::uint64_t id) {
    return open_.contains(id) || holds(session(id));
  };
  if (watch.patience_over) {
    for (const std::uint64_t id : passing_)
      if (is_before(policy, session(id), *first->session)) watch.ran.insert(id);
    std::erase_if(watch.ran, [&](auto id) { return !holds_a_place(id); });
    SIM_CHECK(!watch.ran.empty() || !fits_idle(*first),
              "s-{} has been the first that waits for {} s, what ran when its "
              "patience was over has ended, and it does not start",
              watch.session, (now.value - watch.since.value) / second_ns);
    return;
  }
  const std::uint64_t patience_ns =
      policy.backfill == Backfill::none ? 0 : cluster::head_patience_ns;
  if (now.value < watch.since.value + patience_ns) return;
  // One for which all nodes would not do has its patience begin anew.
  if (!fits_idle(*first)) {
    watch.since = now;
    return;
  }
  probes_.hit(Probe::patience_over);
  watch.patience_over = true;
  known_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (holds_a_place(session.id.value)) watch.ran.insert(session.id.value);
    return true;
  });
}

void Judge::end_pass(Time now) {
  for (const Pool& pool : pools()) {
    check_first(pool, now);
    const auto promise = promises_.find(pool);
    if (promise != promises_.end()) check_promise(pool, promise->second, now);
    watch_first(pool, now);
  }
}

}  // namespace reeve::sim

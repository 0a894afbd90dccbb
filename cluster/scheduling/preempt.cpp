// Who makes room. Asked when the head of a queue found none: the cheapest
// sessions with which it would start, by their priority, then by the work that
// is lost. Nobody is told to go for a head that would still not fit.
//
// Costs a walk over the nodes of the queue, at most once for each head and
// `retry_ns`, and `tries_max` sets; where there are more, those found so far
// without a try of all.
#include <bit>

#include "cluster/scheduling/core.hpp"
#include "cluster/scheduling/queue.hpp"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// For the same head others are looked at again after so long: by then some may
// have run for long enough, or have not gone.
constexpr std::uint64_t retry_ns = 60 * second_ns;

// Sets of sessions that are tried for one head.
constexpr std::size_t tries_max = 20'000;
// Of so many all sets over several nodes are tried.
constexpr std::size_t several_max = 12;

Cost operator+(const Cost& a, const Cost& b) {
  return {std::max(a.priority, b.priority), a.lost + b.lost};
}

bool cheaper(const Victim& a, const Victim& b) {
  return std::tuple(a.cost.priority, a.cost.lost, b.session) <
         std::tuple(b.cost.priority, b.cost.lost, a.session);
}

double seconds(std::uint64_t duration_ns) {
  return static_cast<double>(duration_ns) / static_cast<double>(second_ns);
}

}  // namespace

// From when on it may be told to go.
Time Scheduler::Core::ripe_at(const Pool& pool, const Session& victim) {
  Time at(victim.started_at.value + pool.policy.preempt_after_ns);
  // It is on its way; or the manager would not have it, and may be asked again.
  if (victim.preempted_at.value != 0)
    at = std::max(at, Time(victim.preempted_at.value + retry_ns));
  return at;
}

bool Scheduler::Core::may_preempt(const Pool& pool, const Session& head,
                                  const Session& victim, Time now) const {
  if (victim.standing != Session::Standing::placed) return false;
  if (now < ripe_at(pool, victim)) return false;
  if (victim.key.priority != head.key.priority)
    return victim.key.priority < head.key.priority;
  if (pool.policy.preemption != MakeRoom::fair) return false;
  // Of equals: whose user would still hold the larger share afterwards.
  return share_after(pool, victim.owners.user, wanted_by(victim), {}) >
         share_after(pool, head.owners.user, {}, wanted_by(head));
}

// The dominant share of a user who holds so much less, or more.
double Scheduler::Core::share_after(const Pool& pool, AccountIndex user,
                                    const Amounts& less,
                                    const Amounts& more) const {
  const auto it = pool.held.find(user);
  auto held = it == pool.held.end() ? Amounts{} : it->second;
  const auto change = [](std::uint64_t& sum, std::uint64_t minus,
                         std::uint64_t plus) {
    sum = sum - std::min(sum, minus) + plus;
  };
  change(held.cpu_milli, less.cpu_milli, more.cpu_milli);
  change(held.memory_bytes, less.memory_bytes, more.memory_bytes);
  change(held.gpu_milli, less.gpu_milli, more.gpu_milli);
  return share_of(pool, user, held);
}

Cost Scheduler::Core::cost_of(const Session& victim, Time now) const {
  const auto amounts = wanted_by(victim);
  const double weight =
      std::max(static_cast<double>(amounts.gpu_milli) / 1000,
               static_cast<double>(amounts.cpu_milli) / 16000);
  return {victim.key.priority,
          weight * seconds(now.value - victim.started_at.value)};
}

// What `session` holds on the node, given back.
void Scheduler::Core::give_all_back(Node& node, const Session& session) const {
  for (const auto& holding : session.holdings)
    if (!holding.freed && holding.task.node == node.id)
      give_back(node, session, holding.task.devices);
}

// The nodes that the head may use, and the sessions on them that may go.
Eviction Scheduler::Core::eviction_for(const Pool& pool, const Session& head,
                                       Time now) const {
  Eviction found;
  found.at = now;
  const auto& wanted = classes[head.request_class];
  for (const auto number : pool.nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node)) continue;
    if (slots_unreserved(emptied(node), node, wanted, 1, now) == 0) continue;
    found.nodes.emplace(number, bare(node));
    std::map<std::uint64_t, Victim> here;
    for (const auto& tenant : node.tenants) {
      const auto& session = sessions.at(tenant.session);
      if (may_preempt(pool, head, session, now))
        here[tenant.session] = {cost_of(session, now), tenant.session};
    }
    for (const auto& [id, victim] : here) {
      found.on_node[number].push_back(victim);
      found.all[id] = victim;
    }
  }
  return found;
}

namespace {

using Victims = std::vector<Victim>;
using Test = std::function<bool(const Victims&)>;

// The cheapest set that makes room and is fair, of sessions in order of their
// costs.
class Cheapest {
 public:
  Cheapest(Test makes_room, Test is_fair)
      : makes_room_(std::move(makes_room)), is_fair_(std::move(is_fair)) {}

  // Only a set that costs less than `bound`; whether there is one.
  bool look(const Victims& victims, std::optional<Cost>& bound,
            std::size_t& tries) {
    if (!makes_room_(victims)) return false;
    all_ = victims;
    best_ = &bound;
    tries_ = &tries;
    leave_needed(victims);
    Victims some;
    extend(some, 0, {});
    return found_;
  }
  const Victims& victims() const { return set_; }

 private:
  static Cost sum(const Victims& victims) {
    Cost cost;
    for (const auto& victim : victims) cost = cost + victim.cost;
    return cost;
  }

  void take(const Victims& victims, const Cost& cost) {
    if (*best_ && !(cost < **best_)) return;
    *best_ = cost;
    set_ = victims;
    found_ = true;
  }

  // A first answer: all but those without whom it works as well, the dearest
  // first.
  void leave_needed(Victims victims) {
    for (std::size_t i = victims.size(); i-- > 0;) {
      auto without = victims;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
      if (makes_room_(without)) victims = std::move(without);
    }
    if (is_fair_(victims)) take(victims, sum(victims));
  }

  // All sets that begin with `some` and go on from `next`.
  void extend(Victims& some, std::size_t next, const Cost& cost) {
    if (*best_ && !(cost < **best_)) return;
    if (*tries_ == 0) return;
    --*tries_;
    if (makes_room_(some)) {
      if (is_fair_(some)) take(some, cost);
      return;
    }
    for (; next < all_.size(); ++next) {
      some.push_back(all_[next]);
      extend(some, next + 1, cost + all_[next].cost);
      some.pop_back();
    }
  }

  Test makes_room_;
  Test is_fair_;
  Victims all_;
  std::optional<Cost>* best_ = nullptr;
  std::size_t* tries_ = nullptr;
  Victims set_;
  bool found_ = false;
};

}  // namespace

// Of equals their users still hold the larger share when all of them are gone.
bool Scheduler::Core::stays_fair(const Pool& pool, const Session& head,
                                 const std::vector<Victim>& gone) const {
  if (pool.policy.preemption != MakeRoom::fair) return true;
  std::map<AccountIndex, Amounts> lost;
  std::set<AccountIndex> equals;
  for (const auto& victim : gone) {
    const auto& session = sessions.at(victim.session);
    lost[session.owners.user] += wanted_by(session);
    if (session.key.priority == head.key.priority)
      equals.insert(session.owners.user);
  }
  const auto gains = share_after(pool, head.owners.user, {}, wanted_by(head));
  return std::all_of(equals.begin(), equals.end(), [&](AccountIndex user) {
    return share_after(pool, user, lost[user], {}) > gains;
  });
}

// All tasks on one node: the node whose victims are the cheapest.
std::vector<Victim> Scheduler::Core::victims_on_one(
    const Pool& pool, const Session& head, Eviction& eviction,
    std::optional<Cost>& best_cost, std::size_t& tries) const {
  const auto& wanted = classes[head.request_class];
  const auto is_fair = [&](const Victims& gone) {
    return stays_fair(pool, head, gone);
  };
  std::vector<Victim> best;
  for (auto& [number, victims] : eviction.on_node) {
    const auto makes_room = [&, number = number](const Victims& gone) {
      Node node = eviction.nodes.at(number);
      for (const auto& victim : gone)
        give_all_back(node, sessions.at(victim.session));
      const auto tasks = wanted.request.tasks;
      return slots_unreserved(std::move(node), nodes[number], wanted, tasks,
                              eviction.at) == tasks;
    };
    Cheapest cheapest(makes_room, is_fair);
    std::sort(victims.begin(), victims.end(), cheaper);
    if (!cheapest.look(victims, best_cost, tries)) continue;
    best = cheapest.victims();
    eviction.chosen = {number};
  }
  return best;
}

// Over several nodes: the cheapest of all that suffice.
std::vector<Victim> Scheduler::Core::victims_on_several(
    const Pool& pool, const Session& head, Eviction& eviction,
    std::optional<Cost>& best_cost, std::size_t& tries) const {
  const auto& wanted = classes[head.request_class];
  Places places;
  const auto works = [&](const Victims& gone) {
    auto free_nodes = eviction.nodes;
    for (const auto& victim : gone) {
      const auto& session = sessions.at(victim.session);
      std::set<std::uint32_t> held;
      for (const auto& holding : session.holdings)
        held.insert(holding.task.node.value);
      for (const auto number : held)
        if (const auto it = free_nodes.find(number); it != free_nodes.end())
          give_all_back(it->second, session);
    }
    std::map<std::uint32_t, std::uint32_t> room;
    for (auto& [number, node] : free_nodes)
      if (const auto times =
              slots_unreserved(std::move(node), nodes[number], wanted,
                               wanted.request.tasks, eviction.at))
        room[number] = times;
    return gather(wanted, room, places);
  };
  std::vector<Victim> order;
  for (const auto& [id, victim] : eviction.all) order.push_back(victim);
  std::sort(order.begin(), order.end(), cheaper);
  if (!works(order)) return {};
  // No more than the fewest of the cheapest need be looked at where there are
  // many.
  if (order.size() > several_max) {
    std::size_t low = 0;
    std::size_t high = order.size();
    while (low < high) {
      const auto middle = (low + high) / 2;
      const Victims some(order.begin(),
                         order.begin() + static_cast<std::ptrdiff_t>(middle));
      if (works(some))
        high = middle;
      else
        low = middle + 1;
    }
    order.resize(low);
  }
  auto few = std::min(tries, order.size() > several_max ? 0 : tries);
  Cheapest cheapest(
      works, [&](const Victims& gone) { return stays_fair(pool, head, gone); });
  if (!cheapest.look(order, best_cost, few)) return {};
  works(cheapest.victims());
  eviction.chosen.clear();
  for (const auto& place : places) eviction.chosen.push_back(place.first);
  return cheapest.victims();
}

// The cheapest set of sessions without which the head fits.
Vacancy Scheduler::Core::room_for(const Pool& pool, const Session& head,
                                  Time now) const {
  const auto& request = classes[head.request_class].request;
  auto eviction = eviction_for(pool, head, now);
  std::optional<Cost> best;
  auto tries = tries_max;
  std::vector<Victim> victims;
  if (request.nodes <= 1)
    victims = victims_on_one(pool, head, eviction, best, tries);
  if (request.tasks > 1 && request.nodes != 1) {
    auto several = victims_on_several(pool, head, eviction, best, tries);
    if (!several.empty()) victims = std::move(several);
  }
  return {std::move(victims), std::move(eviction.chosen)};
}

std::vector<Preemption> Scheduler::Core::preempt(Time now) {
  std::vector<Preemption> out;
  for (auto& pool : pools) {
    if (pool.policy.preemption == MakeRoom::off) continue;
    settle(pool, 1);
    const auto found = head_of(pool);
    if (!found) continue;
    if (pool.preempted_for == found->first.session &&
        now.value < pool.preempted_at.value + retry_ns)
      continue;
    pool.preempted_for = found->first.session;
    pool.preempted_at = now;
    // Nobody passes a head that fits nowhere where none may pass.
    const auto chosen = pool.policy.backfill == Backfill::none
                            ? *found
                            : first_hopeful(pool, *found);
    const auto id = chosen.first.session;
    const auto room = room_for(pool, sessions.at(id), now);
    if (room.victims.empty()) continue;
    for (const auto& victim : room.victims) {
      auto& session = sessions.at(victim.session);
      session.preempted_at = now;
      out.push_back(
          {SessionId(victim.session), session.attempt, SessionId(id)});
    }
    drop_guard(pool);
    earmark(pool, classes[chosen.second], room.nodes);
    pool.guard_made_room = true;
  }
  return out;
}

// When `preempt` would first look at this session, were it to wait now;
// no_time: not before another has started.
Time Scheduler::Core::first_look(const Class& wanted, const Session& session,
                                 Time now) const {
  const auto& pool = pools[wanted.pool];
  const auto head = head_of(pool);
  const auto key = effective(pool, wanted.owner, session.key);
  if (!head || key < head->first) return now;
  if (pool.policy.backfill == Backfill::none) return no_time;
  const auto chosen = first_hopeful(pool, *head);
  const auto& before = classes[chosen.second];
  const auto& first = sessions.at(chosen.first.session);
  if (!is_stuck(before) && effective(pool, before.owner, first.key) < key)
    return no_time;
  if (pool.preempted_for != head->first.session) return now;
  return std::max(now, Time(pool.preempted_at.value + retry_ns));
}

// The looks of `preempt` from this one on at which more may go than before.
std::vector<Time> Scheduler::Core::looks_from(const Pool& pool,
                                              Time first) const {
  std::set<Time> looks{first};
  for (const auto number : pool.nodes)
    for (const auto& tenant : nodes[number].tenants) {
      const auto ripe = ripe_at(pool, sessions.at(tenant.session));
      if (ripe <= first) continue;
      const auto count = (ripe.value - first.value + retry_ns - 1) / retry_ns;
      looks.insert(Time(first.value + count * retry_ns));
    }
  return {looks.begin(), looks.end()};
}

// Whom `preempt` would tell to go for it, and when. The later a look, the more
// may go, so the first that finds some is found by halving.
void Scheduler::Core::ask_for_room(const Session& session, DryRun& out,
                                   Time now) const {
  const auto& wanted = classes[session.request_class];
  const auto& pool = pools[wanted.pool];
  if (pool.policy.preemption == MakeRoom::off) return;
  const auto first = first_look(wanted, session, now);
  if (first == no_time) return;
  const auto looks = looks_from(pool, first);
  auto room = room_for(pool, session, first);
  std::size_t found = 0;
  if (room.victims.empty() && looks.size() > 1) {
    found = looks.size() - 1;
    room = room_for(pool, session, looks[found]);
  }
  if (room.victims.empty()) return;
  for (std::size_t low = 1; low < found;) {
    const auto middle = (low + found) / 2;
    auto sooner = room_for(pool, session, looks[middle]);
    if (sooner.victims.empty()) {
      low = middle + 1;
    } else {
      found = middle;
      room = std::move(sooner);
    }
  }
  // By then it would have started without.
  const auto at = looks[found];
  const auto expected = out.why.expected_start;
  if (at > now && expected.value != 0 && expected <= at) return;
  for (const auto& victim : room.victims)
    out.makes_room.emplace_back(victim.session);
  out.makes_room_at = at;
}

// When the head of a queue is to be looked at again; 0: never.
Time Scheduler::Core::next_preemption() const {
  Time next;
  for (const auto& pool : pools) {
    if (pool.policy.preemption == MakeRoom::off) continue;
    const auto head = head_of(pool);
    if (!head || pool.preempted_for != head->first.session) continue;
    const Time at(pool.preempted_at.value + retry_ns);
    if (next.value == 0 || at < next) next = at;
  }
  return next;
}

}  // namespace reeve::cluster

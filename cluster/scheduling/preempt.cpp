// Who makes room. Asked when the head of a queue found none: the cheapest
// sessions with which it would start, by their priority, then by the work that
// is lost. Nobody is told to go for a head that would still not fit.
//
// Costs a walk over the nodes of the queue, at most once for each head and
// `retry_ns`.
#include <bit>

#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// For the same head others are looked at again after so long: by then some may
// have run for long enough, or have not gone.
constexpr std::uint64_t retry_ns = 60 * second_ns;

// What ends with a session: the later in this order, the dearer.
struct Cost {
  std::int32_t priority = INT32_MIN;
  double lost = 0;  // GPUs (and what counts as such) times seconds
  auto operator<=>(const Cost&) const = default;
};

Cost operator+(const Cost& a, const Cost& b) {
  return {std::max(a.priority, b.priority), a.lost + b.lost};
}

struct Victim {
  Cost cost;
  std::uint64_t session = 0;
};

bool cheaper(const Victim& a, const Victim& b) {
  return std::tuple(a.cost.priority, a.cost.lost, b.session) <
         std::tuple(b.cost.priority, b.cost.lost, a.session);
}

double seconds(std::uint64_t duration_ns) {
  return static_cast<double>(duration_ns) / static_cast<double>(second_ns);
}

}  // namespace

bool Scheduler::Core::may_preempt(const Pool& pool, const Session& head,
                                  const Session& victim, Time now) const {
  if (victim.standing != Session::Standing::placed) return false;
  if (victim.preempted_at.value != 0) return false;
  if (now.value < victim.started_at.value + pool.policy.preempt_after_ns)
    return false;
  if (victim.key.priority != head.key.priority)
    return victim.key.priority < head.key.priority;
  if (pool.policy.preemption != MakeRoom::fair) return false;
  // Of equals: whose user would still hold the larger share afterwards.
  const auto share = [&](const Session& of, bool gains) {
    auto held = pool.held.contains(of.owners.user)
                    ? pool.held.at(of.owners.user)
                    : Amounts{};
    const auto amounts = wanted_by(of);
    const auto change = [&](std::uint64_t& sum, std::uint64_t by) {
      sum = gains ? sum + by : sum - std::min(sum, by);
    };
    change(held.cpu_milli, amounts.cpu_milli);
    change(held.memory_bytes, amounts.memory_bytes);
    change(held.gpu_milli, amounts.gpu_milli);
    return share_of(pool, of.owners.user, held);
  };
  return share(victim, false) > share(head, true);
}

// The cheapest set of sessions without which the head fits, and the nodes it
// then gets; empty: there is none.
std::vector<std::uint64_t> Scheduler::Core::victims_for(
    const Pool& pool, const Session& head, Time now,
    std::vector<std::uint32_t>& on) const {
  const auto& wanted = classes[head.request_class];
  const auto tasks = wanted.request.tasks;
  const auto cost_of = [&](const Session& session) {
    const auto amounts = wanted_by(session);
    const double weight =
        std::max(static_cast<double>(amounts.gpu_milli) / 1000,
                 static_cast<double>(amounts.cpu_milli) / 16000);
    return Cost{session.key.priority,
                weight * seconds(now.value - session.started_at.value)};
  };
  const auto free = [&](Node& node, const Session& session) {
    const auto& need = classes[session.request_class].need;
    for (const auto& holding : session.holdings)
      if (!holding.freed && holding.task.node == node.id)
        release(node, need, holding.task.devices);
  };

  // Of each node those that may go, cheapest first; all of them together.
  std::map<std::uint32_t, std::vector<Victim>> on_node;
  std::map<std::uint64_t, Victim> all;
  std::map<std::uint32_t, Node> now_free;
  for (const auto number : pool.nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node)) continue;
    if (!node.bookings.empty() && !unreserved(node, wanted)) continue;
    if (!fits(emptied(node), wanted.need)) continue;
    now_free.emplace(number, bare(node));
    std::set<std::uint64_t> seen;
    for (const auto& tenant : node.tenants) {
      const auto& session = sessions.at(tenant.session);
      if (!seen.insert(tenant.session).second) continue;
      if (!may_preempt(pool, head, session, now)) continue;
      const Victim victim{cost_of(session), tenant.session};
      on_node[number].push_back(victim);
      all.emplace(tenant.session, victim);
    }
  }

  // On one node: its cheapest until the head fits, less those that were not
  // needed after all.
  std::vector<std::uint64_t> best;
  std::optional<Cost> best_cost;
  if (wanted.request.nodes <= 1) {
    for (auto& [number, victims] : on_node) {
      std::sort(victims.begin(), victims.end(), cheaper);
      std::vector<Victim> chosen;
      Node node = now_free.at(number);
      for (const auto& victim : victims) {
        if (fits(node, wanted.need, tasks)) break;
        free(node, sessions.at(victim.session));
        chosen.push_back(victim);
      }
      if (!fits(node, wanted.need, tasks)) continue;
      for (std::size_t i = chosen.size(); i-- > 0;) {
        Node without = now_free.at(number);
        for (std::size_t k = 0; k < chosen.size(); ++k)
          if (k != i) free(without, sessions.at(chosen[k].session));
        if (fits(without, wanted.need, tasks))
          chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
      }
      Cost cost;
      for (const auto& victim : chosen) cost = cost + victim.cost;
      if (best_cost && !(cost < *best_cost)) continue;
      best_cost = cost;
      best.clear();
      for (const auto& victim : chosen) best.push_back(victim.session);
      on = {number};
    }
  }
  if (best_cost || tasks == 1 || wanted.request.nodes == 1) return best;

  // Over several nodes: the cheapest of all, and again less those not needed.
  std::vector<Victim> order;
  for (const auto& [id, victim] : all) order.push_back(victim);
  std::sort(order.begin(), order.end(), cheaper);
  const auto placed_with = [&](const std::vector<Victim>& gone,
                               Planned& planned) {
    auto free_nodes = now_free;
    for (const auto& victim : gone) {
      const auto& session = sessions.at(victim.session);
      std::set<std::uint32_t> touched;
      for (const auto& holding : session.holdings)
        touched.insert(holding.task.node.value);
      for (const auto number : touched)
        if (const auto it = free_nodes.find(number); it != free_nodes.end())
          free(it->second, session);
    }
    std::map<std::uint32_t, std::uint32_t> room;
    for (const auto& [number, node] : free_nodes)
      if (const auto times = slots(node, wanted.need, tasks))
        room[number] = times;
    return gather(wanted, room, planned);
  };
  Planned planned;
  // The fewest of the cheapest that suffice, by halving.
  std::size_t low = 0;
  std::size_t high = order.size();
  if (!placed_with(order, planned)) return {};
  while (low < high) {
    const auto middle = (low + high) / 2;
    const std::vector<Victim> some(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(middle));
    if (placed_with(some, planned))
      high = middle;
    else
      low = middle + 1;
  }
  order.resize(low);
  for (std::size_t i = order.size(); i-- > 0;) {
    auto without = order;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (placed_with(without, planned)) order = without;
  }
  placed_with(order, planned);
  on.clear();
  for (const auto& place : planned.places) on.push_back(place.first);
  for (const auto& victim : order) best.push_back(victim.session);
  return best;
}

std::vector<Preemption> Scheduler::Core::preempt(Time now) {
  std::vector<Preemption> out;
  for (auto& pool : pools) {
    if (pool.policy.preemption == MakeRoom::off) continue;
    const auto found = head_of(pool);
    if (!found) continue;
    const auto id = found->first.session;
    const auto& head = sessions.at(id);
    if (pool.preempted_for == id &&
        now.value < pool.preempted_at.value + retry_ns)
      continue;
    pool.preempted_for = id;
    pool.preempted_at = now;
    std::vector<std::uint32_t> on;
    const auto victims = victims_for(pool, head, now, on);
    if (victims.empty()) continue;
    for (const auto victim : victims) {
      auto& session = sessions.at(victim);
      session.preempted_at = now;
      out.push_back({SessionId(victim), session.attempt, SessionId(id)});
    }
    drop_guard(pool);
    earmark(pool, classes[found->second], on);
  }
  return out;
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

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

bool Scheduler::Core::may_preempt(const Pool& pool, const Session& head,
                                  const Session& victim, Time now) const {
  if (victim.standing != Session::Standing::placed) return false;
  // It is on its way; or the manager would not have it, and may be asked again.
  if (victim.preempted_at.value != 0 &&
      now.value < victim.preempted_at.value + retry_ns)
    return false;
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

Cost Scheduler::Core::cost_of(const Session& victim, Time now) const {
  const auto amounts = wanted_by(victim);
  const double weight =
      std::max(static_cast<double>(amounts.gpu_milli) / 1000,
               static_cast<double>(amounts.cpu_milli) / 16000);
  return {victim.key.priority,
          weight * seconds(now.value - victim.started_at.value)};
}

// What `session` holds on the node, given back.
void Scheduler::Core::give_back(Node& node, const Session& session) const {
  const auto& need = classes[session.request_class].need;
  for (const auto& holding : session.holdings)
    if (!holding.freed && holding.task.node == node.id)
      release(node, need, holding.task.devices);
}

// The nodes that the head may use, and the sessions on them that may go.
Eviction Scheduler::Core::eviction_for(const Pool& pool, const Session& head,
                                       Time now) const {
  Eviction found;
  const auto& wanted = classes[head.request_class];
  for (const auto number : pool.nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node)) continue;
    if (!node.bookings.empty() && !unreserved(node, wanted)) continue;
    if (!fits_emptied(node, wanted.need)) continue;
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

// Takes out those without whom it works as well, the dearest first.
template <class Works>
void leave_needed(std::vector<Victim>& victims, Works&& works) {
  for (std::size_t i = victims.size(); i-- > 0;) {
    auto without = victims;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (works(without)) victims = std::move(without);
  }
}

// All tasks on one node: the node whose victims are the cheapest.
std::vector<Victim> Scheduler::Core::victims_on_one(const Class& wanted,
                                                    Eviction& eviction) const {
  std::vector<Victim> best;
  std::optional<Cost> best_cost;
  for (auto& [number, victims] : eviction.on_node) {
    const auto works = [&, number = number](const std::vector<Victim>& gone) {
      Node node = eviction.nodes.at(number);
      for (const auto& victim : gone)
        give_back(node, sessions.at(victim.session));
      return fits(node, wanted.need, wanted.request.tasks);
    };
    std::sort(victims.begin(), victims.end(), cheaper);
    if (!works(victims)) continue;
    leave_needed(victims, works);
    Cost cost;
    for (const auto& victim : victims) cost = cost + victim.cost;
    if (best_cost && !(cost < *best_cost)) continue;
    best_cost = cost;
    best = victims;
    eviction.chosen = {number};
  }
  return best;
}

// Over several nodes: the fewest of the cheapest of all that suffice.
std::vector<Victim> Scheduler::Core::victims_on_several(
    const Class& wanted, Eviction& eviction) const {
  Places places;
  const auto works = [&](const std::vector<Victim>& gone) {
    auto free_nodes = eviction.nodes;
    for (const auto& victim : gone) {
      const auto& session = sessions.at(victim.session);
      std::set<std::uint32_t> held;
      for (const auto& holding : session.holdings)
        held.insert(holding.task.node.value);
      for (const auto number : held)
        if (const auto it = free_nodes.find(number); it != free_nodes.end())
          give_back(it->second, session);
    }
    std::map<std::uint32_t, std::uint32_t> room;
    for (const auto& [number, node] : free_nodes)
      if (const auto times = slots(node, wanted.need, wanted.request.tasks))
        room[number] = times;
    return gather(wanted, room, places);
  };
  std::vector<Victim> order;
  for (const auto& [id, victim] : eviction.all) order.push_back(victim);
  std::sort(order.begin(), order.end(), cheaper);
  if (!works(order)) return {};
  std::size_t low = 0;
  std::size_t high = order.size();
  while (low < high) {
    const auto middle = (low + high) / 2;
    const std::vector<Victim> some(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(middle));
    if (works(some))
      high = middle;
    else
      low = middle + 1;
  }
  order.resize(low);
  leave_needed(order, works);
  works(order);
  for (const auto& place : places) eviction.chosen.push_back(place.first);
  return order;
}

// The cheapest set of sessions without which the head fits; empty: there is
// none.
std::vector<Victim> Scheduler::Core::victims_for(const Class& wanted,
                                                 Eviction& eviction) const {
  const auto& request = wanted.request;
  if (request.nodes <= 1) {
    auto victims = victims_on_one(wanted, eviction);
    if (!victims.empty() || request.tasks == 1 || request.nodes == 1)
      return victims;
  }
  return victims_on_several(wanted, eviction);
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
    auto eviction = eviction_for(pool, head, now);
    const auto victims = victims_for(classes[found->second], eviction);
    if (victims.empty()) continue;
    for (const auto& victim : victims) {
      auto& session = sessions.at(victim.session);
      session.preempted_at = now;
      out.push_back(
          {SessionId(victim.session), session.attempt, SessionId(id)});
    }
    drop_guard(pool);
    earmark(pool, classes[found->second], eviction.chosen);
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

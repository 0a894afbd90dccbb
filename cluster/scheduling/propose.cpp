// Who is next: classes that are to be looked at, and freed nodes with the
// refused classes that they may serve, in one order.
#include <fmt/format.h>

#include "cluster/check.hpp"
#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

void Scheduler::Core::capacity_changed(Node& node) {
  auto& pool = pools[node.pool];
  pool.kinds[node.kind].update(nodes, node);
  for (auto& [label, places] : pool.places) places.changed(node);
  if (pool.outlook) pool.outlook->changed(node.id);
}

void Scheduler::Core::queue_freed(Node& node, const OrderKey& key) {
  node.freed_ticket = ++freed_tickets;
  node.freed_fresh = key == OrderKey::first();
  freed.push({key, node.id.value, node.freed_ticket});
}

void Scheduler::Core::node_freed(Node& node) {
  capacity_changed(node);
  ++pools[node.pool].room_version;
  if (node.offered() && !node.freed_fresh) {
    queue_freed(node, OrderKey::first());
  }
}

// Sessions whose time has come join their queues.
void Scheduler::Core::wake(Time now) {
  while (!sleeping.empty() && sleeping.begin()->first <= now) {
    auto& session = sessions.at(sleeping.begin()->second);
    sleeping.erase(sleeping.begin());
    session.not_before = Time{};
    admit(session.key.session, session);
  }
}

// The first refused class that fits on the node now.
std::optional<std::pair<OrderKey, ClassId>> Scheduler::Core::best_for(
    const Node& node) {
  if (!node.offered() || node.overcommitted()) return std::nullopt;
  const auto& pool = pools[node.pool];
  if (pool.policy.backfill == Backfill::none) return head_for(node);
  const auto cpu = node.cpu_free_milli();
  const auto memory = node.memory_free_bytes();
  OrderKey best = OrderKey::last();
  std::optional<ClassId> best_class;
  for (std::size_t i = 0; i < pool.demands.size(); ++i) {
    const auto& demand = pool.demands[i];
    if (effective(pool, demand.owner, pool.demand_heads[i]) >= best) continue;
    if (cpu < demand.cpu_least_milli || memory < demand.memory_least_bytes) {
      continue;
    }
    const auto& wish = demand.devices;
    if (!wish.share() && wish.gpus > node.whole_devices) continue;
    if (!demand.on_node.empty() && !is_named(node, demand.on_node)) continue;
    if (!devices_fit(node, wish)) continue;
    for (const auto& [front, id] : demand.refused) {
      const auto key = effective(pool, demand.owner, front);
      if (key >= best) break;
      if (node.earmarked && !pool.booked && key > guard_key(pool)) break;
      const auto& waiting = classes[id];
      if (waiting.gang_refused_at == pool.room_version) continue;
      if (waiting.need.cpu_milli > cpu) continue;
      if (waiting.need.memory_bytes > memory) continue;
      const bool plain = !waiting.wishes && !node.earmarked &&
                         node.bookings.empty() && node.holds.empty() &&
                         waiting.request.reservation.empty();
      if (!plain && !suits(node, waiting, 1, key)) continue;
      best = key;
      best_class = id;
      break;
    }
  }
  if (!best_class) return std::nullopt;
  return std::pair(best, *best_class);
}

// Where nobody may pass: the head, if one of its tasks fits.
std::optional<std::pair<OrderKey, ClassId>> Scheduler::Core::head_for(
    const Node& node) const {
  const auto& pool = pools[node.pool];
  const auto head = head_of(pool);
  if (!head) return std::nullopt;
  const auto& waiting = classes[head->second];
  if (waiting.gang_refused_at == pool.room_version) return std::nullopt;
  const auto& name = waiting.request.on_node;
  if (!name.empty() && !is_named(node, name)) return std::nullopt;
  if (!suits(node, waiting, 1, head->first)) return std::nullopt;
  return head;
}

// Every freed node is to be looked at again.
void Scheduler::Core::rebuild_freed() {
  freed_stale = false;
  FreedQueue before;
  before.swap(freed);
  for (; !before.empty(); before.pop()) {
    const auto& entry = before.top();
    auto& node = nodes[entry.node];
    if (node.freed_ticket == entry.ticket) queue_freed(node, OrderKey::first());
  }
}

// The class that is first among those the freed nodes serve; none also when a
// ready class comes before all that is known of them. Heads only move back
// during a pass, so a key in this queue is never later than the true one.
std::optional<std::pair<OrderKey, ClassId>> Scheduler::Core::next_freed() {
  while (!freed.empty()) {
    const auto top = freed.top();
    if (!ready.empty() && ready.begin()->first < top.key) break;
    auto& node = nodes[top.node];
    if (node.freed_ticket != top.ticket) {
      freed.pop();
      continue;
    }
    const auto best = best_for(node);
    if (best && best->first == top.key) return best;
    freed.pop();
    node.freed_ticket = 0;
    node.freed_fresh = false;
    if (!best) continue;
    queue_freed(node, best->first);
    const bool still_first =
        freed.top().ticket == node.freed_ticket &&
        (ready.empty() || best->first < ready.begin()->first);
    if (still_first) return best;
  }
  return std::nullopt;
}

// Refused without a look, since nobody may pass the one before it.
void Scheduler::Core::pass_over(ClassId id) {
  unlist(id);
  list(id, Class::Standing::refused);
}

// Where nobody may pass, the next head was perhaps never looked at.
void Scheduler::Core::promote_head(Pool& pool) {
  if (pool.policy.backfill != Backfill::none) return;
  const auto head = head_of(pool);
  if (!head) return;
  unlist(head->second);
  list(head->second, Class::Standing::ready);
}

// Whether something had to be brought up to date first, so that another may be
// next.
bool Scheduler::Core::look_again(ClassId id) {
  const auto& next = classes[id];
  auto& pool = pools[next.pool];
  if (next.standing == Class::Standing::ready) {
    if (pool.policy.by_account() && effective(next) != next.listed_as) {
      unlist(id);
      list(id, Class::Standing::ready);
      return true;
    }
    if (pool.policy.backfill == Backfill::none) {
      const auto head = head_of(pool);
      if (head && head->first < next.listed_as) {
        pass_over(id);
        return true;
      }
    }
  }
  if (pool.policy.planned() && plan_is_due(pool, effective(next))) {
    make_plan(pool);
    return true;
  }
  return false;
}

bool Scheduler::Core::start_next(std::vector<Proposal>& proposals) {
  const auto next = next_freed();
  if (!next && ready.empty()) return false;
  const auto id = next ? next->second : ready.begin()->second;
  if (!look_again(id)) start_head(id, proposals);
  return true;
}

void Scheduler::Core::start_head(ClassId id, std::vector<Proposal>& proposals) {
  auto& wanted = classes[id];
  const auto key = wanted.key;
  auto& session = sessions.at(key.session);
  // What an account has left after the first in its line is for the next.
  if (session.let_in_again) ease(session.owners);
  if (stands_back(session)) return;
  auto& pool = pools[wanted.pool];
  Tasks tasks;
  if (!place(wanted, session, tasks)) {
    REEVE_CHECK(
        wanted.standing == Class::Standing::ready || wanted.request.tasks > 1,
        fmt::format("session {} fits on a freed node and on none",
                    key.session));
    wanted.gang_refused_at = pool.room_version;
    if (pool.policy.planned()) refused_in_plan(pool, effective(wanted));
    if (wanted.standing == Class::Standing::ready) {
      unlist(id);
      list(id, Class::Standing::refused);
    }
    return;
  }
  if (!pool.plan.empty())
    pool.plan_due |= takes_planned(pool, tasks, effective(wanted));
  for (const auto& task : tasks) session.holdings.push_back({task, false});
  charge(session, tasks);
  count_in_array(session);
  for (const auto& task : tasks) join_company(wanted, nodes[task.node.value]);
  dequeue(session);
  set_standing(session, Session::Standing::proposed);
  expect_end(session, pass_at);
  move_in(session);
  proposals.push_back(
      {SessionId(key.session), session.attempt, std::move(tasks)});
}

std::vector<Proposal> Scheduler::Core::propose(Time now, std::size_t max) {
  std::vector<Proposal> proposals;
  pass_at = now;
  if (accounts.now() < now) accounts.advance(now);
  pass_windows(now);
  wake(now);
  refresh_ranks(now);
  watch_heads(now);
  do {
    let_in(now);
    if (freed_stale) rebuild_freed();
    while (proposals.size() < max && start_next(proposals))
      if (!eased.empty()) let_in(now);
  } while (proposals.size() < max &&
           (!eased.empty() || renew_plans() || drop_needless_guards()));
  watch_heads(now);
  return proposals;
}

}  // namespace reeve::cluster

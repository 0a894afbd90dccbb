// Queues: classes of equal requests, the demands they share, who heads what.
#include <fmt/format.h>

#include "cluster/check.hpp"
#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

std::uint32_t Scheduler::Core::pool_of(const std::string& group,
                                       bool simulated) {
  const auto fresh = static_cast<std::uint32_t>(pools.size());
  const auto [it, added] = pool_numbers.try_emplace({group, simulated}, fresh);
  if (added) {
    const auto next = static_cast<std::uint32_t>(group_numbers.size());
    auto& pool = pools.emplace_back();
    pool.group = group;
    pool.simulated = simulated;
    pool.ours = is_ours(group_numbers.try_emplace(group, next).first->second);
  }
  return it->second;
}

ModelId Scheduler::Core::model_of(const std::string& lower_case_name) {
  REEVE_CHECK(models.size() < mig_model_bit,
              fmt::format("{} device models", models.size()));
  auto fresh = static_cast<ModelId>(models.size());
  if (is_mig_model(lower_case_name)) fresh |= mig_model_bit;
  return models.try_emplace(lower_case_name, fresh).first->second;
}

std::uint32_t Scheduler::Core::kind_of(Pool& pool, const Node& node) {
  std::set<ModelId> distinct;
  for (const auto& device : node.devices) {
    // Also in quarantine: its release does not change the node's kind.
    if (device.capacity_milli > 0 || device.quarantined)
      distinct.insert(device.model);
  }
  const std::vector<ModelId> wanted(distinct.begin(), distinct.end());
  std::uint32_t number = 0;
  for (; number < pool.kinds.size(); ++number) {
    if (pool.kinds[number].models() == wanted) return number;
  }
  pool.kinds.emplace_back(wanted);
  return number;
}

std::uint32_t Scheduler::Core::demand_of(Pool& pool, const Class& wanted) {
  const auto& need = wanted.need;
  DemandKey key{need.gpus,   need.gpu_milli, need.gpu_memory_bytes,
                need.models, need.sharer,    wanted.request.on_node,
                wanted.owner};
  if (const auto it = pool.demand_numbers.find(key);
      it != pool.demand_numbers.end()) {
    return it->second;
  }
  std::uint32_t number = static_cast<std::uint32_t>(pool.demands.size());
  if (pool.demands_unused.empty()) {
    pool.demands.emplace_back();
    pool.demand_heads.push_back(OrderKey::last());
  } else {
    number = pool.demands_unused.back();
    pool.demands_unused.pop_back();
  }
  auto& demand = pool.demands[number];
  demand.devices = need;
  demand.devices.cpu_milli = 0;
  demand.devices.memory_bytes = 0;
  demand.on_node = wanted.request.on_node;
  demand.owner = wanted.owner;
  pool.demand_numbers.emplace(std::move(key), number);
  return number;
}

ClassId Scheduler::Core::class_of(ClassKey key) {
  if (const auto it = class_numbers.find(key); it != class_numbers.end()) {
    return it->second;
  }
  ClassId id = static_cast<ClassId>(classes.size());
  if (classes_unused.empty()) {
    classes.emplace_back();
  } else {
    id = classes_unused.back();
    classes_unused.pop_back();
  }
  auto& made = classes[id];
  const auto& request = key.request;
  made.need = {request.cpu_milli, request.memory_bytes,     request.gpus,
               request.gpu_milli, request.gpu_memory_bytes, {},
               key.sharer};
  for (const auto& model : request.gpu_models) {
    made.need.models.push_back(model_of(model));
  }
  std::sort(made.need.models.begin(), made.need.models.end());
  made.pool = pool_of(request.group, request.simulated);
  class_numbers.emplace(key, id);
  made.wishes = wishes_of(key.request);
  join_companies(id);
  made.owner = key.owner;
  made.length_ns = key.length_ns;
  made.limit_ns = key.limit_ns;
  made.request = std::move(key.request);
  made.demand = demand_of(pools[made.pool], made);
  ++pools[made.pool].demands[made.demand].classes;
  return id;
}

void Scheduler::Core::leave_class(ClassId id) {
  auto& left = classes[id];
  REEVE_CHECK(left.sessions > 0, fmt::format("class {} has no sessions", id));
  if (--left.sessions > 0) return;
  REEVE_CHECK(left.waiting.empty(), fmt::format("class {} has a queue", id));
  leave_companies(id);
  class_numbers.erase({std::move(left.request), left.owner, left.length_ns,
                       left.limit_ns, left.need.sharer});
  leave_demand(pools[left.pool], left.demand);
  left = Class{};
  classes_unused.push_back(id);
}

void Scheduler::Core::leave_demand(Pool& pool, std::uint32_t number) {
  auto& demand = pool.demands[number];
  if (--demand.classes > 0) return;
  const auto& devices = demand.devices;
  pool.demand_numbers.erase({devices.gpus, devices.gpu_milli,
                             devices.gpu_memory_bytes, devices.models,
                             devices.sharer, demand.on_node, demand.owner});
  demand = Demand{};
  pool.demands_unused.push_back(number);
}

const std::vector<std::uint32_t>& Scheduler::Core::kinds_for(Class& wanted) {
  const auto& kinds = pools[wanted.pool].kinds;
  for (; wanted.kinds_seen < kinds.size(); ++wanted.kinds_seen) {
    const auto& offered = kinds[wanted.kinds_seen].models();
    const bool serves =
        wanted.need.gpus == 0 ||
        std::any_of(offered.begin(), offered.end(),
                    [&](ModelId model) { return wanted.need.allows(model); });
    if (serves) {
      wanted.kinds.push_back(static_cast<std::uint32_t>(wanted.kinds_seen));
    }
  }
  return wanted.kinds;
}

// Into the queue, unless a dependency, a time or its reservation still holds
// it, or it is for another scheduler to place.
void Scheduler::Core::admit(std::uint64_t id, Session& session) {
  const auto& joined = classes[session.request_class];
  const bool ours = pools[joined.pool].ours;
  if (!ours || !session.waits_for.empty()) {
    set_standing(session, Session::Standing::held);
  } else if (session.not_before.value > 0) {
    set_standing(session, Session::Standing::held);
    sleeping.emplace(session.not_before, id);
  } else if (const auto opens = opens_at(joined)) {
    set_standing(session, Session::Standing::held);
    session.awaits_window = true;
    session.not_before = *opens;
  } else {
    enqueue(session);
  }
}

void Scheduler::Core::enqueue(Session& session) {
  const auto id = session.request_class;
  auto& joined = classes[id];
  set_standing(session, Session::Standing::waiting);
  joined.waiting.insert(session.key);
  if (joined.standing == Class::Standing::idle) {
    list(id, Class::Standing::ready);
  } else if (session.key < joined.key) {
    head_changed(id);
  }
  auto& pool = pools[joined.pool];
  if (joined.standing != Class::Standing::refused) return;
  if (pool.policy.backfill == Backfill::none) {
    const auto head = head_of(pool);
    if (head && head->first.session == session.key.session) promote_head(pool);
  }
  if (pool.policy.planned())
    refused_in_plan(pool, effective(pool, joined.owner, session.key));
}

// Out of its class's queue; the session's new standing is the caller's to set.
void Scheduler::Core::dequeue(Session& session) {
  const auto id = session.request_class;
  auto& left = classes[id];
  left.waiting.erase(session.key);
  if (session.key == left.key) head_changed(id);
  auto& pool = pools[left.pool];
  if (pool.guard == session.key) drop_guard(pool);
  session.headed_at = Time{};
  if (!pool.plan.empty()) leave_plan(pool, session.key);
  promote_head(pool);
}

void Scheduler::Core::list(ClassId id, Class::Standing standing) {
  auto& listed = classes[id];
  listed.standing = standing;
  listed.key = listed.waiting.front();
  auto& pool = pools[listed.pool];
  if (standing == Class::Standing::ready) {
    listed.listed_as = effective(pool, listed.owner, listed.key);
    ready.emplace(listed.listed_as, id);
    return;
  }
  auto& demand = pool.demands[listed.demand];
  demand.refused.emplace(listed.key, id);
  pool.demand_heads[listed.demand] = demand.refused.begin()->first;
  demand.cpu_least_milli =
      std::min<std::uint64_t>(demand.cpu_least_milli, listed.need.cpu_milli);
  demand.memory_least_bytes =
      std::min(demand.memory_least_bytes, listed.need.memory_bytes);
}

void Scheduler::Core::unlist(ClassId id) {
  auto& listed = classes[id];
  const auto standing = listed.standing;
  listed.standing = Class::Standing::idle;
  if (standing == Class::Standing::ready) ready.erase({listed.listed_as, id});
  if (standing != Class::Standing::refused) return;
  auto& pool = pools[listed.pool];
  auto& demand = pool.demands[listed.demand];
  demand.refused.erase({listed.key, id});
  if (demand.refused.empty()) {
    pool.demand_heads[listed.demand] = OrderKey::last();
    demand.cpu_least_milli = UINT64_MAX;
    demand.memory_least_bytes = UINT64_MAX;
  } else {
    pool.demand_heads[listed.demand] = demand.refused.begin()->first;
  }
}

void Scheduler::Core::head_changed(ClassId id) {
  auto& changed = classes[id];
  auto standing = changed.standing;
  const auto before = changed.key;
  unlist(id);
  if (changed.waiting.empty()) return;
  const bool earlier = changed.waiting.front() < before;
  if (standing == Class::Standing::refused && earlier) {
    // It may now be ahead of a guard whose nodes were closed to it.
    if (!pools[changed.pool].earmarked.empty()) {
      standing = Class::Standing::ready;
    }
    // The freed nodes were queued by a head that was later than this one.
    freed_stale = true;
  }
  list(id, standing);
}

// Into the class of its request and its expected length, with the key and the
// rank that the policy of its pool gives it.
void Scheduler::Core::join_class(Session& session, Request request) {
  auto& pool = pools[pool_of(request.group, request.simulated)];
  set_rank(session, pool, request);
  ClassKey key{std::move(request), {}, 0, 0};
  if (key.request.gpus > 0 && key.request.gpu_milli < milli_per_device)
    key.sharer = sharer_of(pool.gpu_sharing, session.owners);
  if (pool.policy.by_account()) {
    key.owner.user = session.owners.user;
    if (pool.policy.order == Order::fair_share)
      key.owner.project = session.owners.project;
  }
  if (pool.policy.planned()) key.length_ns = session.length_ns;
  if (pool.booked) key.limit_ns = session.limit_ns();
  session.request_class = class_of(std::move(key));
  ++classes[session.request_class].sessions;
}

void Scheduler::Core::change_pool(std::uint32_t number, const Policy& policy) {
  if (pools[number].policy == policy) return;
  rebuild_pool(number, [&](Pool& pool) {
    pool.policy = policy;
    pool.fair_at = Time{};
    for (auto& [id, session] : sessions)
      if (classes[session.request_class].pool == number)
        session.length_ns = expected_length(session, policy);
  });
}

// What runs goes on, whoever shares its devices.
void Scheduler::Core::change_sharing(std::uint32_t number, GpuSharing to) {
  if (pools[number].gpu_sharing == to) return;
  rebuild_pool(number, [&](Pool& pool) { pool.gpu_sharing = to; });
  recount_sharers(pools[number].nodes);
  // It learned whose shares come by the setting before.
  pools[number].outlook.reset();
  look_ahead(number);
}

// Everything of the pool is taken out and comes back by its new rules.
void Scheduler::Core::rebuild_pool(std::uint32_t number,
                                   const std::function<void(Pool&)>& to) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions)
    if (classes[session.request_class].pool == number) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  std::vector<std::uint64_t> waiting;
  drop_plan(pools[number]);
  drop_guard(pools[number]);
  for (const auto id : ids) {
    auto& session = sessions.at(id);
    if (session.standing == Session::Standing::waiting) {
      dequeue(session);
      waiting.push_back(id);
    } else if (session.standing == Session::Standing::over_quota) {
      leave_quota_line(session);
      waiting.push_back(id);
    } else if (session.standing == Session::Standing::array_full) {
      leave_array_line(session);
      waiting.push_back(id);
    }
    for (const auto& holding : session.holdings)
      if (!holding.freed) move_out(session, holding);
  }
  to(pools[number]);
  for (const auto id : ids) {
    auto& session = sessions.at(id);
    const auto before = session.request_class;
    join_class(session, Request(classes[before].request));
    leave_class(before);
    move_in(session);
  }
  for (const auto id : waiting) enqueue(sessions.at(id));
}

}  // namespace reeve::cluster

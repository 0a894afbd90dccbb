// Patience: the head of a queue that was passed over for long gets nodes kept.
#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

void Scheduler::Core::watch_heads(Time now) {
  for (auto& pool : pools) {
    settle(pool, 1);
    // Not where nobody may pass, nor where a place is kept for the head.
    if (pool.policy.backfill == Backfill::none) continue;
    const auto& plan = pool.plan;
    const bool unknown = !plan.empty() && plan.front().start == no_time;
    if (pool.policy.planned() && (!unknown || plan_is_old(pool))) continue;
    const auto found = head_of(pool);
    if (!found) continue;
    auto& head = sessions.at(found->first.session);
    if (head.headed_at.value == 0) head.headed_at = now;
    if (head.key == pool.guard) continue;
    if (now.value < head.headed_at.value + head_patience_ns) continue;
    pool.stuck_head = 0;
    if (set_guard(pool, classes[head.request_class])) continue;
    // All nodes together would not do: it looks again later, and is not in the
    // way of those behind it.
    head.headed_at = now;
    pool.stuck_head = head.key.session;
    if (pool.guard == OrderKey::last()) guard_behind(pool, now);
  }
}

// For the first behind the stuck head that has waited as long.
void Scheduler::Core::guard_behind(Pool& pool, Time now) {
  for (const auto& [key, id] : first_waiting(pool, stuck_heads_max)) {
    if (key.session == pool.stuck_head) continue;
    const auto planned = [&](const Planned& one) {
      return one.key == key && one.start != no_time;
    };
    if (std::any_of(pool.plan.begin(), pool.plan.end(), planned)) return;
    const auto since = sessions.at(key.session).submitted_at;
    if (now.value < since.value + head_patience_ns) return;
    if (set_guard(pool, classes[id])) return;
  }
}

// In the midst of a pass a place may have been planned for the guard; or, where
// what accounts hold decides, another may have come before it.
bool Scheduler::Core::drop_needless_guards() {
  bool any = false;
  for (auto& pool : pools) {
    if (pool.guard == OrderKey::last()) continue;
    const auto& plan = pool.plan;
    const bool planned = !pool.guard_made_room && !plan.empty() &&
                         plan.front().key == pool.guard &&
                         plan.front().start != no_time;
    const auto head = head_of(pool);
    const bool overtaken = pool.policy.by_account() && head &&
                           head->first.session != pool.guard.session &&
                           head->first.session != pool.stuck_head &&
                           head->first.priority == pool.guard.priority;
    if (!planned && !overtaken) continue;
    drop_guard(pool);
    any = true;
  }
  return any;
}

namespace {

struct Candidate {
  bool roomy = false;  // takes the larger part of a spread gang
  std::uint32_t slots_now = 0;
  std::uint32_t slots_empty = 0;
  std::uint32_t whole_devices = 0;
  std::uint32_t node = 0;

  bool operator<(const Candidate& other) const {
    return std::tuple(!roomy, ~slots_now, ~whole_devices, node) <
           std::tuple(!other.roomy, ~other.slots_now, ~other.whole_devices,
                      other.node);
  }
};

// The nodes that have the most room for the head now, as many as it needs if
// they were empty; none: all of them would not do.
std::vector<std::uint32_t> first_of(std::vector<Candidate> candidates,
                                    const Request& request) {
  std::sort(candidates.begin(), candidates.end());
  // Of a spread gang's nodes so many take one task more than the others.
  const auto roomy = request.nodes > 0 ? request.tasks % request.nodes : 0;
  std::vector<std::uint32_t> chosen;
  std::uint64_t slots_kept = 0;
  for (const auto& candidate : candidates) {
    if (chosen.size() < roomy && !candidate.roomy) return {};
    slots_kept += candidate.slots_empty;
    chosen.push_back(candidate.node);
    const bool enough = request.nodes > 0 ? chosen.size() == request.nodes
                                          : slots_kept >= request.tasks;
    if (enough) return chosen;
  }
  return {};
}

}  // namespace

bool Scheduler::Core::set_guard(Pool& pool, const Class& head) {
  const auto& request = head.request;
  const auto spread = request.nodes;
  const auto least = spread > 0 ? request.tasks / spread : 1;
  const auto most =
      spread > 0 ? (request.tasks + spread - 1) / spread : request.tasks;
  const auto* label = kept_within(head);
  std::map<std::string, std::vector<Candidate>> places;
  for (const auto number : pool.nodes) {
    const auto& node = nodes[number];
    if (!welcome(head, node)) continue;
    const auto room = [&](Node as) {
      return slots_unreserved(std::move(as), node, head, most, pass_at);
    };
    const auto empty = room(emptied(node));
    if (empty < least) continue;
    places[label ? *place_of(node, *label) : ""].push_back(
        {spread == 0 || empty == most, room(bare(node)), empty,
         node.whole_devices, number});
  }
  for (const auto& [place, candidates] : places) {
    const auto chosen = first_of(candidates, request);
    if (chosen.empty()) continue;
    drop_guard(pool);
    earmark(pool, head, chosen);
    return true;
  }
  return false;
}

// Keeps these nodes for the head of the class.
void Scheduler::Core::earmark(Pool& pool, const Class& head,
                              const std::vector<std::uint32_t>& numbers) {
  pool.guard = head.key;
  pool.guard_owner = head.owner;
  pool.guard_made_room = false;
  pool.earmarked = numbers;
  for (const auto number : numbers) nodes[number].earmarked = true;
}

void Scheduler::Core::drop_guard(Pool& pool) {
  pool.guard = OrderKey::last();
  std::vector<std::uint32_t> released;
  released.swap(pool.earmarked);
  for (const auto number : released) {
    nodes[number].earmarked = false;
    node_freed(nodes[number]);
  }
}

}  // namespace reeve::cluster

// Patience: the head of a queue that was passed over for long gets nodes kept.
#include "cluster/scheduling/core.hpp"

namespace reeve::cluster {

using namespace scheduling;

void Scheduler::Core::watch_heads(Time now) {
  for (auto& pool : pools) {
    // Not where nobody may pass, nor where a place is kept for the head.
    if (pool.policy.backfill == Backfill::none) continue;
    const auto& plan = pool.plan;
    const bool unknown = !plan.empty() && plan.front().start == no_time;
    if (pool.policy.planned() && !unknown) continue;
    const auto found = head_of(pool);
    if (!found) continue;
    auto& head = sessions.at(found->first.session);
    if (head.headed_at.value == 0) head.headed_at = now;
    if (head.key == pool.guard) continue;
    if (now.value < head.headed_at.value + head_patience_ns) continue;
    drop_guard(pool);
    set_guard(pool, classes[head.request_class]);
  }
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

}  // namespace

// Earmarks the nodes that have the most room for the head now, as many as it
// needs if they were empty.
void Scheduler::Core::set_guard(Pool& pool, const Class& head) {
  const auto& request = head.request;
  const auto spread = request.nodes;
  const auto least = spread > 0 ? request.tasks / spread : 1;
  const auto most =
      spread > 0 ? (request.tasks + spread - 1) / spread : request.tasks;
  std::vector<Candidate> candidates;
  for (const auto number : pool.nodes) {
    const auto& node = nodes[number];
    if (!welcome(head, node)) continue;
    if (!node.bookings.empty() && !unreserved(node, head)) continue;
    const auto empty = slots(emptied(node), head.need, most);
    if (empty < least) continue;
    candidates.push_back({spread == 0 || empty == most,
                          slots(node, head.need, most), empty,
                          node.whole_devices, number});
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<std::uint32_t> chosen;
  std::uint64_t slots_kept = 0;
  for (const auto& candidate : candidates) {
    const bool enough =
        spread > 0 ? chosen.size() == spread : slots_kept >= request.tasks;
    if (enough) break;
    slots_kept += candidate.slots_empty;
    chosen.push_back(candidate.node);
  }
  earmark(pool, head, chosen);
}

// Keeps these nodes for the head of the class.
void Scheduler::Core::earmark(Pool& pool, const Class& head,
                              const std::vector<std::uint32_t>& numbers) {
  pool.guard = head.key;
  pool.guard_owner = head.owner;
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

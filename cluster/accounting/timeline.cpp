#include "cluster/accounting/timeline.hpp"

namespace reeve::cluster::accounting {

std::uint32_t Timeline::run_of(const Holding& holding) {
  const auto next = static_cast<std::uint32_t>(runs.size());
  const auto [found, fresh] = living_.try_emplace(holding.session.value, next);
  if (!fresh) return found->second;
  TimelineRun& run = runs.emplace_back();
  run.session = holding.session;
  run.attempt = holding.attempt;
  run.name = holding.name;
  run.user = users.index(holding.user);
  run.project = projects.index(holding.project);
  run.group = groups.index(holding.group);
  return next;
}

void Timeline::held(const Holding& holding) {
  if (wanted_ && !wanted_(holding.node)) return;
  overflowed_ |= allocations.size() >= timeline_allocations_max;
  if (overflowed_) return;
  allocations.push_back({run_of(holding),
                         holding.rank,
                         holding.node,
                         holding.placed_at,
                         holding.started_at,
                         holding.from,
                         holding.to,
                         holding.ended,
                         holding.cpu_milli,
                         holding.memory_bytes,
                         {holding.devices.begin(), holding.devices.end()}});
}

void Timeline::node_was(const NodeSpan& span) {
  if (wanted_ && !wanted_(span.node)) return;
  const auto devices =
      static_cast<std::uint32_t>(span.capacity.gpu_milli / milli_per_device);
  spans.push_back({span.node, span.phase, span.from, span.to, devices});
}

void Timeline::attempt_ended(const AttemptEnd& end) {
  const auto found = living_.find(end.session.value);
  if (found == living_.end()) return;
  TimelineRun& run = runs[found->second];
  run.state = end.state;
  run.reason = end.reason;
  run.exit_code = end.exit_code;
  run.signal = end.signal;
  living_.erase(found);
}

void Timeline::finish(const Ledger& ledger) {
  for (const auto& [session, index] : living_)
    runs[index].state = ledger.state_of(SessionId{session});
  living_.clear();
}

}  // namespace reeve::cluster::accounting

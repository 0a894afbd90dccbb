#include "cluster/scheduling/queue.hpp"

#include <algorithm>

#include "cluster/scheduling/core.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// The expected start costs a walk over what runs, so only the first have one.
constexpr std::size_t expected_max = 20;

const char* text_of(const flatbuffers::String* text) {
  return text ? text->c_str() : "";
}

}  // namespace

Queue Scheduler::Core::queue(std::uint32_t pool, std::size_t limit) const {
  Queue out;
  out.policy = pools[pool].policy;
  std::vector<OrderKey> keys;
  const auto add = [&](const Class& of, const OrderKey& key) {
    keys.push_back(effective(pools[pool], of.owner, key));
  };
  for (const auto& one : classes) {
    if (one.waiting.empty() || one.pool != pool) continue;
    out.length += one.waiting.size();
    const auto count = std::min(one.waiting.size(), limit);
    for (std::size_t i = 0; i < count; ++i)
      add(one, one.waiting.begin()[static_cast<std::ptrdiff_t>(i)]);
  }
  for (const auto& [account, line] : over_quota)
    for (const auto& key : line) {
      const auto& of = classes[sessions.at(key.session).request_class];
      if (of.pool != pool) continue;
      ++out.length;
      add(of, key);
    }
  for (const auto& [array, line] : array_lines)
    for (const auto& key : line) {
      const auto& of = classes[sessions.at(key.session).request_class];
      if (of.pool != pool) continue;
      ++out.length;
      add(of, key);
    }
  std::sort(keys.begin(), keys.end());
  if (keys.size() > limit) keys.resize(limit);
  for (const auto& key : keys)
    out.entries.push_back(
        queue_entry(SessionId(key.session), out.entries.size() < expected_max));
  return out;
}

QueueEntry Scheduler::Core::queue_entry(SessionId id, bool with_start) const {
  const auto& session = sessions.at(id.value);
  QueueEntry entry;
  entry.session = id;
  entry.parts = rank_parts(session, pass_at);
  if (session.standing == Session::Standing::array_full) {
    entry.reason = WaitReason::array_full;
    return entry;
  }
  if (session.standing == Session::Standing::over_quota) {
    entry.quota = accounts.excess(session.owners, wanted_by(session), pass_at);
    entry.reason = entry.quota ? WaitReason::quota : WaitReason::queued;
    return entry;
  }
  const auto standing = classes[session.request_class].standing;
  entry.reason = standing == Class::Standing::refused ? WaitReason::no_room
                                                      : WaitReason::queued;
  if (with_start) entry.expected_start = expected_start(session);
  return entry;
}

// Whether nobody who waits keeps it from a place that it fits in.
bool Scheduler::Core::may_start(const Class& wanted,
                                const Session& session) const {
  const auto& pool = pools[wanted.pool];
  if (pool.policy.backfill != Backfill::none) return true;
  const auto head = head_of(pool);
  return !head || effective(pool, wanted.owner, session.key) < head->first;
}

DryRun Scheduler::Core::dry_run(const schema::SessionSpec& spec, Time now) {
  DryRun out;
  Session session;
  pass_at = now;
  session.key = {spec.priority(), 0, UINT64_MAX};
  session.submitted_at = now;
  session.not_before = Time(spec.not_before_at());
  session.time_limit_ns = spec.time_limit_ns();
  session.owners = accounts.owners(
      text_of(spec.user()), text_of(spec.project()), text_of(spec.group()));
  join_class(session, request_of(spec));
  auto& wanted = classes[session.request_class];
  auto& why = out.why;
  why.tasks = wanted.request.tasks;
  if (spec.after())
    for (const auto* dependency : *spec.after())
      if (sessions.contains(dependency->session()))
        why.waits_for.push_back(SessionId(dependency->session()));
  why.quota = accounts.excess(session.owners, wanted_by(session), now);
  if (!why.waits_for.empty()) {
    why.reason = WaitReason::dependency;
  } else if (session.not_before > now) {
    why.reason = WaitReason::not_before;
    why.held_until = session.not_before;
  } else if (why.quota) {
    why.reason = WaitReason::quota;
  } else if (may_start(wanted, session) && place(wanted, session, out.tasks)) {
    why.reason = WaitReason::queued;
    auto tasks = out.tasks;
    undo(wanted, tasks);
  } else {
    why.reason = WaitReason::no_room;
    out.tasks.clear();
  }
  count_nodes(session, why);
  if (out.tasks.empty() && why.reason == WaitReason::no_room) {
    count_queue(session, why);
    ++why.queue_length;  // with this one
    why.rank = rank_parts(session, now);
    expect_start(session, why);
  }
  leave_class(session.request_class);
  return out;
}

Queue Scheduler::queue(const std::string& group, bool simulated,
                       std::size_t limit) const {
  const auto found = core_->pool_numbers.find({group, simulated});
  if (found == core_->pool_numbers.end()) return {};
  return core_->queue(found->second, limit);
}

DryRun Scheduler::dry_run(const schema::SessionSpec& spec, Time now) {
  return core_->dry_run(spec, now);
}

}  // namespace reeve::cluster

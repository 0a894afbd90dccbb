#include "cluster/scheduling/queue.hpp"

#include <algorithm>

#include "cluster/scheduling/core.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// The expected start of each costs a walk over nodes, so only the first of the
// queue have one, and of those held.
constexpr std::size_t expected_max = 20;

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
  const auto add_line = [&](const std::set<OrderKey>& line) {
    for (const auto& key : line) {
      const auto& of = classes[sessions.at(key.session).request_class];
      if (of.pool != pool) continue;
      ++out.length;
      add(of, key);
    }
  };
  for (const auto& [account, line] : over_quota) {
    add_line(line.next);
    add_line(line.aside);
  }
  for (const auto& [array, line] : array_lines) add_line(line);
  std::sort(keys.begin(), keys.end());
  if (keys.size() > limit) keys.resize(limit);
  for (const auto& key : keys)
    out.entries.push_back(queue_entry(SessionId(key.session)));
  add_held(pool, limit - out.entries.size(), out);
  expect_starts(out);
  return out;
}

void Scheduler::Core::expect_starts(Queue& out) const {
  std::vector<QueueEntry*> entries;
  std::vector<const Session*> asked;
  for (auto* list : {&out.entries, &out.held})
    for (std::size_t i = 0; i < std::min(list->size(), expected_max); ++i) {
      const auto& session = sessions.at((*list)[i].session.value);
      const bool timed = session.standing == Session::Standing::held &&
                         session.waits_for.empty();
      if (!timed && session.standing != Session::Standing::waiting) continue;
      entries.push_back(&(*list)[i]);
      asked.push_back(&session);
    }
  const auto starts = expected_starts(asked);
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i]->expected_start = starts[i];
}

// Those that a time or another session keeps out of the queue.
void Scheduler::Core::add_held(std::uint32_t pool, std::size_t limit,
                               Queue& out) const {
  std::vector<std::pair<Time, std::uint64_t>> held;
  for (const auto& [id, session] : sessions) {
    if (session.standing != Session::Standing::held) continue;
    if (classes[session.request_class].pool != pool) continue;
    const bool timed = session.waits_for.empty();
    held.emplace_back(timed ? session.not_before : no_time, id);
  }
  out.held_length = held.size();
  const auto count = std::min(held.size(), limit);
  std::partial_sort(held.begin(),
                    held.begin() + static_cast<std::ptrdiff_t>(count),
                    held.end());
  for (std::size_t i = 0; i < count; ++i)
    out.held.push_back(held_entry(sessions.at(held[i].second)));
}

QueueEntry Scheduler::Core::held_entry(const Session& session) const {
  QueueEntry entry;
  entry.session = SessionId(session.key.session);
  entry.held_until = session.not_before;
  entry.waits_for = session.waits_for;
  entry.reason = session.waits_for.empty() ? WaitReason::not_before
                                           : WaitReason::dependency;
  return entry;
}

QueueEntry Scheduler::Core::queue_entry(SessionId id) const {
  const auto& session = sessions.at(id.value);
  QueueEntry entry;
  entry.session = id;
  entry.parts = rank_parts(session, pass_at);
  if (session.standing == Session::Standing::array_full) {
    entry.reason = WaitReason::array_full;
    return entry;
  }
  if (session.standing == Session::Standing::over_quota) {
    entry.quota = excess_of(session);
    entry.reason = entry.quota ? WaitReason::quota : reason_in_line(session);
    return entry;
  }
  const auto standing = classes[session.request_class].standing;
  entry.reason = standing == Class::Standing::refused ? WaitReason::no_room
                                                      : WaitReason::queued;
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

// A session that nobody submitted, in the class of its request; `why` is told
// what it would wait for in any case.
Session Scheduler::Core::imagined(const schema::SessionSpec& spec, Time now,
                                  Why& why) {
  auto session = session_of(UINT64_MAX, spec, now);
  const auto& wanted = classes[session.request_class];
  if (const auto opens = opens_at(wanted))
    session.not_before = std::max(session.not_before, *opens);
  why.tasks = wanted.request.tasks;
  if (spec.after())
    for (const auto* dependency : *spec.after())
      if (sessions.contains(dependency->session()))
        why.waits_for.push_back(SessionId(dependency->session()));
  return session;
}

// What keeps it from a start in this pass; `queued`: nothing, it has `tasks`,
// and they count for what is tried next.
WaitReason Scheduler::Core::try_start(const Session& session, Tasks& tasks,
                                      Why& why) {
  auto& wanted = classes[session.request_class];
  if (!why.waits_for.empty()) return WaitReason::dependency;
  if (session.not_before > pass_at) {
    why.held_until = session.not_before;
    return WaitReason::not_before;
  }
  if (array_is_full(session)) return WaitReason::array_full;
  why.quota = excess_of(session);
  if (why.quota) return WaitReason::quota;
  if (!may_start(wanted, session) || !place(wanted, session, tasks)) {
    tasks.clear();
    return WaitReason::no_room;
  }
  charge(session, tasks);
  count_in_array(session);
  for (const auto& task : tasks) join_company(wanted, nodes[task.node.value]);
  return WaitReason::queued;
}

void Scheduler::Core::take_back(const Session& session, Tasks& tasks) {
  const auto& wanted = classes[session.request_class];
  for (const auto& task : tasks) {
    leave_company(wanted, nodes[task.node.value]);
    discharge(session, {task, false});
  }
  discharge_session(session);
  leave_array(session);
  undo(wanted, tasks);
}

DryRun Scheduler::Core::dry_run(const schema::SessionSpec& spec, Time now,
                                std::uint32_t count) {
  DryRun out;
  auto& why = out.why;
  pass_at = now;
  const auto session = imagined(spec, now, why);
  std::vector<Tasks> started;
  why.reason = WaitReason::queued;
  while (out.starting < count && why.reason == WaitReason::queued) {
    Tasks tasks;
    why.reason = try_start(session, tasks, why);
    if (why.reason != WaitReason::queued) break;
    ++out.starting;
    out.tasks.insert(out.tasks.end(), tasks.begin(), tasks.end());
    started.push_back(std::move(tasks));
  }
  const auto take_all_back = [&] {
    for (auto& tasks : started) take_back(session, tasks);
    started.clear();
  };
  if (why.reason == WaitReason::queued) take_all_back();
  // The rest is of the next one, with these in their places.
  count_nodes(session, why);
  if (why.reason == WaitReason::not_before) expect_after_hold(session, why);
  if (why.reason == WaitReason::no_room) {
    count_queue(session, why);
    why.queue_length += count - out.starting;  // with these
    why.rank = rank_parts(session, now);
    expect_start(session, why);
    ask_for_room(session, out, now);
  }
  take_all_back();
  leave_class(session.request_class);
  return out;
}

Queue Scheduler::queue(const std::string& group, bool simulated,
                       std::size_t limit) const {
  const auto found = core_->pool_numbers.find({group, simulated});
  if (found == core_->pool_numbers.end()) return {};
  return core_->queue(found->second, limit);
}

DryRun Scheduler::dry_run(const schema::SessionSpec& spec, Time now,
                          std::uint32_t count) {
  return core_->dry_run(spec, now, count);
}

}  // namespace reeve::cluster

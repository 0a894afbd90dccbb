// Tasks that only last: they start when they are ordered and end in time.
#include <algorithm>
#include <functional>

#include "actors/agent/core.hpp"

namespace reeve::agent {

using schema::EndReason;
using schema::FactKind;

namespace {

constexpr int sigterm = 15;
constexpr int exit_code_sigterm = 128 + sigterm;

}  // namespace

// One that the manager knows to have started goes on with the rest of its
// time: nothing was remembered here. Where the clock was set back since, that
// is all of it, from now on.
void Core::simulate(const schema::TaskOrder& order, const TaskKey& key,
                    Time now) {
  const bool resumed = order.sim_started_at() != 0;
  Task& task = tasks_[key];
  task.phase = Phase::running;
  task.started_at =
      resumed ? std::min(order.sim_started_at(), now.value) : now.value;
  if (!resumed) queue_start(key, task);
  const std::uint64_t left = UINT64_MAX - task.started_at;
  const Time due{task.started_at + std::min(left, order.sim_duration_ns())};
  if (due <= now) return end_simulated(key, due, false);
  simulated_.push_back({due, key});
  std::push_heap(simulated_.begin(), simulated_.end(), std::greater<>{});
}

void Core::end_simulated(const TaskKey& key, Time ended_at, bool stopped) {
  Task* task = find(key);
  if (!task || task->phase == Phase::ended) return;
  Fact fact;
  fact.kind = FactKind::exited;
  fact.reason = stopped ? EndReason::signalled : EndReason::exited;
  fact.facts = {task->started_at,
                ended_at.value,
                0,
                0,
                stopped ? exit_code_sigterm : 0,
                stopped ? sigterm : 0};
  if (stopped) fact.detail = "stopped by order";
  end(key, *task, std::move(fact));
}

// Entries of tasks that were stopped stay until they are due.
void Core::end_due(Time now) {
  while (!simulated_.empty() && simulated_.front().due <= now) {
    std::pop_heap(simulated_.begin(), simulated_.end(), std::greater<>{});
    const SimulatedEnd next = simulated_.back();
    simulated_.pop_back();
    end_simulated(next.key, next.due, false);
  }
}

}  // namespace reeve::agent

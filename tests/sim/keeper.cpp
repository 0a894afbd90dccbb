#include "tests/sim/keeper.hpp"

#include <algorithm>
#include <utility>

namespace reeve::sim {
namespace {

using keeper::TaskState;

// What a host without power may lose of a file that is not synced.
constexpr std::uint64_t unsynced_ns_max = 5 * second_ns;

}  // namespace

std::vector<std::string> task_command(std::uint64_t duration_ns,
                                      int exit_code) {
  return {"task", std::to_string(duration_ns), std::to_string(exit_code)};
}

Keeper::Task* Keeper::find(const TaskKey& key) {
  const auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : &found->second;
}

void Keeper::later(std::uint64_t delay_ns, Loop::Action action) {
  world_.loop.after(delay_ns, [this, life = life_, action = std::move(action)] {
    if (life == life_) action();
  });
}

// ---- orders

void Keeper::launch(const keeper::TaskSpec& spec) {
  const TaskKey& key = spec.key;
  const Task* known = find(key);
  const Epoch epoch{spec.epoch};
  if (known && epoch >= newest_.epoch) return repeat(*known);
  if (epoch < newest_.epoch || forgotten_.has(key)) {
    world_.probes.hit(Probe::keeper_refused);
    return say(keeper::Refused{key, Errc::rejected, "refused by the keeper"});
  }
  newest_ = {epoch, std::max(newest_.session, SessionId{key.session})};
  Task& task = tasks_[key];
  task.status.key = key;
  task.duration_ns = std::stoull(spec.argv.at(1));
  task.exit_code = std::stoi(spec.argv.at(2));
  task.cut_off_ns = spec.cut_off_ns;
  later(world_.random.spread(ms_ns, 2 * second_ns),
        [this, key] { start(key); });
}

void Keeper::start(const TaskKey& key) {
  Task* task = find(key);
  if (!task || task->status.state != TaskState::queued) return;
  if (is_cut_off(*task)) {
    world_.probes.hit(Probe::cut_off_unstarted);
    task->status.state = TaskState::start_failed;
    task->status.error = "cut off";
    task->ended_at = world_.loop.now();
    return say(keeper::StartFailed{key, task->status.error});
  }
  if (world_.fault(world_.plan.start_fails_ppm)) {
    world_.probes.hit(Probe::start_failed);
    if (world_.random.one_in(2)) {
      tasks_.erase(key);
      return say(keeper::Refused{key, Errc::no_space, "no room"});
    }
    task->status.state = TaskState::start_failed;
    task->status.error = "no such command";
    task->ended_at = world_.loop.now();
    return say(keeper::StartFailed{key, task->status.error});
  }
  task->status.state = TaskState::running;
  task->status.pid = static_cast<int>(world_.random.between(100, 32'000));
  task->status.started_at = clock_.now().value;
  task->launched_at = world_.loop.now();
  task->deaf = world_.fault(world_.plan.deaf_task_ppm);
  if (world_.fault(world_.plan.stuck_task_ppm))
    task->stuck_until = Time{world_.loop.now().value +
                             world_.random.spread(second_ns, 10 * minute_ns)};
  world_.loop.note("{}: {} runs", node_, keeper::to_string(key));
  world_.oracle.task_started(key, node_);
  later(task->duration_ns, [this, key] { finish(key, 0); });
  watch_cut_off(key);
  say(keeper::Started{key, task->status.pid, task->status.started_at, {}});
}

void Keeper::repeat(const Task& task) {
  const keeper::TaskStatus& status = task.status;
  switch (status.state) {
    case TaskState::queued: return;
    case TaskState::running:
      return say(
          keeper::Started{status.key, status.pid, status.started_at, {}});
    case TaskState::exited: return say(keeper::Exited{status.key, status.exit});
    case TaskState::start_failed:
      return say(keeper::StartFailed{status.key, status.error});
  }
}

void Keeper::stop(const TaskKey& key, std::uint32_t grace_ms) {
  Task* task = find(key);
  if (!task) return say(keeper::Refused{key, Errc::not_found, "no such task"});
  if (task->status.state == TaskState::queued) {
    task->status.state = TaskState::start_failed;
    task->status.error = "stopped before it was started";
    task->ended_at = world_.loop.now();
    return say(keeper::StartFailed{key, task->status.error});
  }
  if (task->status.state != TaskState::running) return;
  world_.oracle.stop_heard(key);
  end(*task, grace_ms);
}

void Keeper::heard(Time at) {
  heard_ = std::max(heard_, at);
}

bool Keeper::is_cut_off(const Task& task) const {
  return task.cut_off_ns != 0 && heard_.value != 0 &&
         heard_.value + task.cut_off_ns <= world_.loop.now().value;
}

void Keeper::watch_cut_off(const TaskKey& key) {
  Task* task = find(key);
  if (!task || task->status.state != TaskState::running ||
      task->cut_off_ns == 0)
    return;
  if (is_cut_off(*task)) {
    world_.probes.hit(Probe::cut_off_ended);
    world_.loop.note("{}: {} is cut off for too long", node_,
                     keeper::to_string(key));
    return end(*task, cluster::cut_off_grace_ns / ms_ns);
  }
  const std::uint64_t now = world_.loop.now().value;
  const std::uint64_t since = heard_.value == 0 ? now : heard_.value;
  later(since + task->cut_off_ns - now, [this, key] { watch_cut_off(key); });
}

void Keeper::end(Task& task, std::uint32_t grace_ms) {
  const TaskKey key = task.status.key;
  later(grace_ms * ms_ns, [this, key] { kill(key, true); });
  if (std::exchange(task.stopping, true)) return;
  later(world_.random.spread(ms_ns, 10 * second_ns),
        [this, key] { kill(key, false); });
}

void Keeper::kill(const TaskKey& key, bool by_force) {
  Task* task = find(key);
  if (!task || task->status.state != TaskState::running) return;
  if (task->deaf && !by_force) return;
  if (task->stuck_until > world_.loop.now()) {
    world_.probes.hit(Probe::task_stuck);
    world_.oracle.task_stuck(key);
    return later(task->stuck_until.value - world_.loop.now().value,
                 [this, key] { kill(key, true); });
  }
  if (task->deaf) world_.probes.hit(Probe::task_deaf);
  finish(key, by_force ? 9 : 15);
}

void Keeper::finish(const TaskKey& key, int signal) {
  Task* task = find(key);
  if (!task || task->status.state != TaskState::running) return;
  keeper::TaskStatus& status = task->status;
  status.state = TaskState::exited;
  status.exit.signal = signal;
  status.exit.exit_code = signal ? 128 + signal : task->exit_code;
  status.exit.started_at = status.started_at;
  status.exit.ended_at = clock_.now().value;
  task->ended_at = world_.loop.now();
  world_.oracle.task_ended(key);
  say(keeper::Exited{key, status.exit});
}

void Keeper::signal(const TaskKey& key, int signo) {
  const Task* task = find(key);
  if (!task || task->status.state != TaskState::running)
    return say(keeper::Refused{key, Errc::not_found, "it is not running"});
  (void)signo;
}

void Keeper::forget(const TaskKey& key) {
  Task* task = find(key);
  if (!task) return;
  if (task->status.state == TaskState::queued ||
      task->status.state == TaskState::running)
    return say(keeper::Refused{key, Errc::rejected, "it has not ended"});
  forgotten_.add(key);
  recently_forgotten_[key] = {std::move(*task), world_.loop.now()};
  tasks_.erase(key);
}

std::vector<keeper::TaskStatus> Keeper::list() const {
  std::vector<keeper::TaskStatus> all;
  for (const auto& [key, task] : tasks_) all.push_back(task.status);
  return all;
}

std::string Keeper::first_task() const {
  if (tasks_.empty()) return "none";
  const keeper::TaskStatus& status = tasks_.begin()->second.status;
  return fmt::format("{} {}", keeper::to_string(status.key),
                     keeper::to_string(status.state));
}

// ---- its end, and the next one

void Keeper::crash() {
  ++life_;
  heard_ = {};
  listener_ = nullptr;
  // What waited for its start was in no journal.
  std::erase_if(tasks_, [](const auto& entry) {
    return entry.second.status.state == TaskState::queued;
  });
  for (auto& [key, task] : tasks_)
    if (task.status.state == TaskState::running)
      bury(task, "the keeper ended while the task ran");
}

void Keeper::bury(Task& task, const char* why) {
  world_.probes.hit(Probe::keeper_buried);
  world_.oracle.task_lost(task.status.key);
  task.status.state = TaskState::exited;
  task.status.exit.lost = true;
  task.status.exit.started_at = task.status.started_at;
  task.status.exit.ended_at = clock_.now().value;
  task.status.exit.detail = why;
  task.ended_at = world_.loop.now();
}

void Keeper::lose_power() {
  crash();
  const std::uint64_t now = world_.loop.now().value;
  lose_journal_since(
      Time{now - std::min(now, world_.random.below(unsynced_ns_max))});
}

// Back to what the journal held at that moment, and then to what a keeper
// makes of it.
void Keeper::lose_journal_since(Time moment) {
  std::map<TaskKey, Task> before;
  for (auto& [key, gone] : recently_forgotten_)
    if (gone.forgotten_at > moment) before.emplace(key, gone.task);
  keeper::Forgotten kept;
  for (const TaskKey& key : forgotten_.order())
    if (!before.contains(key)) kept.add(key);
  forgotten_ = std::move(kept);
  recently_forgotten_.clear();
  tasks_.merge(before);
  std::erase_if(tasks_, [&](const auto& entry) {
    const Task& task = entry.second;
    const bool ran = task.launched_at.value != 0;
    const bool unwritten =
        ran ? task.launched_at > moment : task.ended_at > moment;
    if (unwritten && ran) world_.oracle.task_unwritten(entry.first);
    return unwritten;
  });
  for (auto& [key, task] : tasks_)
    if (task.ended_at > moment && !task.status.exit.lost)
      bury(task, "the machine was restarted while the task ran");
}

}  // namespace reeve::sim

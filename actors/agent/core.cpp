// Orders, and what the runtime says.
#include "actors/agent/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/agent/core_launch.hpp"
#include "cluster/check.hpp"
#include "cluster/plant.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {

using schema::EndReason;
using schema::FactKind;

namespace {

TaskKey key_of(const schema::TaskRef& ref) {
  return {ref.session(), ref.attempt(), ref.rank()};
}

std::uint32_t grace_ms_of(std::uint64_t grace_ns) {
  constexpr std::uint64_t ns_per_ms = 1'000'000;
  constexpr std::uint64_t grace_ms_max = 3'600'000;
  return static_cast<std::uint32_t>(
      std::min(grace_ns / ns_per_ms, grace_ms_max));
}

schema::ExitFacts facts_of(const keeper::ExitFacts& facts) {
  return {facts.started_at, facts.ended_at,  facts.peak_memory_bytes,
          facts.cpu_ns,     facts.exit_code, facts.signal};
}

bool wants_devices(const schema::TaskOrder& order) {
  return order.devices() && order.devices()->size() > 0;
}

// The order is good, and may be carried out later.
bool is_want_of_room(Errc code) {
  return code == Errc::no_space || code == Errc::busy;
}

EndReason reason_of(const keeper::ExitFacts& facts) {
  if (facts.memory_killed) return EndReason::memory_limit;
  return facts.signal != 0 ? EndReason::signalled : EndReason::exited;
}

}  // namespace

Core::Core(Options options)
    : options_(std::move(options)),
      gpus_(options_.node.devices),
      handover_(options_.owners),
      jitter_(options_.seed),
      silence_(options_.seed) {
  REEVE_CHECK(!options_.agent.empty(), "an agent has a name");
  // Where they are not known yet, whose they were is needed later.
  if (!options_.node.devices.empty())
    handover_.offer({}, options_.node.devices);
}

Core::Task* Core::find(const TaskKey& key) {
  const auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : &found->second;
}

bool Core::ended(const TaskKey& key) const {
  const auto found = tasks_.find(key);
  return found == tasks_.end() || found->second.phase == Phase::ended;
}

// ---- the runtime comes and goes

void Core::on_runtime_ready(const std::vector<keeper::TaskStatus>& tasks,
                            Newest newest, std::vector<std::string> limits,
                            Time now) {
  now = clock_.at(now);
  // What was to be asked of the one before is in no list of this one.
  effects_.launches.clear();
  effects_.stops.clear();
  effects_.signals.clear();
  effects_.forgets.clear();
  if (newest.epoch > newest_.epoch) {
    newest_.epoch = newest.epoch;
    seen_seq_ = {};
  }
  newest_.session = std::max(newest_.session, newest.session);
  runtime_limits_ = std::move(limits);
  std::unordered_set<TaskKey, TaskKeyHash> there;
  for (const auto& status : tasks) {
    there.insert(status.key);
    take_up(status);
  }
  // What it should have but has not: a launch that never arrived may come
  // again, anything else is lost.
  std::vector<TaskKey> gone;
  for (const auto& [key, task] : tasks_)
    if (task.phase != Phase::ended && !there.contains(key)) gone.push_back(key);
  for (const TaskKey& key : gone) {
    if (find(key)->phase == Phase::launching) {
      handover_.drop(key);
      tasks_.erase(key);
      gpus_.take_back(key);
      continue;
    }
    Fact fact;
    fact.kind = FactKind::unknown;
    fact.detail = "the program that keeps this node's tasks lost it";
    end(key, *find(key), std::move(fact));
  }
  ready_ = true;
  last_tick_ = now;
  begin_registration();
}

void Core::on_runtime_lost() {
  ready_ = false;
}

// A task of the runtime's list, known already or not.
void Core::take_up(const keeper::TaskStatus& status) {
  if (tombstones_.contains(status.key)) {
    if (status.state == keeper::TaskState::exited ||
        status.state == keeper::TaskState::start_failed) {
      effects_.forgets.push_back(status.key);
    } else {
      effects_.stops.push_back({status.key, surplus_grace_ms});
    }
    return;
  }
  Task& task = tasks_[status.key];
  task.in_runtime = true;
  if (task.phase != Phase::ended) gpus_.take_up(status.key, status.gpus);
  switch (status.state) {
    case keeper::TaskState::queued: break;
    case keeper::TaskState::running:
      on_started(status.key, status.pid, status.started_at, status.note);
      break;
    case keeper::TaskState::exited:
      if (task.phase == Phase::launching && status.exit.started_at != 0)
        on_started(status.key, status.pid, status.exit.started_at, status.note);
      on_exited(status.key, status.exit);
      break;
    case keeper::TaskState::start_failed:
      on_start_failed(status.key, status.error);
      break;
  }
}

// ---- orders

void Core::on_order(const schema::AgentOrder& order, Time now) {
  now = clock_.at(now);
  ++counters_.orders;
  if (!ready_) {
    ++counters_.orders_early;
    return;
  }
  const Epoch epoch{order.epoch()};
  if (epoch < newest_.epoch && !planted(Plant::epoch_unchecked)) {
    if (counters_.orders_stale++ == 0)
      effects_.messages.push_back(fmt::format(
          "an order of epoch {} is not obeyed: this node has seen epoch {}, so "
          "it comes from an earlier manager, or its log is an older copy",
          epoch.value, newest_.epoch.value));
    return;
  }
  silence_.on_heard(now);
  // Another manager leads: what it knows of us may be old. Where its log is an
  // older copy, it counts from less than what was ordered before.
  if (epoch > newest_.epoch && newest_.epoch.value != 0) {
    begin_registration();
    list_seq_ = {};
    for (auto& [key, task] : tasks_) task.ordered_at = {};
  }
  if (epoch != newest_.epoch) seen_seq_ = {};
  newest_.epoch = epoch;
  order_seq_ = Sequence{order.seq()};
  seen_seq_ = std::max(seen_seq_, order_seq_);
  // One that an earlier boot of this host has named is ahead of its clock.
  if (order.heard() <= host_ns_)
    effects_.heard = std::max(effects_.heard, order.heard());
  switch (order.body_type()) {
    case schema::OrderBody::LaunchOrder:
      return on_launch(*order.body_as_LaunchOrder(), now);
    case schema::OrderBody::StopOrder:
      return on_stop(*order.body_as_StopOrder(), now);
    case schema::OrderBody::SignalOrder:
      return on_signal(*order.body_as_SignalOrder());
    case schema::OrderBody::ProbeOrder:
      return on_probe_order(*order.body_as_ProbeOrder());
    case schema::OrderBody::ReconcileOrder:
      return on_list(*order.body_as_ReconcileOrder(), now);
    default: break;
  }
}

void Core::on_launch(const schema::LaunchOrder& order, Time now) {
  // The list had what of it was still wanted; that is ordered again.
  if (order_seq_ < list_seq_) {
    ++counters_.launches_void;
    return;
  }
  for (const auto* task : *order.tasks()) {
    const TaskKey key{task->session(), task->attempt(), task->rank()};
    if (Task* known = find(key); known && known->refused) {
      tasks_.erase(key);
      launch(*task, key, now);
    } else if (known) {
      ++counters_.launches_known;
      repeat(key, *known, task->sim_started_at() != 0);
    } else if (tombstones_.contains(key)) {
      ++counters_.launches_late;
      bury(key, "it has ended here, or was stopped before it was started");
    } else if (tasks_.size() >= (options_.simulated
                                     ? options_.simulated_tasks_max
                                     : tasks_max)) {
      if (counters_.launches_dropped++ == 0)
        effects_.messages.push_back(fmt::format(
            "the agent holds {} tasks, its bound: further launches wait until "
            "some have ended",
            tasks_.size()));
    } else if (options_.node.gpus_awaited && wants_devices(*task)) {
      // It may well be there: the order comes again.
      ++counters_.launches_awaiting;
    } else {
      launch(*task, key, now);
    }
  }
}

void Core::launch(const schema::TaskOrder& order, const TaskKey& key,
                  Time now) {
  ++counters_.launches;
  newest_.session = std::max(newest_.session, SessionId{key.session});
  Fact failed;
  failed.kind = FactKind::start_failed;
  failed.reason = EndReason::start_failed;
  if (order.simulated() != options_.simulated) {
    failed.detail = fmt::format("agent {} runs {} tasks only", options_.agent,
                                options_.simulated ? "simulated" : "real");
    return end(key, tasks_[key], std::move(failed));
  }
  if (options_.simulated) return simulate(order, key, now);
  auto spec =
      task_spec(order, newest_.epoch, options_.node, options_.output_bytes_max);
  Task& task = tasks_[key];
  if (!spec) {
    failed.detail = spec.error().text;
    return end(key, task, std::move(failed));
  }
  gpus_.give(key, spec->gpus);
  task.ordered_at = order_seq_;
  if (options_.gpu_jobs && !spec->gpus.empty())
    return hand_over(std::move(*spec), order, now);
  task.in_runtime = true;
  effects_.launches.push_back(std::move(*spec));
}

// Says again how a known task stands; `start_is_known`: not that it runs.
void Core::repeat(const TaskKey& key, Task& task, bool start_is_known) {
  switch (task.phase) {
    case Phase::launching: return;
    case Phase::running:
      if (!start_is_known) queue_start(key, task);
      return;
    case Phase::ended: return queue_end(key, task);
  }
}

void Core::on_stop(const schema::StopOrder& order, Time now) {
  for (const auto* ref : *order.tasks()) {
    ++counters_.stops;
    stop(key_of(*ref), grace_ms_of(order.grace_ns()), now);
  }
}

// The order comes again now and then; a task gets each signal once.
void Core::on_signal(const schema::SignalOrder& order) {
  if (order.signal() == 0 || order.signal() > 64 || options_.simulated) return;
  const std::uint64_t bit = std::uint64_t{1} << (order.signal() - 1);
  for (const auto* ref : *order.tasks()) {
    Task* task = find(key_of(*ref));
    if (!task || task->phase != Phase::running || (task->signalled & bit))
      continue;
    ++counters_.signals;
    task->signalled |= bit;
    effects_.signals.push_back({key_of(*ref), order.signal()});
  }
}

void Core::stop(const TaskKey& key, std::uint32_t grace_ms, Time now) {
  Task* task = find(key);
  if (!task) return bury(key, "it is not on this node");
  if (task->phase == Phase::ended) return queue_end(key, *task);
  if (options_.simulated) return end_simulated(key, now, true);
  ask_to_end(key, grace_ms);
}

// One that still waits for its devices, or for room, never begins.
void Core::ask_to_end(const TaskKey& key, std::uint32_t grace_ms) {
  if (const Task* task = find(key); task->refused)
    return end_unbegun(key, task->note);
  if (!handover_.drop(key)) return effects_.stops.push_back({key, grace_ms});
  end_unbegun(key, "it was to end before its GPUs were clear");
}

void Core::end_unbegun(const TaskKey& key, std::string why) {
  Fact fact;
  fact.kind = FactKind::start_failed;
  fact.reason = EndReason::start_failed;
  fact.detail = std::move(why);
  end(key, *find(key), std::move(fact));
}

// ---- what the runtime says

void Core::on_started(const TaskKey& key, int pid, std::uint64_t started_at,
                      std::string note) {
  const Task* known = find(key);
  if (tombstones_.contains(key) || (known && known->phase == Phase::ended)) {
    // Its launch was on the way when it was told to be unknown.
    effects_.stops.push_back({key, surplus_grace_ms});
    return;
  }
  Task& task = tasks_[key];
  task.in_runtime = true;
  if (task.phase != Phase::launching) return;
  task.phase = Phase::running;
  task.note = std::move(note);
  task.pid = pid;
  task.started_at = started_at;
  queue_start(key, task);
}

void Core::on_start_failed(const TaskKey& key, std::string error) {
  if (tombstones_.contains(key)) {
    effects_.forgets.push_back(key);
    return;
  }
  Task& task = tasks_[key];
  task.in_runtime = true;
  Fact fact;
  fact.kind = FactKind::start_failed;
  fact.reason = EndReason::start_failed;
  fact.detail = std::move(error);
  end(key, task, std::move(fact));
}

void Core::on_exited(const TaskKey& key, const keeper::ExitFacts& facts) {
  if (tombstones_.contains(key)) {
    effects_.forgets.push_back(key);
    return;
  }
  Task& task = tasks_[key];
  task.in_runtime = true;
  Fact fact;
  fact.kind = facts.lost ? FactKind::unknown : FactKind::exited;
  fact.reason = facts.lost ? EndReason::none : reason_of(facts);
  fact.facts = facts_of(facts);
  fact.detail = facts.detail;
  if (auto why = gpus_.why_stopped(key); facts.signal != 0 && !why.empty())
    fact.detail = std::move(why);
  end(key, task, std::move(fact));
}

void Core::on_gpu_use(const std::vector<GpuUse>& uses,
                      const std::function<int(int pid)>& parent) {
  std::unordered_map<int, TaskKey> inits;
  for (const auto& [key, task] : tasks_)
    if (task.phase == Phase::running && task.pid > 0)
      inits.emplace(task.pid, key);
  const auto task_of = [&](int pid) -> std::optional<TaskKey> {
    for (int steps = 0; pid > 0 && steps <= ancestors_max; ++steps) {
      const auto found = inits.find(pid);
      if (found != inits.end()) return found->second;
      pid = parent(pid);
    }
    return std::nullopt;
  };
  for (const TaskKey& key : gpus_.look(uses, task_of)) {
    ++counters_.overuse_stopped;
    kill_for_gpu(key);
  }
}

void Core::on_gpu_health(const std::vector<GpuFinding>& findings) {
  for (const auto& [uuid, finding] : findings) {
    switch (finding.action) {
      case gpu::Action::nothing: break;
      case gpu::Action::fail_session:
        for (const TaskKey& key : gpus_.fail(
                 uuid,
                 fmt::format("an error of {}: {}", uuid, finding.reason))) {
          ++counters_.failed_stopped;
          kill_for_gpu(key);
        }
        break;
      // An agent may not drain its node: the reason asks people to.
      case gpu::Action::drain:
      case gpu::Action::quarantine: want_quarantine(uuid, finding); break;
    }
  }
}

void Core::kill_for_gpu(const TaskKey& key) {
  effects_.messages.push_back(fmt::format(
      "task {} is ended: {}", keeper::to_string(key), gpus_.why_stopped(key)));
  ask_to_end(key, 0);
}

void Core::on_node(Node node) {
  if (!gpus_.keep(options_.node.devices, node.devices))
    effects_.messages.push_back(
        "the GPUs of this host have changed; the cell is told when the tasks "
        "that hold what changed have ended");
  next_node_ = std::move(node);
}

// The manager refuses what would move a device under a task, and knows devices
// to be put into quarantine while the node has them.
void Core::take_node() {
  if (!next_node_ || !quarantines_.empty() ||
      !gpus_.keep(options_.node.devices, next_node_->devices))
    return;
  handover_.offer(options_.node.devices, next_node_->devices);
  options_.node = std::move(*next_node_);
  next_node_.reset();
  gpus_.offer(options_.node.devices);
  begin_registration();
}

bool Core::offers(const std::string& uuid) const {
  if (uuid.empty()) return false;  // a driver did not tell it
  const auto& devices = options_.node.devices;
  return std::any_of(devices.begin(), devices.end(),
                     [&](const NodeDevice& device) {
                       return device.uuid == uuid || device.mig_of == uuid;
                     });
}

void Core::on_refused(const TaskKey& key, Errc code, std::string text) {
  Task* task = find(key);
  if (!task || task->phase == Phase::ended) return;
  if (task->phase == Phase::launching && is_want_of_room(code))
    return put_off(key, *task, std::move(text));
  Fact fact;
  fact.detail = std::move(text);
  if (task->phase == Phase::launching && code != Errc::not_found) {
    // Rejected: it has ended there and was acknowledged.
    fact.kind =
        code == Errc::rejected ? FactKind::unknown : FactKind::start_failed;
    if (code != Errc::rejected) fact.reason = EndReason::start_failed;
    task->in_runtime = false;
    return end(key, *task, std::move(fact));
  }
  if (code != Errc::not_found) return;
  fact.kind = FactKind::unknown;
  task->in_runtime = false;
  end(key, *task, std::move(fact));
}

// The manager orders it again until it has waited for too long; to end it now
// would let the next one come into the same trouble.
void Core::put_off(const TaskKey& key, Task& task, std::string why) {
  ++counters_.launches_refused;
  if (last_tick_ >= next_refusal_told_) {
    next_refusal_told_ = Time{last_tick_.value + refusal_told_ns};
    effects_.messages.push_back(fmt::format(
        "tasks wait to be started on this node until there is room: {}", why));
  }
  gpus_.take_back(key);
  task.in_runtime = false;
  task.refused = true;
  task.note = std::move(why);
  // Nothing is left to be cleared of what nobody wants.
  if (surplus_.contains(key)) end_unbegun(key, task.note);
}

void Core::end(const TaskKey& key, Task& task, Fact fact) {
  if (task.phase == Phase::ended) return;
  task.phase = Phase::ended;
  if (fact.detail.empty()) fact.detail = std::move(task.note);
  if (fact.detail.size() > fact_detail_bytes_max)
    fact.detail.resize(fact_detail_bytes_max);
  task.end = std::move(fact);
  surplus_.erase(key);
  handover_.drop(key);
  gpus_.take_back(key);
  queue_end(key, task);
}

void Core::bury(const TaskKey& key, std::string detail) {
  Fact fact;
  fact.kind = FactKind::unknown;
  fact.detail = std::move(detail);
  end(key, tasks_[key], std::move(fact));
}

void Core::add_tombstone(const TaskKey& key) {
  if (!tombstones_.insert(key).second) return;
  tombstones_by_age_.push_back(key);
  if (tombstones_by_age_.size() <= tombstones_max) return;
  tombstones_.erase(tombstones_by_age_.front());
  tombstones_by_age_.pop_front();
}

}  // namespace reeve::agent

// A model of reeve-keeper (actors/agent/keeper/): what it answers to each
// order, what it remembers, and what becomes of tasks when it dies or the host
// loses power. Its journal is not synced, so that power takes the end of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "actors/agent/core.hpp"
#include "actors/agent/keeper/journal.hpp"
#include "actors/agent/keeper/protocol.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

// The command of a task that lasts so long and ends so.
std::vector<std::string> task_command(std::uint64_t duration_ns, int exit_code);

class Keeper {
 public:
  using Listener = std::function<void(const keeper::Message&)>;

  Keeper(World& world, std::string node, const HostClock& clock)
      : world_(world), node_(std::move(node)), clock_(clock) {}

  // One agent at a time; what is said without one is lost.
  void listen(Listener listener) { listener_ = std::move(listener); }

  void launch(const keeper::TaskSpec& spec);
  void stop(const TaskKey& key, std::uint32_t grace_ms);
  // Tasks here take no notice of it.
  void signal(const TaskKey& key, int signo);
  void forget(const TaskKey& key);
  void heard(Time at);
  std::vector<keeper::TaskStatus> list() const;
  agent::Newest newest() const { return newest_; }

  // The next one begins at once; what ran is dead.
  void crash();
  void lose_power();

  // Nothing runs, nothing is remembered but what must not start again.
  bool idle() const { return tasks_.empty(); }
  std::string first_task() const;

 private:
  struct Task {
    keeper::TaskStatus status;
    std::uint64_t duration_ns = 0;
    int exit_code = 0;
    bool deaf = false;
    Time stuck_until;
    Time launched_at;  // true times, of the journal's records
    Time ended_at;
    bool stopping = false;
    std::uint64_t cut_off_ns = 0;
  };
  struct Gone {
    Task task;
    Time forgotten_at;
  };

  void later(std::uint64_t delay_ns, Loop::Action action);
  void say(keeper::Message message) {
    if (listener_) listener_(message);
  }
  Task* find(const TaskKey& key);
  void start(const TaskKey& key);
  bool is_cut_off(const Task& task) const;
  void watch_cut_off(const TaskKey& key);
  void end(Task& task, std::uint32_t grace_ms);
  void repeat(const Task& task);
  void kill(const TaskKey& key, bool by_force);
  void finish(const TaskKey& key, int signal);
  void bury(Task& task, const char* why);
  void lose_journal_since(Time moment);

  World& world_;
  const std::string node_;
  const HostClock& clock_;
  Listener listener_;
  agent::Newest newest_;
  Time heard_;              // by true time; 0: never
  std::uint64_t life_ = 0;  // what a dead keeper was about to do is not done
  std::map<TaskKey, Task> tasks_;
  keeper::Forgotten forgotten_;
  std::map<TaskKey, Gone> recently_forgotten_;
};

}  // namespace reeve::sim

// A compute host: the real agent's core in a process that may die, beside a
// keeper that outlives it. Without a keeper: the agent of simulated nodes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/agent/core.hpp"
#include "tests/sim/keeper.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

class AgentProcess;

// Two racks; disks that are quick are in half of each.
Labels labels_of_node(std::uint32_t number);

class Node {
 public:
  enum class Kind { real, simulated };
  Node(World& world, std::string name, std::uint32_t number, Kind kind);
  ~Node();

  void start_agent();
  void crash_agent();
  // Its agent dies and does not begin again before then.
  void stay_dead(Time until);
  void crash_keeper();
  void lose_power();
  void break_link();
  void stall_agent(std::uint64_t duration_ns);
  // The agent's connection to the bus was lost and is there again.
  void reconnected();

  const std::string& name() const { return name_; }
  End end() const { return end_; }
  HostClock& clock() { return clock_; }
  bool simulated() const { return kind_ == Kind::simulated; }
  // Why it does not take part; empty: it does.
  std::string disorder() const;
  // Why there is still something to do; empty: there is not.
  std::string unrest() const;

 private:
  friend class AgentProcess;
  void restart_agent_soon();

  World& world_;
  const std::string name_;
  const Kind kind_;
  HostClock clock_;
  End end_;
  agent::Node hardware_;
  Keeper keeper_;
  std::shared_ptr<AgentProcess> agent_;
  Time dead_until_;
  // What was obeyed last: an agent that lives must not obey an older one.
  std::uint64_t newest_epoch_ = 0;
};

}  // namespace reeve::sim

// The agents that a daemon hosts, and the keeper that outlives them.
#pragma once

#include <caf/fwd.hpp>
#include <filesystem>
#include <functional>
#include <vector>

#include "actors/agent/shell.hpp"
#include "cluster/error.hpp"
#include "tools/config/config.hpp"
#include "tools/daemon/links.hpp"

namespace reeve::tools {

struct AgentsOptions {
  Config config;
  std::filesystem::path data;
  std::filesystem::path programs;  // where reeve-keeper lies
  // All outlive the agents.
  Links* links = nullptr;
  bus::Quarantine* quarantine = nullptr;
  bus::Subjects subjects{""};
  // Of this host's node, about each second, on a thread of the actor system.
  std::function<void(const agent::AgentStatus&)> on_status;
  // See agent::ShellOptions; for this host's node.
  std::function<void(const std::vector<std::string>&)> on_managers;
};

class Agents {
 public:
  explicit Agents(AgentsOptions options);

  // The agent of simulated nodes.
  Status spawn_simulated(caf::actor_system& system);
  // This host's own, unless the settings say that it runs nothing.
  Status spawn_real(caf::actor_system& system);

  // Sends them away; the tasks stay.
  void end();
  // Ends the keeper and whatever still runs under it.
  void end_keeper();
  // True when there was one to kill.
  bool kill_keeper();

 private:
  Status spawn(caf::actor_system& system, agent::ShellOptions shell);
  keeper::ClientConfig keeper_config() const;

  const AgentsOptions options_;
  std::vector<caf::actor> agents_;
};

}  // namespace reeve::tools

// The manager actor: turns messages into inputs of its core and performs the
// core's effects.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/manager/core.hpp"
#include "actors/system/gate.hpp"
#include "bus/connection.hpp"
#include "bus/quarantine.hpp"
#include "bus/subject.hpp"

namespace reeve::actors {

struct ManagerOptions {
  // Started core: nothing of it has left yet.
  std::shared_ptr<manager::Core> core;
  // Outlive the actor.
  bus::Connection* answers = nullptr;
  bus::Connection* orders = nullptr;
  const bus::Quarantine* quarantine = nullptr;
  const bus::Subjects* subjects = nullptr;
  const Gate* log_reads = nullptr;  // of the journal, for the counters
  // A commit failed: the process has to end. Called once, from the actor.
  std::function<void(const std::string&)> on_fatal;
  // After a `drain`: nothing real runs any more. Called once, from the actor.
  std::function<void()> on_stopped;
};

// Takes FromBus, Committed, Proposals and WhyAnswered. It begins when it gets
// its Peers.
struct Peers {
  caf::actor committer;
  std::vector<caf::actor> schedulers;
};

caf::actor spawn_manager(caf::actor_system& system, ManagerOptions options);

// Tells a manager who its peers are.
void introduce(const caf::actor& manager, Peers peers);

}  // namespace reeve::actors

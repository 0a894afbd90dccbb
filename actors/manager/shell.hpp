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
  // The beginning of this epoch is on disk; orders and answers of the epoch
  // leave after the call, which may take as long as a sync: there is one for
  // each epoch, and more while it says that it could not be noted. Called from
  // the actor. May be empty.
  std::function<bool(Epoch)> on_begun;
  // The whole list of who may connect, at the start and after each change.
  // Called from the actor: it must not block. May be empty.
  std::function<void(const manager::SetBusIdentities&)> on_identities;
  // The leader is asked to give way to that one; `answer` is called from any
  // thread. May be empty where there is one manager alone.
  using Answer = std::function<void(Expected<std::string>)>;
  std::function<void(const std::string& to, Answer answer)> on_hand_over;
  // Whether this one leads still, as far as it can know. While it does not
  // know nothing leaves. Called from the actor: it must not block. May be
  // empty.
  std::function<bool()> may_answer;
  // Whether it is sure that nobody else does. May be empty. Called as that.
  std::function<bool()> leads;
  // Of the bus server here. May be empty. Called as that.
  std::function<int()> bus_pid;
  // After Admission{false}: all that was decided is kept and answered.
  // Called from the actor: it must not block. May be empty.
  std::function<void()> on_drained;
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

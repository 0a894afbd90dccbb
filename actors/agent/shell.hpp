// The agent as an actor: bus and keeper in, core, bus and keeper out.
#pragma once

#include <caf/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/agent/core.hpp"
#include "actors/agent/gpu_watch.hpp"
#include "actors/agent/keeper/client.hpp"
#include "bus/subject.hpp"

namespace reeve::bus {
class Connection;
class Quarantine;
}  // namespace reeve::bus

namespace reeve::agent {

// Orders that wait in the mailbox; more are dropped, and sent again by the
// manager.
inline constexpr std::size_t orders_waiting_max = 4'096;
// Requests for output that wait; more are told to try again.
inline constexpr std::size_t output_reads_waiting_max = 256;
constexpr bool too_many_reads(std::size_t waiting) {
  return waiting > output_reads_waiting_max;
}

// For metrics and `reeve status`.
struct AgentStatus {
  bool registered = false;
  int keeper_pid = 0;  // 0: not connected
  std::size_t tasks = 0;
  std::size_t facts_waiting = 0;
  Counters counters;
};

struct ShellOptions {
  // All outlive the actor; the connection's credentials may act for this
  // agent. Live output goes by `live`, as do the journal's events: many
  // pieces to a write.
  bus::Connection* connection = nullptr;
  bus::Connection* live = nullptr;
  bus::Quarantine* quarantine = nullptr;
  bus::Subjects subjects{""};
  std::string agent;
  // Without tasks of its own: the host of simulated nodes.
  bool simulated = false;
  Node node;  // of a real agent, at its start
  keeper::ClientConfig keeper;
  GpuWatchOptions gpu_watch;
  std::string cdi_directory;  // see cdi_file.hpp; empty: no file is kept
  std::string gpu_probe;      // as in HostOptions
  std::string mps_directory;  // as in HostOptions
  gpu::probe::Models gpu_models = {};  // the site's own
  // GPUs are tested without being asked to: those that are new, and those that
  // were found unfit.
  bool test_new_gpus = false;
  bool test_quarantined_gpus = false;
  std::uint64_t output_bytes_max = 0;  // per stream of a task; 0: the keeper's
  cluster::Program program = {};
  // Called about each second on a thread of the actor system.
  std::function<void(const AgentStatus&)> on_status;
  // So is this: the hosts of the cell's managers, each time they are told.
  std::function<void(const std::vector<std::string>&)> on_managers;
};

// Runs until it is sent an exit; its tasks stay. `unreachable` or `rejected`
// when the bus does not let it listen.
Expected<caf::actor> spawn_agent(caf::actor_system& system,
                                 ShellOptions options);

}  // namespace reeve::agent

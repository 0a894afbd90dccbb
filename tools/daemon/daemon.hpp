// The node daemon: what its settings make of this host, put together and taken
// apart. A cell (bus server, log, manager, journal, scheduler and agents in
// one process) is in cell_daemon.cpp, the node of a cell that another host
// leads in node_daemon.cpp.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/error.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

// Of a process whose host was removed from its cell: no restart mends it, and
// systemd tries none (deploy/systemd/reeved.service).
inline constexpr int removed_exit_code = 7;

// What may go on when a daemon ends: nothing, or its tasks, with the bus.
enum class Leave { nothing, tasks };

struct DaemonOptions {
  std::filesystem::path data;
  Config config;
  std::filesystem::path programs;  // where reeve-keeper lies
  // The process must end: a commit of unknown outcome. From any thread.
  std::function<void(const std::string&)> on_fatal;
  // After `stop_tasks`: nothing real runs any more. From any thread.
  std::function<void()> on_stopped;
  // This host is none of the cell's any more: it must end with its tasks. Of a
  // start, which ends by itself, and of a manager that serves. From any thread.
  std::function<void(const std::string&)> on_expelled;
  // The process executes itself anew, at once: a manager that leads no more, a
  // node that was sent away. Its keeper and its bus server go on. Does not
  // return. From any thread.
  std::function<void(const std::string&)> start_anew;
  // Waits for as long; what may go on if the process is told to end meanwhile.
  // For a start that has to wait for the cell.
  std::function<std::optional<Leave>(std::chrono::milliseconds)> told_to_end;
};

class Daemon {
 public:
  // Serves on return. Errc::busy when another daemon holds the directory.
  static Expected<std::unique_ptr<Daemon>> start(DaemonOptions options);
  virtual ~Daemon() = default;

  // Ends all real tasks; on_stopped follows.
  virtual void stop_tasks() = 0;
  // Kills them, after that: on_stopped follows.
  virtual void kill_tasks() = 0;
  using Leave = tools::Leave;
  // Ends the actors, closes the log. `nothing`: the keeper and the bus end
  // too; `tasks`: they go on, for the next daemon.
  virtual void finish(Leave leave) = 0;
};

}  // namespace reeve::tools

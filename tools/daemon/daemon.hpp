// The node daemon of a one-machine cell: bus server, log, manager, journal,
// scheduler and agents in one process, put together and taken apart here.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cluster/error.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

struct DaemonOptions {
  std::filesystem::path data;
  Config config;
  std::filesystem::path programs;  // where reeve-keeper lies
  // The process must end: a commit of unknown outcome. From any thread.
  std::function<void(const std::string&)> on_fatal;
  // After `stop_tasks`: nothing real runs any more. From any thread.
  std::function<void()> on_stopped;
};

class Daemon {
 public:
  // Serves on return. Errc::busy when another daemon holds the directory.
  static Expected<std::unique_ptr<Daemon>> start(DaemonOptions options);
  ~Daemon();

  // Ends all real tasks; on_stopped follows.
  void stop_tasks();
  // Kills them, after that: on_stopped follows.
  void kill_tasks();
  enum class Leave { nothing, tasks };
  // Ends the actors, closes the log. `nothing`: the keeper and the bus end
  // too; `tasks`: they go on, for the next daemon.
  void finish(Leave leave);

 private:
  struct Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::tools

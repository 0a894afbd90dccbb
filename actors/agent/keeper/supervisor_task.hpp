// One task in the supervisor's table, and helpers of its parts.
#pragma once

#include <memory>
#include <string>

#include "actors/agent/keeper/supervisor.hpp"

namespace reeve::keeper {

struct Supervisor::Task {
  Task(TaskSpec given, const std::string& output_directory)
      : spec(std::move(given)),
        out_file(output_path(output_directory, spec.key, Stream::out),
                 spec.output_bytes_max),
        err_file(output_path(output_directory, spec.key, Stream::err),
                 spec.output_bytes_max) {}

  // The order's long parts are of no more use once the command runs. This
  // process stays small: each start copies its page tables.
  void drop_strings() {
    spec.argv = {};
    spec.env = {};
    spec.device_paths = {};
    spec.share_library = {};
    spec.mps_directory = {};
  }

  TaskSpec spec;
  TaskState state = TaskState::queued;
  std::uint32_t id = 0;  // in by_id_ while it lives
  int pid = 0;
  std::uint64_t started_at = 0;
  std::uint64_t boot_ns = 0;
  Fd process;
  Fd out;
  Fd err;
  OutputFile out_file;
  OutputFile err_file;
  int group = -1;
  bool starting = false;  // counted in starting_
  bool told_started = false;
  bool stopping = false;
  bool killed = false;   // by us, at the end of its grace
  bool cut_off = false;  // and ended for that
  bool in_scratch = false;
  bool output_warned = false;
  ExitFacts exit;
  std::string error;
  std::string note;
};

struct Supervisor::Ending {
  // Told by the init; else it is the init's own end. Killed together with it,
  // the command could not be waited for there.
  bool of_command = false;
  int status = 0;  // as wait gives it
  std::uint64_t cpu_ns = 0;
  std::uint64_t peak_process_bytes = 0;
};

// Why one ends that is cut off for too long.
std::string cut_off_text(const TaskSpec& spec);

// One line in the keeper's log, with the time.
void log_line(const std::string& text);

// In a child: removes a directory with all in it.
[[noreturn]] void remove_tree_and_exit(const std::string& path);

}  // namespace reeve::keeper

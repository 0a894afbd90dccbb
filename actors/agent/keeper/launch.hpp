// Starts one task: a small init as process 1 of its own namespaces, and the
// command as its child. The init passes signals on, reaps, and tells how the
// command ended; killing it ends the whole tree.
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/step.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// What an init writes to the keeper's report pipe; small enough to be atomic.
struct Report {
  enum class Kind : std::uint32_t { started, failed, exited };
  TaskKey key;
  Kind kind = Kind::started;
  // started: 1 when the task runs in its private directory instead;
  // failed: the Step; exited: the wait status.
  std::int32_t value = 0;
  std::int32_t error = 0;  // failed: errno; started: why not in its workdir
};

// What stays the same from task to task.
struct LaunchSetting {
  int null_fd = -1;
  int report_fd = -1;      // the write end, blocking
  int mounts_fd = -1;      // the prepared root (RootTemplate)
  bool user_mode = false;  // an ordinary user: one uid only, no groups
  bool reset_oom_score = false;
  rlimit open_files{};  // for tasks that ask for no limit of their own
  std::vector<std::string> hidden;  // host paths that no task may see
  std::vector<sock_filter> filter;
};

struct LaunchOrder {
  const TaskSpec* spec = nullptr;
  std::vector<std::string> cgroup_entries;
  std::string scratch;  // host path of the private directory; made if needed
};

struct Launched {
  int pid = 0;
  Fd process;  // pidfd
  Fd out;      // read ends, non-blocking
  Fd err;
};

// Where the private directory appears in a task.
inline constexpr const char* scratch_path = "/tmp/work";
// The name of an init in the process table.
inline constexpr const char* init_name = "reeve-init";

// Blocks only for the clone itself; the rest is told through the report pipe.
Expected<Launched> launch(const LaunchSetting& setting,
                          const LaunchOrder& order);

// Asks the init to pass `signo` to the command's process group.
Status pass_signal(int process_fd, int signo);

}  // namespace reeve::keeper

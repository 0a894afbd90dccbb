// What the agent asks of the keeper and what it hears back. Plain values,
// shared by both sides of the socket.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "gpu/share/share.hpp"

namespace reeve::keeper {

// Names one try at running one task. A key is started at most once, ever.
struct TaskKey {
  std::uint64_t session = 0;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
  auto operator<=>(const TaskKey&) const = default;
};

struct TaskKeyHash {
  std::size_t operator()(const TaskKey& key) const noexcept {
    auto mix = key.session * 0x9e3779b97f4a7c15ull;
    mix ^=
        (std::uint64_t{key.attempt} << 32 | key.rank) * 0xc2b2ae3d27d4eb4full;
    return mix ^ mix >> 29;
  }
};

// "17.1.0": session, attempt, rank; also the stem of the task's files.
std::string to_string(const TaskKey& key);

// The kernel refuses a cpu quota below one millisecond in its period.
inline constexpr std::uint32_t cpu_milli_min = 10;

struct TaskSpec {
  TaskKey key;
  std::uint64_t epoch = 0;        // of the manager that gave the order
  std::vector<std::string> argv;  // argv[0] is looked up in env's PATH
  std::vector<std::string> env;   // "NAME=value"
  std::string workdir;            // host path; empty: a private one
  // Where it cannot be entered, a private one takes its place.
  bool workdir_optional = false;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;      // supplementary groups
  std::uint64_t memory_bytes = 0;         // 0: no limit
  std::uint32_t cpu_milli = 0;            // thousandths of a cpu; 0: no limit
  std::uint32_t pids_max = 0;             // processes and threads; 0: no limit
  std::uint64_t open_files_max = 0;       // 0: the host's own limit
  std::vector<std::string> device_paths;  // below /dev, bound into the task
  std::uint64_t output_bytes_max = 0;     // per stream; 0: the keeper's default
  std::vector<gpu::share::DeviceShare> gpus;  // all that it was given
  // Host path of the library that holds it to its shares; empty: it has whole
  // devices alone.
  std::string share_library;
  // Host path of the pipes of the MPS that its shares go through; empty: none.
  std::string mps_directory = {};
  // It ends when nothing was heard of the cell for so long; 0: it does not.
  std::uint64_t cut_off_ns = 0;
};

// Where a task with a share of a GPU finds its ledger and that library.
inline constexpr const char* share_ledger_path =
    gpu::share::session_ledger_path;
inline constexpr const char* share_library_path =
    "/dev/reeve/libreeve-gpu-share.so";
// And the pipes of MPS, where its shares go through it.
inline constexpr const char* share_mps_path = "/dev/reeve/mps";

struct ExitFacts {
  int exit_code = 0;  // as returned; 128 + signal when a signal ended it
  int signal = 0;     // 0: it ended by itself
  bool memory_killed = false;
  std::uint64_t peak_memory_bytes = 0;
  std::uint64_t cpu_ns = 0;      // user and system, the whole tree
  std::uint64_t started_at = 0;  // unix nanoseconds
  std::uint64_t ended_at = 0;    // unix nanoseconds
  bool lost = false;             // how it ended could not be learned
  std::string detail;            // one sentence when there is more to say
};

enum class TaskState : std::uint8_t { queued, running, exited, start_failed };

const char* to_string(TaskState state);

struct TaskStatus {
  TaskKey key;
  TaskState state = TaskState::queued;
  int pid = 0;  // of the task's init, as the host sees it
  std::uint64_t started_at = 0;
  ExitFacts exit;     // meaningful when exited
  std::string error;  // meaningful when start_failed
  std::string note;   // what differs from the order, e.g. another workdir
  std::vector<gpu::share::DeviceShare> gpus = {};  // until it has ended
};

enum class Stream : std::uint8_t { out = 1, err = 2 };

}  // namespace reeve::keeper

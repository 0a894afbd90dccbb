// Which processes use the GPUs of this host, as the driver tells, and where
// they belong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/telemetry.hpp"

namespace reeve::agent {

struct GpuUse {
  std::string uuid;
  std::vector<gpu::ProcessUse> processes;
  // Those of them that run without the library of their task's share.
  std::vector<std::uint32_t> unheld = {};
  // Those of them that are the site's, and count to no task.
  std::vector<std::uint32_t> servers = {};
};

// The parent of a process, by /proc; 0: it has none, or is gone. Always 0 in a
// pid namespace of our own: the driver's pids are not those of our /proc.
int parent_of(int pid);

// A process with more of them is taken for one that has the library.
constexpr std::size_t mappings_max = 1'000'000;

// Whether a process of a task with a share of a GPU has not loaded the library
// that holds it to that; no where it is not known. Waits while the kernel
// changes the memory of the process: nothing for an actor.
bool runs_unheld(std::uint32_t pid);

// The same by other files than those of /proc.
bool runs_unheld(std::uint32_t pid, const std::string& proc);

// Whether a process is in the first pid namespace: of no session, for each task
// has a namespace of its own that nobody gets out of. No where it is not known.
bool is_of_host(std::uint32_t pid);

// The same of the text of /proc/PID/status.
bool is_of_host(std::string_view status);

// Tells which processes are servers of the MPS with its pipes in this
// directory; empty: there is none. Reads /proc: nothing for an actor.
std::function<bool(std::uint32_t pid)> mps_servers(
    const std::string& mps_directory);

}  // namespace reeve::agent

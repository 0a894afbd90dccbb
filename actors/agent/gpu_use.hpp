// Which processes use the GPUs of this host, as the driver tells, and where
// they belong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gpu/telemetry.hpp"

namespace reeve::agent {

struct GpuUse {
  std::string uuid;
  std::vector<gpu::ProcessUse> processes;
};

// The parent of a process, by /proc; 0: it has none, or is gone. Always 0 in a
// pid namespace of our own: the driver's pids are not those of our /proc.
int parent_of(int pid);

// The same of the text of /proc/PID/stat.
int parent_in(std::string_view stat);

}  // namespace reeve::agent

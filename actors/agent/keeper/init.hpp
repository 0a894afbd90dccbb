// The life of process 1 of a task. Runs in a copy of the keeper's memory,
// never returns.
#pragma once

#include "actors/agent/keeper/launch.hpp"

namespace reeve::keeper {

struct InitPipes {
  int out = -1;
  int err = -1;
  int order = -1;  // tells how many bytes lie in the page; closed: none come
};

[[noreturn]] void run_init(const LaunchSetting& setting,
                           const std::vector<std::string>& cgroup_entries,
                           InitPipes pipes, const char* page);

// The one signal that an init acts on; its value is the signal to pass on.
int pass_on_signal();

}  // namespace reeve::keeper

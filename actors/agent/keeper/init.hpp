// The life of process 1 of a task. Runs in a copy of the keeper's memory,
// never returns.
#pragma once

#include "actors/agent/keeper/launch.hpp"

namespace reeve::keeper {

struct TaskOutputs {
  int out = -1;
  int err = -1;
};

[[noreturn]] void run_init(const LaunchSetting& setting,
                           const LaunchOrder& order, TaskOutputs outputs);

// The one signal that an init acts on; its value is the signal to pass on.
int pass_on_signal();

}  // namespace reeve::keeper

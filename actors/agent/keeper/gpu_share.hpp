// What a task with a share of a GPU finds below /dev/reeve: the library that is
// loaded into its programs, and its ledger. That is made for the task alone, in
// memory, and gone with it. Where its shares go through MPS the pipes of that
// are there, too, and its /dev/shm is the host's: so it is that the server of
// MPS meets its clients.
#pragma once

#include <string>

#include "actors/agent/keeper/step.hpp"
#include "actors/agent/keeper/types.hpp"

namespace reeve::keeper {

// Both run in a child that is alone in its address space.

// Trees of the host, detached; -1: the task has none of it.
struct ShareTrees {
  int library = -1;  // to be read only
  int mps = -1;
  int shared_memory = -1;  // the caller's to place
};

// While the host's paths are in sight.
StepResult clone_share(const TaskSpec& spec, ShareTrees& trees);
// Closes what it places. /dev must not be sealed yet.
StepResult place_share(const TaskSpec& spec, const ShareTrees& trees);

}  // namespace reeve::keeper

// What a task with a share of a GPU finds below /dev/reeve: the library that is
// loaded into its programs, and its ledger. That is made for the task alone, in
// memory, and gone with it.
#pragma once

#include <string>

#include "actors/agent/keeper/step.hpp"
#include "actors/agent/keeper/types.hpp"

namespace reeve::keeper {

// Both run in a child that is alone in its address space.

// clone_tree of the library, to be read only, while the host's paths are in
// sight.
int clone_share_library(const std::string& path);
// Closes `library`. /dev must not be sealed yet.
StepResult place_share(const TaskSpec& spec, int library);

}  // namespace reeve::keeper

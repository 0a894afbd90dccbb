// What this keeper may do, and the giving up of all that tasks must not have.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::keeper {

struct Privilege {
  bool user_mode = false;  // an ordinary user, in a user namespace of its own
  std::uint32_t uid = 0;   // in user mode: the only one tasks can have
  std::uint32_t gid = 0;
  bool reset_oom_score = false;     // tasks must not inherit the keeper's
  rlimit open_files{};              // as it was for us, and is to be for tasks
  std::vector<std::string> limits;  // what cannot be had, as sentences
};

// Called once, before anything else, by a process of one thread. Blocks all
// signals, raises our own limit of open files, enters a user namespace where
// we are not root, and gives up for all children what none of them may have:
// the bounding set of capabilities and new privileges through exec.
Expected<Privilege> settle_privilege();

}  // namespace reeve::keeper

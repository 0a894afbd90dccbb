// Which part of a start failed, and the errno: what a task's init can tell
// the keeper in a few bytes.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>

namespace reeve::keeper {

enum class Step : std::int32_t {
  none,
  fork,
  cgroup,
  root,  // entering the prepared root
  proc,
  tmp,
  device,
  share,  // the ledger and the library of a share of a GPU
  mps,    // the daemon that its shares go through
  workdir,
  limits,    // rlimits
  identity,  // uid, gid, groups
  filter,    // the filter of system calls
  command,   // finding and executing argv[0]
};

struct [[nodiscard]] StepResult {
  Step step = Step::none;
  int error = 0;
  bool ok() const { return step == Step::none; }
};

// What `errno` says of it.
inline StepResult failed(Step step) {
  return {step, errno};
}

// "entering the task's root: Operation not permitted"
std::string describe(StepResult failure);

}  // namespace reeve::keeper

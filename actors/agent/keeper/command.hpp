// The command of a task: its strings laid out beforehand, then one vfork whose
// child takes the user's identity and executes.
#pragma once

#include <string>
#include <vector>

#include "actors/agent/keeper/launch.hpp"

namespace reeve::keeper {

class Command {
 public:
  Command(const TaskSpec& spec, const std::string& workdir,
          const LaunchSetting& setting);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  struct Started {
    int pid = 0;
    StepResult failure;
  };
  // Returns when the command runs or could not be executed.
  Started start();

 private:
  // In the child, which may share this process's memory: plain calls only.
  [[noreturn]] void become(int failure_fd);
  StepResult take_identity() const;
  int execute();

  const TaskSpec& spec_;
  const LaunchSetting& setting_;
  std::string pwd_;
  std::vector<std::string> candidates_;  // where argv[0] may be
  std::vector<char*> argv_;
  std::vector<char*> script_argv_;  // for a file without an interpreter line
  std::vector<char*> env_;
};

// Paths to try for `name`, as execvp would.
std::vector<std::string> candidates_for(const std::string& name,
                                        const std::string& search_path);

}  // namespace reeve::keeper

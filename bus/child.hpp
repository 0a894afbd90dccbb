// One process of ours that may outlive us: started here, or found again by
// its pid and start time. Safe against reused pids: it is held by a pidfd.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bus/confinement.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// Names one process for as long as the machine is up.
struct ProcessIdentity {
  int pid = 0;
  std::uint64_t start_ticks = 0;  // from the machine's start to its own
  bool operator==(const ProcessIdentity&) const = default;
};

// Of what lives, or has ended and was not waited for.
std::optional<ProcessIdentity> process_identity(int pid);

// The text of /proc/PID/NAME; empty when the process is gone.
std::string proc_file(int pid, const char* name);

class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();  // lets it run

  // In a session of its own (a terminal's ^C does not reach it), with none of
  // our descriptors, output to `output` (replaced, mode 0600).
  static Expected<Child> spawn(const std::vector<std::string>& argv,
                               const std::filesystem::path& output);

  // The same, with no_new_privs and of our capabilities with `kept` alone.
  static Expected<Child> spawn_confined(const std::vector<std::string>& argv,
                                        const std::filesystem::path& output,
                                        Capabilities kept);

  // Errc::not_found unless that very process lives and has `argument` among
  // its arguments.
  static Expected<Child> find(const ProcessIdentity& identity,
                              const std::string& argument);

  bool valid() const { return pidfd_ >= 0; }
  const ProcessIdentity& identity() const { return identity_; }
  int pidfd() const { return pidfd_; }

  // True once it ended; waits for at most `timeout`.
  bool ended(std::chrono::milliseconds timeout);
  // "exit code 1", "signal 9", or how it ended is unknown.
  const std::string& how_it_ended() const { return how_; }
  // By a signal; for one of ours that has ended.
  bool was_killed() const { return killed_; }
  void signal(int number) const;
  // SIGTERM, and SIGKILL after `grace`. It has ended on return.
  void terminate(std::chrono::milliseconds grace);

 private:
  Child(ProcessIdentity identity, int pidfd)
      : identity_(identity), pidfd_(pidfd) {}

  ProcessIdentity identity_;
  int pidfd_ = -1;
  bool ended_ = false;
  bool killed_ = false;
  std::string how_;
};

// Path of `program`, looked for in PATH and in the system's sbin folders
// unless it has a slash; empty if there is none.
std::string find_program(const std::string& program);

}  // namespace reeve::bus

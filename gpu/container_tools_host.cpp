// Runs the container tools for their versions.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "gpu/container_tools.hpp"

extern char** environ;

namespace reeve::gpu {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a killed one may take to die.
constexpr milliseconds reap_within{500};

// With its output into `out` alone, as a process group of its own.
pid_t start(const std::string& program, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setpgroup(&how, 0);
  posix_spawnattr_setflags(&how,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::string path = program;
  std::string option = "--version";
  char* words[] = {path.data(), option.data(), nullptr};
  pid_t child = -1;
  if (::posix_spawn(&child, program.c_str(), &actions, &how, words, environ) !=
      0)
    child = -1;
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

// Until its end, the deadline or the bound.
std::string read_until(int file, Clock::time_point deadline) {
  std::string out;
  while (out.size() < tool_output_bytes_max) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    pollfd ready{file, POLLIN, 0};
    if (left.count() <= 0) return {};
    const int any = ::poll(&ready, 1, static_cast<int>(left.count()) + 1);
    if (any < 0 && errno == EINTR) continue;
    if (any <= 0) return {};
    char piece[1'024];
    const ssize_t got = ::read(file, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    out.append(piece, std::min(static_cast<std::size_t>(got),
                               tool_output_bytes_max - out.size()));
  }
  return out;
}

// Whether it ended well; nothing: it has not ended.
std::optional<bool> reap(pid_t child, Clock::time_point until) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (ended < 0 && errno != EINTR) return false;
    if (Clock::now() >= until) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(5));
  }
}

std::string output_of(const std::string& program, milliseconds deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const auto until = Clock::now() + deadline;
  const pid_t child = start(program, ends[1]);
  ::close(ends[1]);
  std::string out = child > 0 ? read_until(ends[0], until) : std::string();
  ::close(ends[0]);
  if (child <= 0) return {};
  if (const auto good = reap(child, until)) return *good ? out : std::string();
  ::kill(-child, SIGKILL);  // and what it has started
  (void)reap(child, Clock::now() + reap_within);
  return {};
}

}  // namespace

std::vector<ContainerTool> find_container_tools(
    const std::vector<std::string>& directories, milliseconds deadline) {
  std::vector<ContainerTool> found;
  for (const std::string_view name : container_tools)
    for (const std::string& directory : directories) {
      const std::string path = directory + '/' + std::string(name);
      if (::access(path.c_str(), X_OK) != 0) continue;
      found.push_back({path, output_of(path, deadline)});
      break;
    }
  return found;
}

}  // namespace reeve::gpu

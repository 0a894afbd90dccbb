#include "actors/agent/keeper/command.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "actors/agent/keeper/seccomp.hpp"

namespace reeve::keeper {
namespace {

constexpr const char* default_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

char* raw(const std::string& text) {
  return const_cast<char*>(text.c_str());
}

// An ignored signal stays ignored when a program is executed. The table of
// handlers is this process's own, even where the memory is its parent's. The
// two that the library keeps for itself are refused, and no matter.
void reset_signals() {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signo = 1; signo <= SIGRTMAX; ++signo) {
    if (signo == SIGKILL || signo == SIGSTOP) continue;
    ::sigaction(signo, &by_default, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Through a pipe, which a command that runs has closed: vfork may be a plain
// fork, as it is under the thread sanitizer, and then shares no memory.
[[noreturn]] void give_up(StepResult failure, int failure_fd) {
  (void)!::write(failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

}  // namespace

std::vector<std::string> candidates_for(const std::string& name,
                                        const std::string& search_path) {
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> paths;
  for (std::size_t at = 0; at <= search_path.size();) {
    auto end = std::min(search_path.find(':', at), search_path.size());
    auto directory = search_path.substr(at, end - at);
    paths.push_back((directory.empty() ? "." : directory) + "/" + name);
    at = end + 1;
  }
  return paths;
}

Command::Command(const TaskSpec& spec, const std::string& workdir,
                 const LaunchSetting& setting)
    : spec_(spec), setting_(setting), pwd_("PWD=" + workdir) {
  std::string search_path = default_path;
  for (const auto& entry : spec.env) {
    if (entry.starts_with("PATH=")) search_path = entry.substr(5);
    if (!entry.starts_with("PWD=")) env_.push_back(raw(entry));
  }
  env_.push_back(pwd_.data());
  env_.push_back(nullptr);
  candidates_ = candidates_for(spec.argv.front(), search_path);
  static std::string shell = "/bin/sh";
  script_argv_ = {shell.data(), nullptr};
  for (const auto& argument : spec.argv) argv_.push_back(raw(argument));
  script_argv_.insert(script_argv_.end(), argv_.begin() + 1, argv_.end());
  argv_.push_back(nullptr);
  script_argv_.push_back(nullptr);
}

StepResult Command::take_identity() const {
  if (setting_.user_mode) return {};
  // Straight to the kernel: this process shares its memory with its parent,
  // and the library's own calls keep books about threads.
  if (::syscall(SYS_setgroups, spec_.groups.size(), spec_.groups.data()) != 0 ||
      ::syscall(SYS_setresgid, spec_.gid, spec_.gid, spec_.gid) != 0 ||
      ::syscall(SYS_setresuid, spec_.uid, spec_.uid, spec_.uid) != 0) {
    return failed(Step::identity);
  }
  return {};
}

int Command::execute() {
  int error = ENOENT;
  for (const auto& path : candidates_) {
    ::execve(path.c_str(), argv_.data(), env_.data());
    if (errno == ENOEXEC) {
      script_argv_[1] = raw(path);
      ::execve(script_argv_[0], script_argv_.data(), env_.data());
    }
    if (errno == EACCES) error = EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return errno;
  }
  return error;
}

void Command::become(int failure_fd) {
  ::setsid();
  rlimit files = setting_.open_files;
  if (spec_.open_files_max > 0) {
    files.rlim_max = std::min<rlim_t>(spec_.open_files_max, files.rlim_max);
    files.rlim_cur = files.rlim_max;
  }
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) {
    give_up(failed(Step::limits), failure_fd);
  }
  if (auto taken = take_identity(); !taken.ok()) give_up(taken, failure_fd);
  if (int error = install_filter(setting_.filter)) {
    give_up({Step::filter, error}, failure_fd);
  }
  reset_signals();
  give_up({Step::command, execute()}, failure_fd);
}

Command::Started Command::start() {
  int failure[2];
  if (::pipe2(failure, O_CLOEXEC) != 0) return {0, failed(Step::fork)};
  Fd failure_read(failure[0]), failure_write(failure[1]);
  int pid = ::vfork();
  if (pid == 0) become(failure[1]);
  if (pid < 0) return {0, failed(Step::fork)};
  failure_write.reset();
  StepResult said;
  ssize_t got = 0;
  while ((got = ::read(failure[0], &said, sizeof said)) < 0 && errno == EINTR) {
  }
  if (got != static_cast<ssize_t>(sizeof said)) return {pid, {}};
  ::waitpid(pid, nullptr, 0);
  return {0, said};
}

}  // namespace reeve::keeper

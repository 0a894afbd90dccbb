#include "bus/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "cluster/process_stat.hpp"

namespace reeve::bus {
namespace {

int pidfd_open(int pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

bool has_argument(int pid, const std::string& argument) {
  const std::string all = '\0' + proc_file(pid, "cmdline");
  return all.find('\0' + argument + '\0') != std::string::npos;
}

extern "C" char** environ;

}  // namespace

std::string proc_file(int pid, const char* name) {
  std::ifstream in(fmt::format("/proc/{}/{}", pid, name), std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();  // of one that ends meanwhile: nothing, where others throw
  return out.str();
}

std::optional<ProcessIdentity> process_identity(int pid) {
  const std::string text = proc_file(pid, "stat");
  const auto stat = cluster::process_stat(text);
  if (!stat) return std::nullopt;
  return ProcessIdentity{pid, stat->start_ticks};
}

Child::Child(Child&& other) noexcept {
  *this = std::move(other);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  if (pidfd_ >= 0) ::close(pidfd_);
  identity_ = std::exchange(other.identity_, {});
  pidfd_ = std::exchange(other.pidfd_, -1);
  ended_ = other.ended_;
  killed_ = other.killed_;
  how_ = std::move(other.how_);
  return *this;
}

Child::~Child() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

Expected<Child> Child::spawn(const std::vector<std::string>& argv,
                             const std::filesystem::path& output) {
  std::vector<char*> arguments;
  for (const std::string& one : argv)
    arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                     POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, argv.front().c_str(), &files, &how,
                                  arguments.data(), environ);
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    return fail(Errc::io, fmt::format("start {}: {}", argv.front(),
                                      std::strerror(error)));
  const int pidfd = pidfd_open(pid);
  if (pidfd < 0)
    return fail(Errc::io, fmt::format("pidfd of {} ({}): {}", argv.front(), pid,
                                      std::strerror(errno)));
  // It is our child and not waited for: the pid cannot be another's.
  return Child(process_identity(pid).value_or(ProcessIdentity{pid, 0}), pidfd);
}

// Each thread has rights of its own, and a process begins with those of the
// thread that starts it: so there is nothing to do between fork and exec. What
// the child opens before exec it opens with ours.
Expected<Child> Child::spawn_confined(const std::vector<std::string>& argv,
                                      const std::filesystem::path& output,
                                      Capabilities kept) {
  Expected<Child> made{Child()};
  try {
    std::thread([&] {
      confine_thread(kept);
      made = spawn(argv, output);
    }).join();
  } catch (const std::system_error& none) {
    return fail(Errc::io, fmt::format("start {}: no thread for it: {}",
                                      argv.front(), none.what()));
  }
  return made;
}

Expected<Child> Child::find(const ProcessIdentity& identity,
                            const std::string& argument) {
  const auto gone = [&] {
    return fail(Errc::not_found,
                fmt::format("process {} is gone", identity.pid));
  };
  if (identity.pid <= 0) return gone();
  const int pidfd = pidfd_open(identity.pid);
  if (pidfd < 0) return gone();
  Child child(identity, pidfd);
  // The pidfd holds the process that these describe, if they still match.
  if (process_identity(identity.pid) != identity ||
      !has_argument(identity.pid, argument) ||
      child.ended(std::chrono::milliseconds(0)))
    return gone();
  return child;
}

bool Child::ended(std::chrono::milliseconds timeout) {
  if (ended_ || pidfd_ < 0) return true;
  pollfd watch{pidfd_, POLLIN, 0};
  if (::poll(&watch, 1, static_cast<int>(timeout.count())) <= 0) return false;
  ended_ = true;
  siginfo_t info{};
  const auto by_pidfd = static_cast<idtype_t>(P_PIDFD);
  if (::waitid(by_pidfd, static_cast<id_t>(pidfd_), &info, WEXITED | WNOHANG) !=
          0 ||
      info.si_pid == 0) {
    how_ = "how it ended is unknown";
  } else if (info.si_code == CLD_EXITED) {
    how_ = fmt::format("exit code {}", info.si_status);
  } else {
    how_ = fmt::format("signal {}", info.si_status);
    killed_ = true;
  }
  return true;
}

void Child::signal(int number) const {
  if (pidfd_ >= 0) ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0);
}

void Child::terminate(std::chrono::milliseconds grace) {
  if (ended(std::chrono::milliseconds(0))) return;
  signal(SIGTERM);
  if (ended(grace)) return;
  signal(SIGKILL);
  ended(std::chrono::hours(1));
}

std::string find_program(const std::string& program) {
  if (program.find('/') != std::string::npos)
    return ::access(program.c_str(), X_OK) == 0 ? program : std::string();
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string(path ? path : "") +
                             ":/usr/sbin:/usr/local/sbin:/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + program;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

}  // namespace reeve::bus

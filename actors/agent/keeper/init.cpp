#include "actors/agent/keeper/init.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "actors/agent/keeper/command.hpp"
#include "actors/agent/keeper/gpu_share.hpp"
#include "actors/agent/keeper/sandbox.hpp"

namespace reeve::keeper {
namespace {

constexpr int report_slot = 3;  // after stdin, stdout and stderr

struct Workdir {
  int tree = -1;     // to be moved to `path`; -1: only go there
  std::string path;  // as the task will see it
  int reason = 0;    // why it is not the one that was asked for
};

// Directories whose place in the task is taken by something of its own.
bool only_to_visit(const std::string& path) {
  for (std::string_view fixed : {"/", "/tmp", "/dev", "/proc", "/sys"}) {
    if (path == fixed) return true;
  }
  for (std::string_view tree : {"/dev/", "/proc/", "/sys/"}) {
    if (path.starts_with(tree)) return true;
  }
  return false;
}

std::string path_of(int fd) {
  char path[PATH_MAX];
  auto link = "/proc/self/fd/" + std::to_string(fd);
  auto size = ::readlink(link.c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "/";
}

// Opens a directory and finds its path without links. Most are given so, and
// asking the kernel costs an entry in /proc for each process.
int open_directory(const std::string& given, std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  auto fd = static_cast<int>(
      ::syscall(SYS_openat2, AT_FDCWD, given.c_str(), &how, sizeof how));
  bool plain = given.starts_with('/') && given.find("//") == given.npos &&
               given.find("/.") == given.npos &&
               (given.size() == 1 || given.back() != '/');
  if (fd >= 0 && plain) {
    path = given;
    return fd;
  }
  if (fd < 0) fd = ::open(given.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) path = path_of(fd);
  return fd;
}

// The caller's rights decide whether a path may be entered: look at it with
// the user's file system identity.
int open_as_user(const TaskSpec& spec, const LaunchSetting& setting,
                 std::string& path) {
  bool change = !setting.user_mode;
  if (change) {
    ::syscall(SYS_setgroups, spec.groups.size(), spec.groups.data());
    ::setfsgid(spec.gid);
    ::setfsuid(spec.uid);
  }
  int fd = open_directory(spec.workdir, path);
  int error = errno;
  if (fd >= 0 && ::syscall(SYS_faccessat2, fd, "", X_OK,
                           AT_EMPTY_PATH | AT_EACCESS) != 0) {
    error = errno;
    ::close(fd);
    fd = -1;
  }
  if (change) {
    ::setfsuid(0);
    ::setfsgid(0);
  }
  errno = error;
  return fd;
}

bool is_hidden(const LaunchSetting& setting, const std::string& path) {
  for (const auto& hidden : setting.hidden) {
    if (is_within(path, hidden)) return true;
  }
  return false;
}

StepResult prepare_scratch(const LaunchSetting& setting,
                           const LaunchOrder& order, Workdir& workdir) {
  const auto& path = order.scratch;
  if (!make_directories(path)) return failed(Step::workdir);
  if (!setting.user_mode &&
      (::chown(path.c_str(), order.spec.uid, order.spec.gid) != 0 ||
       ::chmod(path.c_str(), 0700) != 0)) {
    return failed(Step::workdir);
  }
  workdir.tree = clone_tree(AT_FDCWD, path.c_str());
  if (workdir.tree < 0) return failed(Step::workdir);
  workdir.path = scratch_path;
  return {};
}

// Before entering the task's root: the host's paths are still in sight.
StepResult find_workdir(const LaunchSetting& setting, const LaunchOrder& order,
                        Workdir& workdir) {
  const auto& spec = order.spec;
  if (!spec.workdir.empty()) {
    int fd = open_as_user(spec, setting, workdir.path);
    if (fd >= 0 && is_hidden(setting, workdir.path)) {
      ::close(fd);
      fd = -1;
      errno = EACCES;
    }
    if (fd >= 0) {
      if (!only_to_visit(workdir.path)) {
        workdir.tree = clone_tree(fd, "");
        if (workdir.tree < 0) return failed(Step::workdir);
      }
      ::close(fd);
      return {};
    }
    workdir.reason = errno;
    if (!spec.workdir_optional) return {Step::workdir, workdir.reason};
  }
  return prepare_scratch(setting, order, workdir);
}

StepResult enter_workdir(const LaunchSetting& setting, Workdir& workdir) {
  if (workdir.tree >= 0) {
    if (workdir.path.starts_with("/tmp/")) {
      if (!make_directories(workdir.path)) return failed(Step::workdir);
    }
    if (forbid_devices(workdir.tree) != 0 ||
        move_tree(workdir.tree, workdir.path.c_str()) != 0) {
      return failed(Step::workdir);
    }
    ::close(workdir.tree);
    // The tree came from the host, where nothing is covered.
    for (const auto& hidden : setting.hidden) {
      if (is_within(hidden, workdir.path) && hide(hidden) != 0) {
        return failed(Step::workdir);
      }
    }
  }
  if (::chdir(workdir.path.c_str()) != 0) return failed(Step::workdir);
  return {};
}

// `shared_memory`: a tree for /dev/shm; -1: it gets its own.
StepResult mount_own(const TaskSpec& spec, const LaunchSetting& setting,
                     int shared_memory) {
  // The kernel lets uid 0 write to /proc/sys without any capability. CUDA does
  // not start where it cannot name its threads in /proc; sealing it entry by
  // entry costs 0.1 ms, so only who has a device gets that.
  const bool guarded = spec.uid == 0 && !setting.user_mode;
  const bool by_entry = guarded && !spec.device_paths.empty();
  constexpr unsigned long strict = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("proc", "/proc", "proc",
              strict | (guarded && !by_entry ? MS_RDONLY : 0), nullptr) != 0) {
    return failed(Step::proc);
  }
  if (by_entry) {
    if (auto step = seal_proc(); !step.ok()) return step;
  }
  if (::mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
    return failed(Step::tmp);
  }
  if (Fd given(shared_memory); given) {
    return move_tree(given.get(), "/dev/shm") == 0 ? StepResult{}
                                                   : failed(Step::share);
  }
  return ::mount("shm", "/dev/shm", "tmpfs", strict, "mode=1777") == 0
             ? StepResult{}
             : failed(Step::tmp);
}

// The /dev of the template has nothing that was granted.
bool needs_own_dev(const TaskSpec& spec) {
  return !spec.device_paths.empty() || !spec.share_library.empty();
}

StepResult clone_devices(const TaskSpec& spec, std::vector<int>& trees) {
  auto step = clone_standard_nodes(trees);
  for (const auto& path : spec.device_paths) {
    if (!step.ok()) return step;
    int tree = clone_tree(AT_FDCWD, path.c_str());
    if (tree < 0) return failed(Step::device);
    trees.push_back(tree);
  }
  return step;
}

// What its own /dev is made of; to be taken from the host's.
struct Granted {
  std::vector<int> devices;
  ShareTrees share;
};

StepResult clone_granted(const TaskSpec& spec, Granted& granted) {
  if (!needs_own_dev(spec)) return {};
  auto step = clone_devices(spec, granted.devices);
  if (!step.ok() || spec.share_library.empty()) return step;
  return clone_share(spec, granted.share);
}

StepResult place_granted(const TaskSpec& spec, const Granted& granted) {
  if (!needs_own_dev(spec)) return {};
  auto step = make_dev(granted.devices, spec.device_paths);
  if (step.ok() && !spec.share_library.empty()) {
    step = place_share(spec, granted.share);
  }
  return step.ok() ? seal_dev() : step;
}

StepResult enter_groups(const std::vector<std::string>& entries) {
  for (const auto& entry : entries) {
    int fd = ::open(entry.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "0", 1) != 1) return failed(Step::cgroup);
    ::close(fd);
  }
  return {};
}

StepResult enter_root(const LaunchSetting& setting, const LaunchOrder& order,
                      int mounts_fd, Workdir& workdir) {
  const auto& spec = order.spec;
  auto step = find_workdir(setting, order, workdir);
  if (!step.ok()) return step;
  Granted granted;
  step = clone_granted(spec, granted);
  if (!step.ok()) return step;
  if (::setns(mounts_fd, CLONE_NEWNS) != 0 || ::unshare(CLONE_NEWNS) != 0) {
    return failed(Step::root);
  }
  step = place_granted(spec, granted);
  if (step.ok()) step = mount_own(spec, setting, granted.share.shared_memory);
  if (!step.ok()) return step;
  return enter_workdir(setting, workdir);
}

void report(const Report& what) {
  auto wrote = ::write(report_slot, &what, sizeof what);
  // Nobody listens any more: the keeper is gone, and so must the task be.
  if (wrote != static_cast<ssize_t>(sizeof what)) ::_exit(1);
}

// What an init holds beside stdin, stdout, stderr and the report pipe, until
// its command is started.
struct Held {
  int mounts = -1;  // the namespace to enter
  int order = -1;
};

// Nothing else of the keeper is inherited.
Held settle_descriptors(const LaunchSetting& setting, InitPipes pipes) {
  constexpr int spare = 10;  // above all the slots, below nothing in use
  int moved[] = {::fcntl(setting.null_fd, F_DUPFD_CLOEXEC, spare),
                 ::fcntl(pipes.out, F_DUPFD_CLOEXEC, spare),
                 ::fcntl(pipes.err, F_DUPFD_CLOEXEC, spare),
                 ::fcntl(setting.report_fd, F_DUPFD_CLOEXEC, spare),
                 ::fcntl(setting.mounts_fd, F_DUPFD_CLOEXEC, spare),
                 ::fcntl(pipes.order, F_DUPFD_CLOEXEC, spare)};
  constexpr int count = sizeof moved / sizeof *moved;
  for (int slot = 0; slot < report_slot; ++slot) ::dup2(moved[slot], slot);
  for (int slot = report_slot; slot < count; ++slot) {
    ::dup3(moved[slot], slot, O_CLOEXEC);
  }
  ::syscall(SYS_close_range, count, ~0u, 0);
  return {report_slot + 1, report_slot + 2};
}

// Waits for the order; the keeper closes the pipe to say that there is none,
// and so does its death.
LaunchOrder await_order(int order_fd, const char* page) {
  std::uint32_t size = 0;
  ssize_t got = 0;
  while ((got = ::read(order_fd, &size, sizeof size)) < 0 && errno == EINTR) {
  }
  LaunchOrder order;
  if (got != static_cast<ssize_t>(sizeof size) ||
      !decode({page, size}, order)) {
    ::_exit(0);
  }
  ::close(order_fd);
  return order;
}

// Kills and reaps what the command has left behind, tells how it ended, and
// ends. What the kernel has to clean up after that keeps nobody waiting.
[[noreturn]] void finish(TaskKey key, int status) {
  int pid = 0;
  while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
  }
  if (pid == 0) {
    ::kill(-1, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
  }
  rusage own{};
  rusage tree{};
  ::getrusage(RUSAGE_SELF, &own);
  ::getrusage(RUSAGE_CHILDREN, &tree);
  constexpr std::uint64_t kib = 1024;
  report({key, Report::Kind::exited, status, 0,
          cpu_ns_of(own) + cpu_ns_of(tree),
          static_cast<std::uint64_t>(tree.ru_maxrss) * kib});
  ::_exit(0);
}

[[noreturn]] void serve(TaskKey key, int command) {
  sigset_t all;
  sigfillset(&all);
  for (;;) {
    siginfo_t info{};
    int signo = ::sigwaitinfo(&all, &info);
    if (signo == pass_on_signal()) {
      ::kill(-command, info.si_value.sival_int);
    }
    if (signo != SIGCHLD) continue;
    int status = 0;
    for (int pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == command) finish(key, status);
    }
  }
}

}  // namespace

int pass_on_signal() {
  return SIGRTMIN;
}

void run_init(const LaunchSetting& setting,
              const std::vector<std::string>& cgroup_entries, InitPipes pipes,
              const char* page) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, init_name);
  auto held = settle_descriptors(setting, pipes);
  ::umask(022);
  // Tasks are scheduled as any other process, unlike the keeper.
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_OTHER, &none);
  if (setting.reset_oom_score) {
    (void)write_kernel_file("/proc/self/oom_score_adj", "0");
  }
  auto step = enter_groups(cgroup_entries);
  const LaunchOrder order = await_order(held.order, page);
  const auto& key = order.spec.key;
  Workdir workdir;
  if (step.ok()) step = enter_root(setting, order, held.mounts, workdir);
  // Looking with the user's identity clears the first; the second keeps the
  // task's processes from looking into this one.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::close(held.mounts);
  if (step.ok()) {
    Command command(order.spec, workdir.path, setting);
    auto started = command.start();
    if (started.failure.ok()) {
      bool elsewhere = workdir.reason != 0;
      report({key, Report::Kind::started, elsewhere, workdir.reason});
      serve(key, started.pid);
    }
    step = started.failure;
  }
  report({key, Report::Kind::failed, static_cast<std::int32_t>(step.step),
          step.error});
  ::_exit(1);
}

}  // namespace reeve::keeper

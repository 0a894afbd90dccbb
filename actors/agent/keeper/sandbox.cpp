#include "actors/agent/keeper/sandbox.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

namespace reeve::keeper {
namespace {

constexpr const char* standard_nodes[] = {"null",   "zero",    "full",
                                          "random", "urandom", "tty"};

int set_attributes(int directory, const char* path, std::uint64_t attributes) {
  mount_attr attr{};
  attr.attr_set = attributes;
  unsigned flags = AT_RECURSIVE;
  if (*path == '\0') flags |= AT_EMPTY_PATH;
  return ::mount_setattr(directory, path, flags, &attr, sizeof attr);
}

StepResult enter_own_copy_of_root() {
  int root = clone_tree(AT_FDCWD, "/");
  if (root < 0) return failed(Step::root);
  if (::unshare(CLONE_NEWNS) != 0) return failed(Step::root);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return failed(Step::root);
  }
  // Any directory will do to stand on while the roots are exchanged.
  if (move_tree(root, "/proc") != 0 || ::fchdir(root) != 0 ||
      ::mount(nullptr, ".", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return failed(Step::root);
  }
  ::close(root);
  return {};
}

// In a chroot of a plain directory it is not, and cannot be exchanged.
bool root_is_a_mount() {
  auto table = read_file("/proc/self/mountinfo");
  if (!table) return true;
  std::istringstream lines(*table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, inner, point;
    fields >> id >> parent >> device >> inner >> point;
    if (point == "/") return true;
  }
  return false;
}

StepResult build_template(const std::vector<std::string>& hidden) {
  std::vector<int> nodes;
  auto step = clone_standard_nodes(nodes);
  if (!step.ok()) return step;
  step = enter_own_copy_of_root();
  if (!step.ok()) return step;
  // Fewer mounts are faster to copy. As an ordinary user they are locked in
  // place and get covered instead.
  (void)::umount2("/proc", MNT_DETACH);
  (void)::umount2("/dev", MNT_DETACH);
  if (set_attributes(
          AT_FDCWD, "/",
          MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) != 0) {
    return failed(Step::root);
  }
  step = make_dev(nodes, {});
  if (step.ok()) step = seal_dev();
  if (!step.ok()) return step;
  for (const auto& path : hidden) {
    if (hide(path) != 0) return failed(Step::root);
  }
  return {};
}

}  // namespace

std::string describe(StepResult failure) {
  const char* what = "starting";
  switch (failure.step) {
    case Step::none: return "nothing failed";
    case Step::fork: what = "making the process and its namespaces"; break;
    case Step::cgroup: what = "entering the control group"; break;
    case Step::root: what = "entering the task's root"; break;
    case Step::proc: what = "mounting /proc"; break;
    case Step::tmp: what = "mounting /tmp"; break;
    case Step::device: what = "placing the device nodes"; break;
    case Step::share: what = "placing what a share of a GPU needs"; break;
    case Step::mps:
      what = "looking for the control daemon of MPS (agent.gpu_mps_dir)";
      break;
    case Step::workdir: what = "entering the working directory"; break;
    case Step::limits: what = "setting resource limits"; break;
    case Step::identity: what = "taking the user's identity"; break;
    case Step::filter: what = "installing the filter of system calls"; break;
    case Step::command: what = "executing the command"; break;
  }
  return std::string(what) + ": " + std::strerror(failure.error);
}

int hide(const std::string& path) {
  int made = ::mount("none", path.c_str(), "tmpfs",
                     MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     "size=4k,nr_inodes=2,mode=000");
  return made != 0 && errno == ENOENT ? 0 : made;
}

bool is_within(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

bool make_directories(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT) return false;
  auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return false;
  return make_directories(path.substr(0, slash)) &&
         (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST);
}

bool make_mount_file(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash != 0 && !make_directories(path.substr(0, slash))) return false;
  int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

int clone_tree(int directory, const char* path) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  if (*path == '\0') flags |= AT_EMPTY_PATH;
  return ::open_tree(directory, path, flags);
}

int move_tree(int tree, const char* target) {
  return ::move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

int forbid_devices(int tree) {
  return set_attributes(tree, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

StepResult clone_standard_nodes(std::vector<int>& trees) {
  for (const auto* name : standard_nodes) {
    int tree = clone_tree(AT_FDCWD, (std::string("/dev/") + name).c_str());
    if (tree < 0) return failed(Step::device);
    trees.push_back(tree);
  }
  return {};
}

StepResult make_dev(const std::vector<int>& trees,
                    const std::vector<std::string>& devices) {
  if (::mount("dev", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC,
              "size=64k,mode=755") != 0) {
    return failed(Step::device);
  }
  std::size_t next = 0;
  auto place = [&](const std::string& path) {
    int tree = trees[next++];
    bool placed = make_mount_file(path) && move_tree(tree, path.c_str()) == 0;
    int error = errno;
    ::close(tree);
    errno = error;
    return placed;
  };
  for (const auto* name : standard_nodes) {
    if (!place(std::string("/dev/") + name)) return failed(Step::device);
  }
  for (const auto& path : devices) {
    if (!place(path)) return failed(Step::device);
  }
  if (::mkdir("/dev/pts", 0755) != 0 || ::mkdir("/dev/shm", 0755) != 0 ||
      ::symlink("pts/ptmx", "/dev/ptmx") != 0 ||
      ::symlink("/proc/self/fd", "/dev/fd") != 0 ||
      ::symlink("/proc/self/fd/0", "/dev/stdin") != 0 ||
      ::symlink("/proc/self/fd/1", "/dev/stdout") != 0 ||
      ::symlink("/proc/self/fd/2", "/dev/stderr") != 0 ||
      ::mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=620") != 0) {
    return failed(Step::device);
  }
  return {};
}

StepResult seal_proc() {
  DIR* entries = ::opendir("/proc");
  if (!entries) return failed(Step::proc);
  StepResult step;
  while (const auto* entry = step.ok() ? ::readdir(entries) : nullptr) {
    const char first = entry->d_name[0];
    const std::string path = std::string("/proc/") + entry->d_name;
    struct stat info {};
    if (first == '.' || (first >= '0' && first <= '9') ||
        ::lstat(path.c_str(), &info) != 0 || S_ISLNK(info.st_mode)) {
      continue;
    }
    if (!S_ISDIR(info.st_mode) && (info.st_mode & 0222) == 0) continue;
    const int tree = clone_tree(AT_FDCWD, path.c_str());
    if (tree < 0 || set_attributes(tree, "", MOUNT_ATTR_RDONLY) != 0 ||
        move_tree(tree, path.c_str()) != 0) {
      step = failed(Step::proc);
    }
    if (tree >= 0) ::close(tree);
  }
  ::closedir(entries);
  return step;
}

StepResult seal_dev() {
  mount_attr read_only{};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, "/dev", 0, &read_only, sizeof read_only) != 0) {
    return failed(Step::device);
  }
  return {};
}

RootTemplate::RootTemplate(std::vector<std::string> hidden)
    : hidden_(std::move(hidden)),
      mountinfo_(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)) {}

bool RootTemplate::host_mounts_changed() {
  // The kernel flags the file once for each change of the table of mounts.
  pollfd watched{mountinfo_.get(), POLLPRI, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & POLLPRI) != 0;
}

Expected<int> RootTemplate::current() {
  if (host_mounts_changed()) outdated_ = true;
  if (outdated_) {
    auto built = build();
    if (!built) return tl::unexpected(built.error());
    outdated_ = false;
  }
  return mounts_.get();
}

Status RootTemplate::build() {
  int report[2];
  int hold[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  Fd report_read(report[0]), report_write(report[1]);
  if (::pipe2(hold, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  Fd hold_read(hold[0]), hold_write(hold[1]);
  int pid = ::fork();
  if (pid < 0) return tl::unexpected(system_error("forking", errno));
  if (pid == 0) {
    hold_write.reset();
    auto result = build_template(hidden_);
    (void)!::write(report_write.get(), &result, sizeof result);
    char byte;
    (void)!::read(hold_read.get(), &byte, 1);  // until the keeper has it
    ::_exit(0);
  }
  report_write.reset();
  StepResult result{Step::root, EIO};
  while (::read(report_read.get(), &result, sizeof result) < 0 &&
         errno == EINTR) {
  }
  Fd built;
  if (result.ok()) {
    auto path = "/proc/" + std::to_string(pid) + "/ns/mnt";
    built.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!built) result = failed(Step::root);
  }
  hold_write.reset();
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!result.ok()) {
    std::string text =
        "the root of tasks cannot be prepared: " + describe(result);
    if (result.step == Step::root && result.error == EINVAL &&
        !root_is_a_mount()) {
      text +=
          "; this is a chroot, and its root is no mount: bind the directory "
          "onto itself (mount --bind DIR DIR) before entering it";
    }
    return fail(Errc::unsupported, text);
  }
  mounts_ = std::move(built);
  return {};
}

}  // namespace reeve::keeper

#include "actors/agent/keeper/cgroup.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/check.hpp"
#include "cluster/process_stat.hpp"

namespace reeve::keeper {
namespace {

constexpr std::uint64_t cpu_period_us = 100'000;
constexpr const char* devices_controller = "devices";

std::vector<std::string> child_directories(const std::string& parent) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(parent.c_str());
  if (!dir) return names;
  while (auto* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) {
      names.emplace_back(parent + "/" + entry->d_name);
    }
  }
  ::closedir(dir);
  return names;
}

std::vector<int> members(const std::string& group) {
  std::vector<int> pids;
  auto text = read_file(group + "/cgroup.procs").value_or("");
  for (std::size_t at = 0; at < text.size();) {
    pids.push_back(
        static_cast<int>(to_number(std::string_view(text).substr(at))));
    at = text.find('\n', at);
    if (at == std::string::npos) break;
    ++at;
  }
  std::erase(pids, 0);
  return pids;
}

void kill_members(const std::string& group) {
  for (int pid : members(group)) {
    if (pid != ::getpid()) ::kill(pid, SIGKILL);
  }
}

// Removes the groups below `parent` and itself; kills what is in them.
void clear_groups(const std::string& parent) {
  constexpr int tries_max = 200;  // two seconds for the killed to go
  for (int tries = 0; tries < tries_max; ++tries) {
    bool left = false;
    for (const auto& group : child_directories(parent)) {
      kill_members(group);
      if (::rmdir(group.c_str()) != 0 && errno == EBUSY) left = true;
    }
    kill_members(parent);
    if (!left && (::rmdir(parent.c_str()) == 0 || errno != EBUSY)) return;
    ::poll(nullptr, 0, 10);
  }
}

int parent_of(int pid) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
  const auto stat = cluster::process_stat(text);
  return stat ? stat->parent : 0;
}

// One that is neither this keeper, nor the daemon that started it, nor a child
// of that; 0: none.
int first_foreign(const std::vector<int>& pids, int daemon) {
  for (int pid : pids) {
    if (pid == ::getpid() || pid == daemon) continue;
    if (daemon > 1 && parent_of(pid) == daemon) continue;
    return pid;
  }
  return 0;
}

// v2 gives limits only to groups without processes above them. When all in
// our group are ours, they may move to a leaf; anybody else's process may not
// be touched.
Status move_to_leaf(const std::string& own, int daemon) {
  auto pids = members(own);
  if (pids.empty()) return {};
  if (int pid = first_foreign(pids, daemon); pid != 0) {
    return fail(Errc::unsupported,
                "process " + std::to_string(pid) + " in " + own +
                    " is not ours; run the daemon in a group of its own "
                    "(systemd: Delegate=yes)");
  }
  auto leaf = own + daemon_leaf;
  ::mkdir(leaf.c_str(), 0755);
  for (int pid : pids) {
    auto moved = write_kernel_file(leaf + "/cgroup.procs", std::to_string(pid));
    if (!moved) return moved;
  }
  return {};
}

Status enable(const std::string& directory, const char* controller) {
  auto file = directory + "/cgroup.subtree_control";
  if (lists(read_file(file).value_or(""), controller, ' ')) return {};
  return write_kernel_file(file, std::string("+") + controller);
}

const char* consequence(std::string_view controller) {
  if (controller == "memory") {
    return "memory limits are not enforced and peak memory is not known";
  }
  if (controller == "pids") return "the number of processes is not limited";
  if (controller == devices_controller) {
    return "which devices a task may open is limited by its /dev alone";
  }
  return "cpu limits are not enforced";
}

}  // namespace

CgroupPool::CgroupPool(CgroupLayout layout, std::string name, int daemon_pid)
    : layout_(std::move(layout)),
      name_(std::move(name)),
      daemon_pid_(daemon_pid) {
  leave_shared_group();
  open_controller("memory", layout_.memory, memory_);
  open_controller("pids", layout_.pids, pids_);
  open_controller("cpu", layout_.cpu, cpu_);
  open_controller(devices_controller, layout_.devices, devices_);
}

void CgroupPool::leave_shared_group() {
  const auto& own = layout_.v2_own;
  const auto& root = layout_.v2_root;
  if (root.empty() || own.empty() || own == root ||
      first_foreign(members(own), daemon_pid_) == 0 ||
      ::access((root + "/cgroup.subtree_control").c_str(), W_OK) != 0) {
    return;
  }
  auto offered = read_file(root + "/cgroup.controllers").value_or("");
  auto move = [&](const char* name, CgroupLayout::Place& place) {
    bool elsewhere = !place.directory.empty() && !place.v2;
    if (!elsewhere && lists(offered, name, ' ')) place = {root, true};
  };
  move("memory", layout_.memory);
  move("pids", layout_.pids);
  move("cpu", layout_.cpu);
  if (layout_.devices.v2) layout_.devices.directory = root;
}

void CgroupPool::open_controller(const char* controller,
                                 const CgroupLayout::Place& place,
                                 std::string& parent) {
  std::string why = "the host has no " + std::string(controller) +
                    " controller of control groups";
  if (!place.directory.empty()) {
    auto base = place.directory + "/" + name_;
    auto made = make_parent(controller, place, base);
    if (made) {
      parent = base;
      return;
    }
    why = made.error().text;
  }
  limits_.push_back(std::string(consequence(controller)) + ": " + why);
}

Status CgroupPool::make_parent(const std::string& controller,
                               const CgroupLayout::Place& place,
                               const std::string& base) {
  auto known = parents();
  bool made = std::find(known.begin(), known.end(), base) != known.end();
  if (!made) clear_groups(base);
  bool enabled = place.v2 && controller != devices_controller;
  Status status;
  if (enabled) {
    // Some controllers may be given on beside processes, and no process may
    // enter what is below then.
    if (place.directory != layout_.v2_root) {
      status = move_to_leaf(place.directory, daemon_pid_);
    }
    if (status) status = enable(place.directory, controller.c_str());
  }
  if (status && !made && ::mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) {
    status = tl::unexpected(system_error("making " + base, errno));
  }
  if (status && enabled) status = enable(base, controller.c_str());
  if (!status || controller != devices_controller) return status;
  auto guard = DeviceGuard::open(base, place.v2);
  if (guard) {
    guard_.emplace(std::move(*guard));
    return {};
  }
  if (!made) ::rmdir(base.c_str());
  return tl::unexpected(guard.error());
}

CgroupPool::~CgroupPool() {
  for (auto& group : groups_) {
    if (group.peak_fd >= 0) ::close(group.peak_fd);
  }
  for (const auto& parent : parents()) clear_groups(parent);
}

std::vector<std::string> CgroupPool::parents() const {
  std::vector<std::string> all;
  for (const auto& parent : {memory_, pids_, cpu_, devices_}) {
    if (!parent.empty() &&
        std::find(all.begin(), all.end(), parent) == all.end()) {
      all.push_back(parent);
    }
  }
  return all;
}

std::string CgroupPool::path(const std::string& parent, int group) const {
  return parent + "/t" + std::to_string(group);
}

std::vector<std::string> CgroupPool::entries(int group) const {
  std::vector<std::string> files;
  for (const auto& parent : parents()) {
    files.push_back(path(parent, group) + "/cgroup.procs");
  }
  return files;
}

Expected<int> CgroupPool::make_group() {
  int group = 0;
  if (!unmade_.empty()) {
    group = unmade_.back();
    unmade_.pop_back();
  } else {
    group = static_cast<int>(groups_.size());
    groups_.emplace_back();
  }
  groups_[static_cast<std::size_t>(group)] = Group{};
  for (const auto& parent : parents()) {
    auto directory = path(parent, group);
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
      auto error = system_error("making " + directory, errno);
      remove_group(group);
      unmade_.push_back(group);
      return tl::unexpected(error);
    }
  }
  return group;
}

bool CgroupPool::remove_group(int group) {
  bool gone = true;
  for (const auto& parent : parents()) {
    if (::rmdir(path(parent, group).c_str()) != 0 && errno != ENOENT) {
      gone = false;
    }
  }
  return gone;
}

Expected<int> CgroupPool::take(const CgroupLimits& limits) {
  std::erase_if(doomed_, [&](int group) {
    if (!remove_group(group)) return false;
    unmade_.push_back(group);
    return true;
  });
  int group = -1;
  for (auto at = idle_.rbegin(); at != idle_.rend(); ++at) {
    if (groups_[static_cast<std::size_t>(*at)].limits == limits) {
      group = *at;
      break;
    }
  }
  if (group < 0 && !idle_.empty()) group = idle_.back();
  if (group >= 0) {
    std::erase(idle_, group);
  } else {
    auto made = make_group();
    if (!made) return made;
    group = *made;
  }
  auto written = write_limits(group, limits);
  if (!written) {
    doomed_.push_back(group);
    return tl::unexpected(written.error());
  }
  groups_[static_cast<std::size_t>(group)].used = true;
  begin_accounts(group);
  return group;
}

Status CgroupPool::limit(int group, const CgroupLimits& limits) {
  auto written = write_limits(group, limits);
  if (written) begin_accounts(group);
  return written;
}

Status CgroupPool::write_memory(int group, std::uint64_t memory_bytes) {
  if (memory_.empty()) return {};
  auto directory = path(memory_, group);
  auto text = std::to_string(memory_bytes);
  if (layout_.memory.v2) {
    auto value = memory_bytes ? text : "max";
    auto status = write_kernel_file(directory + "/memory.max", value);
    // A host without swap accounting has no such file; it has no swap to
    // escape to either, or says so by the missing file.
    (void)write_kernel_file(directory + "/memory.swap.max",
                            memory_bytes ? "0" : "max");
    (void)write_kernel_file(directory + "/memory.oom.group",
                            memory_bytes ? "1" : "0");
    return status;
  }
  // memory plus swap may never be below memory: widen first, then narrow.
  auto plain = directory + "/memory.limit_in_bytes";
  auto with_swap = directory + "/memory.memsw.limit_in_bytes";
  (void)write_kernel_file(with_swap, "-1");
  auto status = write_kernel_file(plain, memory_bytes ? text : "-1");
  if (status && memory_bytes) (void)write_kernel_file(with_swap, text);
  return status;
}

Status CgroupPool::write_pids(int group, std::uint32_t pids_max) {
  if (pids_.empty()) return {};
  // One more for the task's init.
  auto value = pids_max ? std::to_string(pids_max + 1) : "max";
  return write_kernel_file(path(pids_, group) + "/pids.max", value);
}

Status CgroupPool::write_cpu(int group, std::uint32_t cpu_milli) {
  if (cpu_.empty()) return {};
  auto directory = path(cpu_, group);
  auto milli = std::max(cpu_milli, cpu_milli_min);
  auto quota = std::to_string(milli * cpu_period_us / 1000);
  if (layout_.cpu.v2) {
    auto value = (cpu_milli ? quota : std::string("max")) + " " +
                 std::to_string(cpu_period_us);
    return write_kernel_file(directory + "/cpu.max", value);
  }
  return write_kernel_file(directory + "/cpu.cfs_quota_us",
                           cpu_milli ? quota : "-1");
}

Status CgroupPool::write_limits(int index, const CgroupLimits& limits) {
  auto& group = groups_[static_cast<std::size_t>(index)];
  const auto before = std::exchange(group.limits, std::nullopt);
  Status status;
  if (!before || limits.memory_bytes != before->memory_bytes) {
    status = write_memory(index, limits.memory_bytes);
  }
  if (status && (!before || limits.pids_max != before->pids_max)) {
    status = write_pids(index, limits.pids_max);
  }
  if (status && guard_) {
    status = guard_->set(path(devices_, index), limits.devices, group.devices);
  }
  if (status && (!before || limits.cpu_milli != before->cpu_milli)) {
    status = write_cpu(index, limits.cpu_milli);
  }
  if (status) group.limits = limits;
  return status;
}

void CgroupPool::begin_accounts(int index) {
  auto& group = groups_[static_cast<std::size_t>(index)];
  if (!memory_.empty()) {
    auto directory = path(memory_, index);
    if (layout_.memory.v2) {
      if (group.peak_fd >= 0) ::close(group.peak_fd);
      group.peak_fd =
          ::open((directory + "/memory.peak").c_str(), O_RDWR | O_CLOEXEC);
      if (group.peak_fd >= 0 && ::write(group.peak_fd, "0", 1) != 1) {
        ::close(std::exchange(group.peak_fd, -1));
      }
    } else {
      (void)write_kernel_file(directory + "/memory.max_usage_in_bytes", "0");
    }
  }
  group.before = group.latest;
}

CgroupUsage CgroupPool::totals(int index) const {
  CgroupUsage usage;
  if (!memory_.empty()) {
    auto directory = path(memory_, index);
    auto file = layout_.memory.v2 ? "/memory.events" : "/memory.oom_control";
    auto text = read_file(directory + file).value_or("");
    usage.memory_kills = field(text, "oom_kill");
  }
  if (!cpu_.empty() && layout_.cpu.v2) {
    auto text = read_file(path(cpu_, index) + "/cpu.stat").value_or("");
    usage.cpu_ns = field(text, "usage_usec") * 1000;
  }
  return usage;
}

CgroupUsage CgroupPool::usage(int index) {
  auto& group = groups_[static_cast<std::size_t>(index)];
  auto usage = group.latest = totals(index);
  usage.memory_kills -= std::min(usage.memory_kills, group.before.memory_kills);
  usage.cpu_ns -= std::min(usage.cpu_ns, group.before.cpu_ns);
  if (memory_.empty()) return usage;
  if (group.peak_fd >= 0) {
    char text[32];
    auto got = ::pread(group.peak_fd, text, sizeof text, 0);
    if (got > 0) {
      usage.peak_memory_bytes =
          to_number({text, static_cast<std::size_t>(got)});
    }
  } else {
    auto file =
        layout_.memory.v2 ? "/memory.peak" : "/memory.max_usage_in_bytes";
    usage.peak_memory_bytes =
        to_number(read_file(path(memory_, index) + file).value_or(""));
  }
  return usage;
}

void CgroupPool::release(int index) {
  auto& group = groups_[static_cast<std::size_t>(index)];
  REEVE_CHECK(group.used,
              "group t" + std::to_string(index) + " is given back twice");
  group.used = false;
  bool reusable = idle_.size() < idle_groups_max;
  if (group.peak_fd >= 0) {
    ::close(std::exchange(group.peak_fd, -1));
  } else if (!memory_.empty() && layout_.memory.v2) {
    reusable = false;  // a kernel whose peak cannot be reset
  }
  if (reusable && !memory_.empty()) {
    auto directory = path(memory_, index);
    auto file =
        layout_.memory.v2 ? "/memory.current" : "/memory.usage_in_bytes";
    auto held = to_number(read_file(directory + file).value_or(""));
    reusable = held <= group_residue_bytes_max;
  }
  if (reusable) {
    idle_.push_back(index);
  } else if (remove_group(index)) {
    unmade_.push_back(index);
  } else {
    doomed_.push_back(index);
  }
}

int CgroupPool::population() const {
  std::size_t count = 0;
  for (const auto& parent : parents()) {
    for (const auto& group : child_directories(parent)) {
      count = std::max(count, members(group).size());
    }
  }
  return static_cast<int>(count);
}

void CgroupPool::kill_all() const {
  for (const auto& parent : parents()) {
    for (const auto& group : child_directories(parent)) kill_members(group);
  }
}

}  // namespace reeve::keeper

// Limits and accounts of one task: a control group per task below our own
// path, on v2, v1 and hybrid hosts. Where our own group of v2 holds others'
// processes (a login's), they are below the root: v2 gives limits only to
// groups without processes above them, but for the root. Directories are
// pooled, since making and removing them is the dearest part of a start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/agent/keeper/device_guard.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// The directory of our own group in the hierarchy of each controller; empty
// where the host does not have it.
struct CgroupLayout {
  struct Place {
    std::string directory;
    bool v2 = false;
  };
  Place memory;
  Place pids;
  Place cpu;
  // That of v1, or any group of v2: there it needs no controller.
  Place devices;
  // Of v2: our own group, and the root of the whole hierarchy where it is seen.
  std::string v2_own;
  std::string v2_root;
};

// Where the daemon's own processes go on v2, below the group it was given.
inline constexpr const char* daemon_leaf = "/reeve-daemon";

// `mountinfo` and `self_cgroup` are the texts of those files in /proc/self.
// The controllers of a v2 hierarchy are read from its cgroup.controllers.
CgroupLayout find_cgroups(std::string_view mountinfo,
                          std::string_view self_cgroup);

// Whether `wanted` is one of these names, as those files list them.
bool lists(std::string_view names, std::string_view wanted, char separator);

struct CgroupLimits {
  std::uint64_t memory_bytes = 0;  // 0: none
  std::uint32_t cpu_milli = 0;     // 0: none
  std::uint32_t pids_max = 0;      // 0: none
  // Nodes that may be opened beside those of every task (device_rules.hpp).
  std::vector<DeviceNumber> devices = {};
  bool operator==(const CgroupLimits&) const = default;
};

struct CgroupUsage {
  std::uint64_t peak_memory_bytes = 0;
  std::uint64_t memory_kills = 0;  // processes killed by the limit
  std::uint64_t cpu_ns = 0;        // 0: this host's groups do not count it
};

// Groups that are idle and kept for the next task.
inline constexpr std::size_t idle_groups_max = 64;
// A group that still holds more memory than this after its task (page cache)
// is not used again, so that no task pays for another.
inline constexpr std::uint64_t group_residue_bytes_max = 1u << 20;
class CgroupPool {
 public:
  // Kills whatever still runs in groups of that name (an earlier keeper's),
  // removes them and makes the parents anew. Never fails: what cannot be had
  // is a sentence in `limits()`.
  // `daemon_pid` started this keeper and may share its group.
  CgroupPool(CgroupLayout layout, std::string name, int daemon_pid);
  ~CgroupPool();
  CgroupPool(const CgroupPool&) = delete;
  CgroupPool& operator=(const CgroupPool&) = delete;

  const std::vector<std::string>& limits() const { return limits_; }

  // A group with these limits. `io` when the kernel refuses a limit.
  Expected<int> take(const CgroupLimits& limits);
  // Other limits for a group that was taken; its accounts begin anew.
  Status limit(int group, const CgroupLimits& limits);
  // The files a process writes "0" to, to enter the group.
  std::vector<std::string> entries(int group) const;
  CgroupUsage usage(int group);
  // The task is gone: nothing runs in the group any more.
  void release(int group);
  // Processes that are still in any group of ours.
  int population() const;
  void kill_all() const;

 private:
  struct Group {
    bool used = false;
    // None: the kernel refused a part of them, and has some of the rest.
    std::optional<CgroupLimits> limits = CgroupLimits{};
    // The kernel's counters only grow: these are they when the task began and
    // when they were read last. Nothing runs in a group between two tasks.
    CgroupUsage before;
    CgroupUsage latest;
    int peak_fd = -1;  // v2: the reset holds for this descriptor only
    std::optional<DeviceGuard::Told> devices;
  };

  std::string path(const std::string& parent, int group) const;
  std::vector<std::string> parents() const;
  void leave_shared_group();
  void open_controller(const char* controller, const CgroupLayout::Place& place,
                       std::string& parent);
  Status make_parent(const std::string& controller,
                     const CgroupLayout::Place& place, const std::string& base);
  Status write_limits(int group, const CgroupLimits& limits);
  Status write_memory(int group, std::uint64_t memory_bytes);
  Status write_pids(int group, std::uint32_t pids_max);
  Status write_cpu(int group, std::uint32_t cpu_milli);
  Expected<int> make_group();
  bool remove_group(int group);
  void begin_accounts(int group);
  CgroupUsage totals(int group) const;

  CgroupLayout layout_;
  std::string name_;
  int daemon_pid_ = 0;
  std::string memory_;  // parent directories; empty: not to be had
  std::string pids_;
  std::string cpu_;
  std::string devices_;
  std::optional<DeviceGuard> guard_;  // where `devices_` is to be had
  std::vector<std::string> limits_;
  std::vector<Group> groups_;
  std::vector<int> idle_;
  std::vector<int> unmade_;  // indexes without a directory
  std::vector<int> doomed_;  // to be removed as soon as the kernel lets us
};

}  // namespace reeve::keeper

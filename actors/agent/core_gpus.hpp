// Which GPUs the tasks of a node were given: when in a device's period each
// share has its time, and who uses more than was given. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/agent/gpu_use.hpp"
#include "actors/agent/keeper/types.hpp"
#include "actors/agent/node.hpp"
#include "gpu/share/share.hpp"

namespace reeve::agent {

// Device memory of a process that is not charged to its share: its context,
// the code and the stacks of its kernels.
inline constexpr std::uint64_t process_extra_bytes_max = 1ull << 30;
// After so many looks in a row a task that uses too much is stopped: what a
// process held that has just died may be counted at one.
inline constexpr unsigned overuse_looks_max = 2;

class GpuGrants {
 public:
  using Shares = std::vector<gpu::share::DeviceShare>;
  // The task that a process belongs to, if it is one of this node.
  using TaskOf = std::function<std::optional<keeper::TaskKey>(int pid)>;

  explicit GpuGrants(const std::vector<NodeDevice>& devices);

  // Gives a task its devices; each share gets its span of the period.
  void give(const keeper::TaskKey& task, Shares& devices);
  // What it was given, as the runtime remembers it.
  void take_up(const keeper::TaskKey& task, Shares devices);
  void take_back(const keeper::TaskKey& task) { held_.erase(task); }
  bool holds(const keeper::TaskKey& task) const { return held_.contains(task); }

  // Tasks to be stopped: at overuse_looks_max looks in a row they held more
  // memory than their share and process_extra_bytes_max for each process, or
  // used a device that is not theirs. `uses` has all devices of the host.
  std::vector<keeper::TaskKey> look(const std::vector<GpuUse>& uses,
                                    const TaskOf& task_of);
  // Why it was to be stopped, with the numbers; empty: it was not.
  std::string overuse(const keeper::TaskKey& task) const;

 private:
  struct Held {
    Shares devices;
    unsigned looks = 0;
    std::string overuse;
  };
  struct Use {
    std::uint64_t processes = 0;
    std::uint64_t memory_bytes = 0;
  };

  // The driver counts the processes of an instance to the device it is cut
  // from.
  const std::string& whole_of(const std::string& uuid) const;
  std::string judge(const keeper::TaskKey& task, const std::string& uuid,
                    const Use& use) const;

  std::map<std::string, std::string> mig_of_;
  std::map<keeper::TaskKey, Held> held_;
};

}  // namespace reeve::agent

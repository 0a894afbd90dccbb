// Which GPUs the tasks of a node were given: when in a device's period each
// share has its time, who uses more than was given, and whom an error of one
// ends. Pure.
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

  explicit GpuGrants(const std::vector<NodeDevice>& devices) { offer(devices); }

  // What the node has from now on.
  void offer(const std::vector<NodeDevice>& devices);
  // Whether all that tasks hold is the same in both, and in the same place.
  bool keep(const std::vector<NodeDevice>& before,
            const std::vector<NodeDevice>& after) const;

  // Gives a task its devices; each share gets its span of the period.
  void give(const keeper::TaskKey& task, Shares& devices);
  // What it was given, as the runtime remembers it.
  void take_up(const keeper::TaskKey& task, Shares devices);
  void take_back(const keeper::TaskKey& task) { held_.erase(task); }
  bool holds(const keeper::TaskKey& task) const { return held_.contains(task); }
  bool any() const { return !held_.empty(); }
  // The tasks that were given the device, or shares of it.
  std::vector<keeper::TaskKey> holders(const std::string& uuid) const;

  // Tasks to be stopped: at overuse_looks_max looks in a row they held more
  // memory than their share and process_extra_bytes_max for each process, had
  // processes without the library that holds them to the share, or used a
  // device that is not theirs. `uses` has all devices of the host.
  std::vector<keeper::TaskKey> look(const std::vector<GpuUse>& uses,
                                    const TaskOf& task_of);
  // Tasks to be stopped: all that hold the device or a part of it.
  std::vector<keeper::TaskKey> fail(const std::string& uuid,
                                    const std::string& why);
  // Why it was to be stopped; empty: it was not.
  std::string why_stopped(const keeper::TaskKey& task) const;

 private:
  struct Held {
    Shares devices;
    unsigned looks = 0;
    std::string why_stopped;
  };
  struct Use {
    std::uint64_t processes = 0;
    std::uint64_t unheld = 0;  // of these
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

#include "actors/agent/core_gpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/units.hpp"
#include "gpu/share/spans.hpp"

namespace reeve::agent {

using keeper::TaskKey;

namespace {

bool has(const std::vector<std::uint32_t>& pids, std::uint32_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

}  // namespace

void GpuGrants::offer(const std::vector<NodeDevice>& devices) {
  mig_of_.clear();
  for (const NodeDevice& device : devices)
    if (!device.mig_of.empty()) mig_of_[device.uuid] = device.mig_of;
}

bool GpuGrants::keep(const std::vector<NodeDevice>& before,
                     const std::vector<NodeDevice>& after) const {
  const auto same = [](const NodeDevice& a, const NodeDevice& b) {
    return a.uuid == b.uuid && a.model == b.model &&
           a.memory_bytes == b.memory_bytes && a.numa_node == b.numa_node &&
           a.mig_of == b.mig_of;
  };
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i < after.size() && same(before[i], after[i])) continue;
    for (const auto& [task, held] : held_)
      for (const auto& share : held.devices)
        if (share.uuid == before[i].uuid) return false;
  }
  return true;
}

const std::string& GpuGrants::whole_of(const std::string& uuid) const {
  const auto found = mig_of_.find(uuid);
  return found == mig_of_.end() ? uuid : found->second;
}

void GpuGrants::give(const TaskKey& task, Shares& devices) {
  for (auto& share : devices) {
    if (share.whole()) continue;
    std::vector<gpu::share::Span> taken;
    for (const auto& [other, held] : held_)
      for (const auto& one : held.devices)
        if (one.uuid == share.uuid)
          taken.push_back({one.begin_milli, one.compute_milli});
    share.begin_milli = gpu::share::place_span(taken, share.compute_milli);
  }
  take_up(task, devices);
}

void GpuGrants::take_up(const TaskKey& task, Shares devices) {
  if (!devices.empty()) held_[task].devices = std::move(devices);
}

std::vector<TaskKey> GpuGrants::holders(const std::string& uuid) const {
  std::vector<TaskKey> tasks;
  for (const auto& [task, held] : held_)
    if (std::any_of(held.devices.begin(), held.devices.end(),
                    [&](const auto& share) { return share.uuid == uuid; }))
      tasks.push_back(task);
  return tasks;
}

std::string GpuGrants::why_stopped(const TaskKey& task) const {
  const auto found = held_.find(task);
  return found == held_.end() ? "" : found->second.why_stopped;
}

std::vector<TaskKey> GpuGrants::fail(const std::string& uuid,
                                     const std::string& why) {
  std::vector<TaskKey> stopped;
  for (auto& [task, held] : held_) {
    const bool holds_it = std::any_of(
        held.devices.begin(), held.devices.end(), [&](const auto& share) {
          return share.uuid == uuid || whole_of(share.uuid) == uuid;
        });
    if (!holds_it) continue;
    held.why_stopped = why;
    stopped.push_back(task);
  }
  return stopped;
}

std::string GpuGrants::judge(const TaskKey& task, const std::string& uuid,
                             const Use& use) const {
  std::uint64_t limit_bytes = 0;
  bool given = false;
  bool shared = false;
  if (const auto found = held_.find(task); found != held_.end())
    for (const auto& share : found->second.devices) {
      if (whole_of(share.uuid) != uuid) continue;
      given = true;
      shared = shared || !share.whole();
      limit_bytes += share.memory_bytes;
    }
  if (!given)
    return fmt::format("it used {}, which it was not given: {} with {}", uuid,
                       counted(use.processes, "program"),
                       format_bytes(use.memory_bytes));
  const std::uint64_t extra_bytes = use.processes * process_extra_bytes_max;
  if (!shared) return "";
  if (use.unheld > 0)
    return fmt::format(
        "it used its share of {} in {} without {}: programs that are linked "
        "statically, or started without LD_PRELOAD as it was, need a whole "
        "device",
        uuid, counted(use.unheld, "program"), keeper::share_library_path);
  if (use.memory_bytes <= limit_bytes + extra_bytes) return "";
  return fmt::format(
      "it held {} of {} in {}; its share is {}, and {} more for each program",
      format_bytes(use.memory_bytes), uuid, counted(use.processes, "program"),
      format_bytes(limit_bytes), format_bytes(process_extra_bytes_max));
}

std::vector<TaskKey> GpuGrants::look(const std::vector<GpuUse>& uses,
                                     const TaskOf& task_of) {
  std::map<TaskKey, std::string> over;
  for (const GpuUse& device : uses) {
    std::map<TaskKey, Use> by_task;
    for (const gpu::ProcessUse& process : device.processes) {
      if (has(device.servers, process.pid)) continue;
      if (const auto task = task_of(static_cast<int>(process.pid))) {
        Use& use = by_task[*task];
        ++use.processes;
        use.memory_bytes += process.memory_bytes.value_or(0);
        use.unheld += has(device.unheld, process.pid) ? 1 : 0;
      }
    }
    for (const auto& [task, use] : by_task)
      if (auto why = judge(task, device.uuid, use); !why.empty())
        over.emplace(task, std::move(why));
  }
  for (auto& [task, held] : held_)
    if (!over.contains(task)) held.looks = 0;
  std::vector<TaskKey> stopped;
  for (auto& [task, why] : over) {
    Held& held = held_[task];
    if (++held.looks < overuse_looks_max) continue;
    held.why_stopped = std::move(why);
    stopped.push_back(task);
  }
  return stopped;
}

}  // namespace reeve::agent

#include "actors/agent/core_handover.hpp"

#include <algorithm>
#include <utility>

namespace reeve::agent {

using keeper::TaskKey;
using keeper::TaskSpec;

namespace {

const std::string& card_of(const NodeDevice& device) {
  return device.mig_of.empty() ? device.uuid : device.mig_of;
}

// What each card offers: itself, or what it is cut into.
using Cuts =
    std::map<std::string,
             std::map<std::string, std::pair<std::string, std::uint64_t>>>;

Cuts cuts_of(const std::vector<NodeDevice>& devices) {
  Cuts cuts;
  for (const NodeDevice& device : devices)
    cuts[card_of(device)][device.uuid] = {device.model, device.memory_bytes};
  return cuts;
}

}  // namespace

void Handover::offer(const std::vector<NodeDevice>& before,
                     const std::vector<NodeDevice>& now) {
  const Cuts old = cuts_of(before);
  std::set<std::string> same;
  for (const auto& [card, parts] : cuts_of(now)) {
    const auto was = old.find(card);
    if (was != old.end() && was->second != parts) continue;
    for (const auto& [uuid, part] : parts) same.insert(uuid);
  }
  std::erase_if(owners_, [&](const auto& one) {
    if (same.contains(one.first)) return false;
    if (!one.second.empty()) forgotten_.insert(one.first);
    return true;
  });
}

void Handover::wait(TaskSpec spec, std::string owner, Time due) {
  waiting_.push_back({std::move(spec), std::move(owner), due});
}

bool Handover::waits(const TaskKey& task) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const Waiting& one) { return one.spec.key == task; });
}

bool Handover::drop(const TaskKey& task) {
  return std::erase_if(waiting_, [&](const Waiting& one) {
           return one.spec.key == task;
         }) != 0;
}

std::optional<Time> Handover::due() const {
  std::optional<Time> next;
  for (const Waiting& one : waiting_)
    if (!next || one.due < *next) next = one.due;
  return next;
}

const std::string& Handover::owner_of(const std::string& uuid) const {
  static const std::string nobody;
  const auto found = owners_.find(uuid);
  return found == owners_.end() ? nobody : found->second;
}

// Who runs beside others of the device may find what they leave: from then on
// it is nobody's, and cleaned before the next has it.
std::optional<GpuJob> Handover::need(const std::string& uuid,
                                     const Waiting& task,
                                     const GpuGrants& grants) const {
  const std::string& last = owner_of(uuid);
  if (last == task.owner) return std::nullopt;
  const auto holders = grants.holders(uuid);
  const bool alone =
      std::all_of(holders.begin(), holders.end(),
                  [&](const TaskKey& one) { return waits(one); });
  GpuJob job;
  job.uuid = uuid;
  job.work = GpuWork::hand_over;
  job.owner = task.owner;
  if (alone) return job;
  if (last.empty()) return std::nullopt;
  job.work = GpuWork::note;
  job.owner.clear();
  return job;
}

std::vector<TaskSpec> Handover::take_ready(const GpuGrants& grants,
                                           const GpuJobs& jobs) {
  std::vector<TaskSpec> ready;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto& gpus = it->spec.gpus;
    const bool all =
        std::all_of(gpus.begin(), gpus.end(), [&](const auto& gpu) {
          return !jobs.busy(gpu.uuid) && !need(gpu.uuid, *it, grants);
        });
    if (!all) {
      ++it;
      continue;
    }
    ready.push_back(std::move(it->spec));
    it = waiting_.erase(it);
  }
  return ready;
}

std::vector<GpuJob> Handover::needed(const GpuGrants& grants,
                                     const GpuJobs& jobs) const {
  std::map<std::string, GpuJob> all;
  for (const std::string& uuid : forgotten_) {
    if (jobs.busy(uuid)) continue;
    all[uuid].uuid = uuid;
    all[uuid].work = GpuWork::note;
  }
  for (const Waiting& task : waiting_)
    for (const auto& gpu : task.spec.gpus) {
      if (jobs.busy(gpu.uuid)) continue;
      if (auto job = need(gpu.uuid, task, grants))
        all.try_emplace(gpu.uuid, std::move(*job));
    }
  std::vector<GpuJob> list;
  for (auto& [uuid, job] : all) list.push_back(std::move(job));
  return list;
}

void Handover::done(const std::string& uuid, std::string owner) {
  forgotten_.erase(uuid);
  owners_[uuid] = std::move(owner);
}

std::vector<TaskKey> Handover::failed(const std::string& uuid) {
  forgotten_.erase(uuid);
  owners_.erase(uuid);
  std::vector<TaskKey> tasks;
  std::erase_if(waiting_, [&](const Waiting& one) {
    const auto& gpus = one.spec.gpus;
    const bool wants =
        std::any_of(gpus.begin(), gpus.end(),
                    [&](const auto& gpu) { return gpu.uuid == uuid; });
    if (wants) tasks.push_back(one.spec.key);
    return wants;
  });
  return tasks;
}

std::vector<TaskKey> Handover::take_overdue(Time now) {
  std::vector<TaskKey> tasks;
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (one.due > now) return false;
    tasks.push_back(one.spec.key);
    return true;
  });
  return tasks;
}

}  // namespace reeve::agent

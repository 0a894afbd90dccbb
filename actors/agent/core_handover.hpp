// GPUs between two owners: who had each last, and which launches wait until
// one is clean. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/agent/core_gpus.hpp"
#include "actors/agent/core_jobs.hpp"
#include "actors/agent/keeper/types.hpp"
#include "actors/agent/node.hpp"
#include "cluster/types.hpp"

namespace reeve::agent {

// How long a launch waits for its devices; then it fails, and the session
// waits again.
inline constexpr std::uint64_t handover_ns_max = 120 * second_ns;

class Handover {
 public:
  // By uuid; empty or missing: several at once, or nobody knows.
  using Owners = std::map<std::string, std::string>;
  explicit Handover(Owners owners) : owners_(std::move(owners)) {}

  // The node had other devices before, or none that are known. What is not
  // there any more has no owner, nor has what a card is cut into when that has
  // changed: others may have had the same memory under other names.
  void offer(const std::vector<NodeDevice>& before,
             const std::vector<NodeDevice>& now);

  // The task holds its devices already (GpuGrants).
  void wait(keeper::TaskSpec spec, std::string owner, Time due);
  bool waits(const keeper::TaskKey& task) const;
  // True: it waited, and does no more.
  bool drop(const keeper::TaskKey& task);
  void drop_all() { waiting_.clear(); }
  std::optional<Time> due() const;

  // Launches whose devices are all theirs; they wait no more.
  std::vector<keeper::TaskSpec> take_ready(const GpuGrants& grants,
                                           const GpuJobs& jobs);
  // What has to be done before others can go on, each device once.
  std::vector<GpuJob> needed(const GpuGrants& grants,
                             const GpuJobs& jobs) const;
  void done(const std::string& uuid, std::string owner);
  // Who waited for it waits no more.
  std::vector<keeper::TaskKey> failed(const std::string& uuid);
  std::vector<keeper::TaskKey> take_overdue(Time now);

 private:
  struct Waiting {
    keeper::TaskSpec spec;
    std::string owner;
    Time due;
  };
  // Nothing: the device is ready for the task.
  std::optional<GpuJob> need(const std::string& uuid, const Waiting& task,
                             const GpuGrants& grants) const;
  const std::string& owner_of(const std::string& uuid) const;

  Owners owners_;
  std::set<std::string> forgotten_;  // not yet written down
  std::vector<Waiting> waiting_;     // in the order they came
};

}  // namespace reeve::agent

// Which GPUs are being worked on: one job at a time on each, and so many at
// once. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/agent/gpu_job.hpp"
#include "cluster/types.hpp"

namespace reeve::agent {

// On all devices of a host together: each keeps a CPU busy.
inline constexpr std::size_t gpu_jobs_max = 4;

// After so long nobody waits for the job any more: whoever does it stands in
// the driver.
constexpr std::uint64_t job_ns_max(GpuWork work) {
  constexpr std::uint64_t ns_per_ms = 1'000'000;
  constexpr std::uint64_t spare_ms = 20'000;
  const std::uint64_t probe_ms = work == GpuWork::full_test ? full_test_ms_max
                                 : work == GpuWork::quick_test
                                     ? quick_test_ms_max
                                     : clear_ms_max;
  return (probe_ms + processes_ms_max + spare_ms) * ns_per_ms;
}

class GpuJobs {
 public:
  bool busy(const std::string& uuid) const { return jobs_.contains(uuid); }
  bool full() const { return running_ >= gpu_jobs_max; }

  // On a device that is not busy, while it is not full.
  GpuJob begin(GpuJob job, Time now) {
    job.id = ++ids_;
    jobs_[job.uuid] = {job, Time{now.value + job_ns_max(job.work)}, false};
    ++running_;
    return job;
  }
  // The job that has ended; nothing: it was not waited for any more.
  std::optional<GpuJob> end(const GpuJobDone& done) {
    const auto found = jobs_.find(done.uuid);
    if (found == jobs_.end() || found->second.job.id != done.id)
      return std::nullopt;
    const Running ended = std::move(found->second);
    jobs_.erase(found);
    if (ended.given_up) return std::nullopt;
    --running_;
    return ended.job;
  }
  // Those that take too long, each once; their devices stay busy.
  std::vector<GpuJob> overdue(Time now) {
    std::vector<GpuJob> all;
    for (auto& [uuid, one] : jobs_) {
      if (one.given_up || one.due > now) continue;
      one.given_up = true;
      --running_;
      all.push_back(one.job);
    }
    return all;
  }
  // When the next one takes too long; nothing: none is under way.
  std::optional<Time> due() const {
    std::optional<Time> next;
    for (const auto& [uuid, one] : jobs_)
      if (!one.given_up && (!next || one.due < *next)) next = one.due;
    return next;
  }

 private:
  struct Running {
    GpuJob job;
    Time due;
    bool given_up = false;
  };
  std::map<std::string, Running> jobs_;  // by uuid
  std::size_t running_ = 0;              // not given up
  std::uint64_t ids_ = 0;
};

}  // namespace reeve::agent

// Does the agent's work on GPUs: tests them, and cleans them for their next
// owner. Each job has a thread of its own, for the driver may hang.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/agent/gpu_job.hpp"
#include "actors/agent/gpu_use.hpp"
#include "gpu/inventory.hpp"
#include "gpu/probe/limits.hpp"

namespace reeve::agent {

struct GpuWorkerOptions {
  gpu::Sources sources;
  std::string directory;  // of its records (gpu_records.hpp)
  std::chrono::milliseconds processes_wait{processes_ms_max};
  // How long its end waits for jobs, whose probes are killed then.
  std::chrono::milliseconds leave_after{5'000};
  // Processes that stay on a device between two owners: the site's own.
  std::function<bool(std::uint32_t pid)> is_server = mps_servers("");
  // Of those that only draw, the ones that stay: a display.
  std::function<bool(std::uint32_t pid)> is_display = [](std::uint32_t pid) {
    return is_of_host(pid);
  };
  gpu::probe::Models models = {};  // the site's own
};

class GpuWorker {
 public:
  // Called on the thread of the job; it must not wait.
  using Handler = std::function<void(GpuJobDone)>;

  // What a user may set of a device is put back, between two of them, to what
  // it is now, or when the first job on it begins.
  GpuWorker(GpuWorkerOptions options, Handler handler);
  // No call follows. A thread that stands in the driver is left behind; it ends
  // when the driver lets it go.
  ~GpuWorker();
  GpuWorker(const GpuWorker&) = delete;
  GpuWorker& operator=(const GpuWorker&) = delete;

  // Returns at once; the handler is called when it is done. How many there may
  // be at once is the caller's to bound, and that each device has but one.
  void begin(GpuJob job);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace reeve::agent

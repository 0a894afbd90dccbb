// The agent's thread at the GPU driver: nothing of the agent waits for the
// driver. It samples the devices, looks again at what there is, and hands over
// plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/agent/gpu_use.hpp"
#include "gpu/changes.hpp"
#include "gpu/health_policy.hpp"
#include "gpu/telemetry.hpp"

namespace reeve::agent {

// One device of this host, whether it is offered or not.
struct WatchedGpu {
  gpu::Sample now;
  gpu::Sample thorough;    // the newest of all that the driver tells
  std::uint64_t xids = 0;  // since the watch began
  std::optional<std::uint64_t> last_xid;
  std::vector<gpu::Finding> findings;  // what `now` tells that is new
  std::vector<std::uint32_t> unheld;   // of the processes of `now`
  std::vector<std::uint32_t> servers;  // of these, too: the site's own
  std::string model;
  std::optional<std::uint32_t> minor;  // of /dev/nvidia<minor>
};

struct GpuReport {
  std::vector<WatchedGpu> gpus;
  bool thorough = false;             // `thorough` of each is of this moment
  std::vector<gpu::Change> changes;  // since the last thorough one
  // Where something has changed; at first, too, where that is wanted.
  std::optional<gpu::Inventory> inventory;
};

struct GpuWatchOptions {
  gpu::Sources sources;
  // A sample of the load of a device takes 0.1 ms of CPU, one of all 9 ms.
  std::chrono::milliseconds sample_every{2'000};
  std::chrono::milliseconds thorough_every{60'000};
  // How long the end of the watch waits for a driver that does not answer.
  std::chrono::milliseconds leave_after{1'000};
  // Called on the watch's thread with what there is, at first and when it has
  // changed; it may come after the end of the watch. None: nobody is.
  std::function<void(const gpu::Inventory&)> on_inventory = {};
  // Asked of each process on a device at each thorough look.
  std::function<bool(std::uint32_t pid)> is_unheld = [](std::uint32_t pid) {
    return runs_unheld(pid);
  };
  // Asked before that: it is the site's, and in no task.
  std::function<bool(std::uint32_t pid)> is_server = mps_servers("");
  // The first report has the inventory, too: nobody could read it before. A
  // driver that fails is asked again until there is one.
  bool tell_first = false;
};

class GpuWatch {
 public:
  // Called on the watch's thread; it must not wait.
  using Handler = std::function<void(GpuReport)>;

  // Without a driver the log says so in a sentence, and the thread ends.
  GpuWatch(GpuWatchOptions options, Handler handler);
  // No call follows. A thread that stands in the driver beyond `leave_after`
  // is left behind; it ends when the driver lets it go.
  ~GpuWatch();
  GpuWatch(const GpuWatch&) = delete;
  GpuWatch& operator=(const GpuWatch&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace reeve::agent

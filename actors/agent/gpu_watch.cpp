#include "actors/agent/gpu_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace reeve::agent {
namespace {

using Clock = std::chrono::steady_clock;
using Depth = gpu::Telemetry::Depth;

const gpu::Device* find(const gpu::Inventory& inventory,
                        const std::string& uuid) {
  for (const auto* list : {&inventory.devices, &inventory.cut})
    for (const gpu::Device& device : *list)
      if (device.uuid == uuid) return &device;
  return nullptr;
}

// Health is told by thorough samples alone: what the last one had stands.
std::vector<gpu::Finding> judge(const gpu::Sample& now, const WatchedGpu& gpu) {
  gpu::Sample before = gpu.now;
  before.ecc_uncorrected = gpu.thorough.ecc_uncorrected;
  before.row_remap_pending = gpu.thorough.row_remap_pending;
  before.row_remap_failed = gpu.thorough.row_remap_failed;
  return gpu::judge_sample(now, &before);
}

// What is known of the devices, by their index at the driver.
class Watched {
 public:
  explicit Watched(const GpuWatchOptions& options)
      : is_unheld_(options.is_unheld), is_server_(options.is_server) {}

  void take(std::vector<gpu::Sample> samples, bool thorough,
            const gpu::Inventory& inventory) {
    gpus_.resize(samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      WatchedGpu& gpu = gpus_[i];
      if (gpu.now.uuid != samples[i].uuid) gpu = {};
      gpu.findings = judge(samples[i], gpu);
      gpu.now = std::move(samples[i]);
      if (thorough && gpu.now.lost.empty()) gpu.thorough = gpu.now;
      gpu.unheld.clear();
      gpu.servers.clear();
      for (const gpu::ProcessUse& process : gpu.now.processes) {
        if (is_server_(process.pid))
          gpu.servers.push_back(process.pid);
        else if (is_unheld_(process.pid))
          gpu.unheld.push_back(process.pid);
      }
      gpu.xids += gpu.now.xids.size();
      if (!gpu.now.xids.empty()) gpu.last_xid = gpu.now.xids.back();
      if (const gpu::Device* device = find(inventory, gpu.now.uuid)) {
        gpu.model = device->model;
        gpu.minor = device->minor;
      }
    }
  }
  const std::vector<WatchedGpu>& gpus() const { return gpus_; }

 private:
  const std::function<bool(std::uint32_t)> is_unheld_;
  const std::function<bool(std::uint32_t)> is_server_;
  std::vector<WatchedGpu> gpus_;
};

}  // namespace

// Kept by the thread, which may outlive the watch.
struct GpuWatch::State {
  State(GpuWatchOptions of, Handler to)
      : options(std::move(of)), handler(std::move(to)) {}

  // Under the lock: none is called after the watch has ended.
  void deliver(GpuReport report) {
    const std::lock_guard lock(mutex);
    if (!stopping) handler(std::move(report));
  }

  // False: it is time to end.
  bool wait_until(Clock::time_point due) {
    std::unique_lock lock(mutex);
    return !wake.wait_until(lock, due, [this] { return stopping; });
  }

  bool await_driver(std::optional<gpu::Telemetry>& telemetry);
  void watch();
  void run() {
    watch();
    const std::lock_guard lock(mutex);
    ended = true;
    wake.notify_all();
  }

  const GpuWatchOptions options;
  const Handler handler;

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool ended = false;
  std::thread thread;
};

// Who waits for what there is does not take an error for nothing. False: it is
// time to end.
bool GpuWatch::State::await_driver(std::optional<gpu::Telemetry>& telemetry) {
  std::string told;
  while (telemetry->may_pass()) {
    if (const std::string& why = telemetry->why_none(); why != told) {
      spdlog::warn("GPUs are not known yet, the driver is asked again: {}",
                   why);
      told = why;
    }
    if (!wait_until(Clock::now() + options.thorough_every)) return false;
    telemetry.emplace(options.sources);
  }
  return true;
}

void GpuWatch::State::watch() {
  std::optional<gpu::Telemetry> telemetry(std::in_place, options.sources);
  if (options.tell_first && !await_driver(telemetry)) return;
  std::optional<gpu::Inventory> inventory;
  Watched watched(options);
  Clock::time_point due = Clock::now();
  Clock::time_point thorough_due = due;
  do {
    if (!telemetry->why_none().empty()) {
      if (options.on_inventory) options.on_inventory({});
      GpuReport none;
      none.inventory.emplace();
      if (options.tell_first && !inventory) deliver(std::move(none));
      spdlog::info("no GPU telemetry: {}", telemetry->why_none());
      return;
    }
    due += options.sample_every;
    GpuReport report;
    report.thorough = Clock::now() >= thorough_due;
    if (report.thorough) {
      thorough_due = Clock::now() + options.thorough_every;
      gpu::Inventory found = gpu::read_inventory(options.sources);
      if (inventory) report.changes = gpu::changes(*inventory, found);
      if (!report.changes.empty() || (options.tell_first && !inventory))
        report.inventory = found;
      if (options.on_inventory && (!inventory || report.inventory))
        options.on_inventory(found);
      inventory = std::move(found);
      // Errors of a device are told to those who asked when it was there.
      if (std::any_of(report.changes.begin(), report.changes.end(),
                      [](const gpu::Change& change) {
                        return change.kind == gpu::ChangeKind::appeared;
                      }))
        telemetry.emplace(options.sources);
    }
    watched.take(
        telemetry->sample(report.thorough ? Depth::traffic : Depth::load),
        report.thorough, *inventory);
    report.gpus = watched.gpus();
    deliver(std::move(report));
    due = std::max(due, Clock::now());
  } while (wait_until(due));
}

GpuWatch::GpuWatch(GpuWatchOptions options, Handler handler)
    : state_(std::make_shared<State>(std::move(options), std::move(handler))) {
  state_->thread = std::thread([state = state_] { state->run(); });
}

GpuWatch::~GpuWatch() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_all();
  const bool ended = state_->wake.wait_for(lock, state_->options.leave_after,
                                           [this] { return state_->ended; });
  lock.unlock();
  if (ended) {
    state_->thread.join();
  } else {
    spdlog::warn("the GPU driver does not answer: who asked it is left behind");
    state_->thread.detach();
  }
}

}  // namespace reeve::agent

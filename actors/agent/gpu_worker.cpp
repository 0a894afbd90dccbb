#include "actors/agent/gpu_worker.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "actors/agent/gpu_outcome.hpp"
#include "actors/agent/gpu_records.hpp"
#include "actors/agent/keeper/files.hpp"
#include "gpu/control.hpp"

namespace reeve::agent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds look_every{100};

}  // namespace

// Kept by its threads, which may outlive the worker.
struct GpuWorker::State : std::enable_shared_from_this<State> {
  State(GpuWorkerOptions of, Handler to)
      : options(std::move(of)),
        handler(std::move(to)),
        records(options.directory),
        stop_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Under the lock: none is called after the worker has ended.
  void deliver(GpuJobDone done) {
    const std::lock_guard lock(mutex);
    if (!stopping) handler(std::move(done));
  }

  // False: it is time to end.
  bool wait(milliseconds time) {
    std::unique_lock lock(mutex);
    return !wake.wait_for(lock, time, [this] { return stopping; });
  }

  template <class Work>
  static void start(const std::shared_ptr<State>& state, Work work) {
    {
      const std::lock_guard lock(state->mutex);
      ++state->running;
    }
    std::thread([state, work = std::move(work)] {
      work(*state);
      const std::lock_guard lock(state->mutex);
      --state->running;
      state->wake.notify_all();
    }).detach();
  }

  void look();
  GpuJobDone perform(const GpuJob& job);
  GpuJobDone test(const GpuJob& job);
  std::string clean(const GpuJob& job);
  std::vector<std::uint32_t> left(const gpu::Control& control,
                                  const std::string& uuid);
  gpu::DeviceSettings found_settings(const gpu::Control& control,
                                     const std::string& uuid);
  void put_back(const gpu::Control& control, const std::string& uuid);
  gpu::probe::Outcome probe(const GpuJob& job, const char* what,
                            std::uint64_t deadline_ms);

  const GpuWorkerOptions options;
  const Handler handler;
  const GpuRecords records;
  const keeper::Fd stop_fd;  // can be read once it is stopping

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  int running = 0;

  // Never held over a call to the driver: one device that hangs would hold up
  // the others.
  std::mutex settings_mutex;
  std::map<std::string, gpu::DeviceSettings> settings;  // as they were found
};

void GpuWorker::State::look() {
  const gpu::Control control(options.sources);
  for (const std::string& uuid : control.uuids()) found_settings(control, uuid);
}

gpu::DeviceSettings GpuWorker::State::found_settings(
    const gpu::Control& control, const std::string& uuid) {
  {
    const std::lock_guard lock(settings_mutex);
    if (const auto known = settings.find(uuid); known != settings.end())
      return known->second;
  }
  const gpu::DeviceSettings now = control.settings(uuid);
  const std::lock_guard lock(settings_mutex);
  return settings.emplace(uuid, now).first->second;
}

// What runs there still, after it had time to end.
std::vector<std::uint32_t> GpuWorker::State::left(const gpu::Control& control,
                                                  const std::string& uuid) {
  const auto due = Clock::now() + options.processes_wait;
  for (;;) {
    auto pids = control.processes(uuid, options.is_display);
    std::erase_if(pids, options.is_server);
    if (pids.empty() || Clock::now() >= due || !wait(look_every)) return pids;
  }
}

void GpuWorker::State::put_back(const gpu::Control& control,
                                const std::string& uuid) {
  const auto found = found_settings(control, uuid);
  for (const std::string& said : control.restore(uuid, found))
    spdlog::warn("{}", said);
}

gpu::probe::Outcome GpuWorker::State::probe(const GpuJob& job, const char* what,
                                            std::uint64_t deadline_ms) {
  const gpu::probe::Request request{
      job.probe, {what}, {job.uuid}, milliseconds(deadline_ms), stop_fd.get()};
  auto outcome = gpu::probe::run(request);
  if (outcome.pid > 0)  // it ends when the driver lets it go
    start(shared_from_this(),
          [pid = outcome.pid](State&) { ::waitpid(pid, nullptr, 0); });
  return outcome;
}

GpuJobDone GpuWorker::State::test(const GpuJob& job) {
  GpuJobDone done;
  done.id = job.id;
  done.uuid = job.uuid;
  if (job.probe.empty()) {
    done.text =
        "this host cannot test GPUs: \"reeve node show\" says why, among what "
        "it cannot do";
    return done;
  }
  const gpu::Control control(options.sources);
  if (const auto pids = left(control, job.uuid); !pids.empty()) {
    done.text = fmt::format("programs that no session started use it: {}",
                            fmt::join(pids, ", "));
    return done;
  }
  const bool full = job.work == GpuWork::full_test;
  const auto outcome = probe(job, full ? "full" : "quick",
                             full ? full_test_ms_max : quick_test_ms_max);
  auto history = records.history(job.uuid);
  done = test_result(job, outcome, history,
                     gpu::judge_lasting(control.row_remaps(job.uuid)),
                     options.models);
  if (done.verdict != schema::DeviceVerdict::healthy) return done;
  history.add(outcome.results);
  if (const auto kept = records.set_history(job.uuid, history); !kept)
    spdlog::warn("what {} reached is not kept: {}", job.uuid,
                 kept.error().text);
  return done;
}

// Why it is not clean; empty: it is.
std::string GpuWorker::State::clean(const GpuJob& job) {
  const gpu::Control control(options.sources);
  if (const auto pids = left(control, job.uuid); !pids.empty())
    return fmt::format("programs still use it: {}", fmt::join(pids, ", "));
  put_back(control, job.uuid);
  if (job.probe.empty()) return "";
  return why_unclear(probe(job, "clear", clear_ms_max));
}

GpuJobDone GpuWorker::State::perform(const GpuJob& job) {
  if (job.work == GpuWork::quick_test || job.work == GpuWork::full_test)
    return test(job);
  GpuJobDone done;
  done.id = job.id;
  done.uuid = job.uuid;
  if (job.work == GpuWork::hand_over) done.unclean = clean(job);
  // Before anybody starts there: whoever comes after a crash must know.
  const auto kept = records.set_owner(
      job.uuid, done.unclean.empty() ? job.owner : std::string());
  if (!kept && done.unclean.empty())
    done.unclean =
        "whose it is now cannot be written down: " + kept.error().text;
  return done;
}

GpuWorker::GpuWorker(GpuWorkerOptions options, Handler handler)
    : state_(std::make_shared<State>(std::move(options), std::move(handler))) {
  State::start(state_, [](State& state) { state.look(); });
}

GpuWorker::~GpuWorker() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  ::eventfd_write(state_->stop_fd.get(), 1);
  state_->wake.notify_all();
  if (!state_->wake.wait_for(lock, state_->options.leave_after,
                             [this] { return state_->running == 0; }))
    spdlog::warn("work on GPUs does not end: the driver may hang; it is left");
}

void GpuWorker::begin(GpuJob job) {
  State::start(state_, [job = std::move(job)](State& state) {
    state.deliver(state.perform(job));
  });
}

}  // namespace reeve::agent

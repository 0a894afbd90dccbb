#include "tools/cli/trace/trace_workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "bus/client.hpp"
#include "bus/ordered_events.hpp"
#include "bus/pipeline.hpp"
#include "cluster/types.hpp"
#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/session/submission.hpp"

namespace reeve::tools {
namespace {

// Nothing ends for this long: the cell stands still.
constexpr std::uint64_t silence_ns_max = 300 * second_ns;
constexpr std::chrono::milliseconds again_pause{20};
constexpr std::chrono::minutes drain_timeout{10};

std::uint64_t compressed(std::uint64_t ns, double factor) {
  return factor <= 0
             ? 0
             : static_cast<std::uint64_t>(static_cast<double>(ns) / factor);
}

// Requests that one command submits: one alone, or those of an array.
struct Part {
  std::size_t first = 0;
  std::size_t count = 1;
};

std::vector<Part> parts_of(const std::vector<TraceRequest>& requests) {
  std::vector<Part> out;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const bool goes_on = !out.empty() && requests[i].array &&
                         requests[i].array == requests[out.back().first].array;
    if (goes_on)
      ++out.back().count;
    else
      out.push_back({i});
  }
  return out;
}

Submission submission_of(const TraceRequest& request, std::size_t count,
                         const TraceOptions& options) {
  Submission out;
  out.name = request.name;
  if (const auto user = options.users.find(request.user);
      user != options.users.end()) {
    out.user = user->first;
    out.uid = user->second.uid;
    out.gid = user->second.gid;
  }
  if (options.groups) out.group = request.group;
  out.on_node = request.on_node;
  out.priority = request.priority;
  out.tasks = request.tasks;
  out.nodes = request.nodes;
  out.requeue_max = request.requeue_max;
  out.cpu_milli = request.cpu_milli;
  out.memory_bytes = request.memory_bytes;
  out.gpus = request.gpus;
  out.gpu_milli = request.gpu_milli;
  out.gpu_memory_bytes = request.gpu_memory_bytes;
  out.gpu_models = request.gpu_models;
  out.constraint = request.constraint;
  out.prefer = request.prefer;
  out.together = request.together;
  out.apart = request.apart;
  out.within = request.within;
  out.ends_on_preempt = request.ends_on_preempt;
  out.simulated = true;
  const std::uint64_t duration_ns = request.duration_ns.value_or(0);
  out.sim_duration_ns = compressed(duration_ns, options.compress);
  // A limit that the recorded run went beyond would cut it here.
  if (request.time_limit_ns > duration_ns)
    out.time_limit_ns = compressed(request.time_limit_ns, options.compress);
  if (request.array)
    out.array =
        ArrayWish{request.array_index,
                  request.array_index + static_cast<std::uint32_t>(count) - 1,
                  request.array_running_max};
  return out;
}

double percentile(std::vector<std::uint64_t>& sorted_ns, double part) {
  if (sorted_ns.empty()) return 0;
  const auto index = static_cast<std::size_t>(
      part * static_cast<double>(sorted_ns.size() - 1) + 0.5);
  return static_cast<double>(sorted_ns[index]) / 1e6;
}

// What the events tell of our sessions. Events of a session may come before
// the reply that tells its number, so all are kept that are not known to be
// another's; under the lock of Watch.
class Ledger {
 public:
  void event(const schema::Event& event) {
    if (const auto* body = event.body_as_SessionSubmitted())
      entries_[body->session()].submitted_at = event.time_at();
    else if (const auto* placed = event.body_as_SessionPlaced())
      note_placed(entries_[placed->session()], event.time_at());
    else if (const auto* ended = event.body_as_SessionEnded())
      note_end(entries_[ended->session()], ended->state(), event.time_at());
  }

  void ours(std::uint64_t session) {
    Entry& entry = entries_[session];
    entry.ours = true;
    accepted_ += 1;
    placed_ += entry.placed_at != 0;
    ended_ += entry.ended_at != 0;
    finished_ += entry.succeeded;
  }

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t placed() const { return placed_; }
  std::uint64_t ended() const { return ended_; }
  std::uint64_t finished() const { return finished_; }

  // Waits of ours from submission to placement, sorted; the first submission,
  // last placement and last end.
  struct Times {
    std::vector<std::uint64_t> waits_ns;
    std::uint64_t first_submitted_at = UINT64_MAX;
    std::uint64_t last_placed_at = 0;
    std::uint64_t last_ended_at = 0;
  };
  Times times() const {
    Times out;
    for (const auto& [session, entry] : entries_) {
      if (!entry.ours || entry.submitted_at == 0) continue;
      out.first_submitted_at =
          std::min(out.first_submitted_at, entry.submitted_at);
      out.last_placed_at = std::max(out.last_placed_at, entry.placed_at);
      out.last_ended_at = std::max(out.last_ended_at, entry.ended_at);
      if (entry.placed_at >= entry.submitted_at)
        out.waits_ns.push_back(entry.placed_at - entry.submitted_at);
    }
    std::sort(out.waits_ns.begin(), out.waits_ns.end());
    return out;
  }

 private:
  struct Entry {
    std::uint64_t submitted_at = 0;
    std::uint64_t placed_at = 0;
    std::uint64_t ended_at = 0;
    bool ours = false;
    bool succeeded = false;
  };

  void note_placed(Entry& entry, std::uint64_t at) {
    if (entry.placed_at != 0) return;
    entry.placed_at = at;
    placed_ += entry.ours;
  }
  void note_end(Entry& entry, schema::SessionState state, std::uint64_t at) {
    if (entry.ended_at != 0) return;
    entry.ended_at = at;
    entry.succeeded = state == schema::SessionState::succeeded;
    ended_ += entry.ours;
    finished_ += entry.ours && entry.succeeded;
  }

  std::unordered_map<std::uint64_t, Entry> entries_;
  std::uint64_t accepted_ = 0;
  std::uint64_t placed_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t finished_ = 0;
};

// Shared with the library's threads.
struct Watch {
  std::mutex mutex;
  Ledger ledger;
  std::map<std::string, std::uint64_t> refused;
  std::deque<Part> again;  // what is to be sent once more
  std::uint64_t tried_again = 0;
  std::optional<Error> error;
};

class Run {
 public:
  Run(Cell& cell, const std::vector<TraceRequest>& requests,
      const TraceOptions& options, bool quiet)
      : cell_(cell), requests_(requests), options_(options), quiet_(quiet) {}

  Expected<TraceSummary> run() {
    auto feed = open_feed();
    if (!feed) return tl::unexpected(feed.error());
    if (auto good = submit_all(); !good) return tl::unexpected(good.error());
    if (auto good = wait_for_ends(); !good) return tl::unexpected(good.error());
    feed->reset();
    return summary();
  }

 private:
  Expected<std::unique_ptr<bus::EventFeed>> open_feed() {
    const auto head = cell_.log_head();
    if (!head) return tl::unexpected(head.error());
    bus::EventFeedOptions options;
    options.from_sequence = *head + 1;
    return bus::EventFeed::open(
        cell_.connection(), cell_.subjects(), cell_.quarantine(),
        [watch = watch_](const schema::Event& event, const bus::Buffer&) {
          const std::lock_guard lock(watch->mutex);
          watch->ledger.event(event);
        },
        options);
  }

  static void take_reply(Watch& watch, Part part,
                         const Expected<bus::Buffer>& buffer) {
    const std::lock_guard lock(watch.mutex);
    if (!buffer) {
      watch.error = buffer.error();
      return;
    }
    const auto* reply = schema::verified<schema::Reply>(*buffer);
    const auto* rejection = reply->rejection();
    if (rejection == nullptr) {
      for (std::size_t i = 0; i < part.count; ++i)
        watch.ledger.ours(reply->session() + i);
    } else if (rejection->code() == schema::RejectCode::try_again) {
      watch.again.push_back(part);
      ++watch.tried_again;
    } else {
      watch.refused[std::string(
          rejection->rule() ? schema::text(rejection->rule())
                            : schema::text(rejection->text()))] += part.count;
    }
  }

  Status send(bus::Pipeline& pipeline, Part part) {
    const schema::Id128 id = random_id();
    const auto bytes = encode_submit(
        submission_of(requests_[part.first], part.count, options_), id.high(),
        id.low());
    if (!bytes) return tl::unexpected(bytes.error());
    return pipeline.submit(
        *bytes, [watch = watch_, part](const Expected<bus::Buffer>& buffer) {
          take_reply(*watch, part, buffer);
        });
  }

  // How long the longest of them is to run.
  std::uint64_t longest() const {
    std::uint64_t out = 0;
    for (const TraceRequest& request : requests_)
      out = std::max(
          out, compressed(request.duration_ns.value_or(0), options_.compress));
    return out;
  }

  // Waits for the request's turn in the trace.
  void keep_pace(std::size_t index, std::uint64_t begun_ns) const {
    const std::uint64_t due =
        begun_ns +
        compressed(requests_[index].arrival_ns - requests_.front().arrival_ns,
                   options_.compress);
    const std::uint64_t now = monotonic_ns();
    if (requests_[index].arrival_ns > requests_.front().arrival_ns && due > now)
      std::this_thread::sleep_for(std::chrono::nanoseconds(due - now));
  }

  Status submit_all() {
    bus::PipelineOptions pipeline_options;
    pipeline_options.in_flight_max = options_.window;
    bus::Pipeline pipeline(cell_.client(), pipeline_options);
    Progress progress(quiet_);
    const std::uint64_t begun_ns = monotonic_ns();
    for (const Part part : parts_of(requests_)) {
      if (options_.compress > 0) keep_pace(part.first, begun_ns);
      if (auto good = send(pipeline, part); !good) return good;
      if (progress.due())
        progress.show(
            fmt::format("submitted {} of {}", part.first, requests_.size()));
    }
    for (;;) {
      if (auto good = pipeline.drain(drain_timeout); !good) return good;
      std::deque<Part> again;
      {
        const std::lock_guard lock(watch_->mutex);
        if (watch_->error) return tl::unexpected(*watch_->error);
        again.swap(watch_->again);
      }
      if (again.empty()) return {};
      std::this_thread::sleep_for(again_pause);
      for (const Part part : again)
        if (auto good = send(pipeline, part); !good) return good;
    }
  }

  Status wait_for_ends() {
    Progress progress(quiet_);
    std::uint64_t ended = 0;
    std::uint64_t moved_ns = monotonic_ns();
    bool connected = true;
    const std::uint64_t longest_ns = longest();
    for (;;) {
      std::uint64_t now_ended = 0;
      std::uint64_t accepted = 0;
      {
        const std::lock_guard lock(watch_->mutex);
        now_ended = watch_->ledger.ended();
        accepted = watch_->ledger.accepted();
      }
      if (now_ended >= accepted) return {};
      if (now_ended != ended) moved_ns = monotonic_ns();
      ended = now_ended;
      if (std::exchange(connected, cell_.connection().connected()) &&
          !connected && !quiet_)
        say("reeve: the cell does not answer; waiting for it");
      if (monotonic_ns() - moved_ns > silence_ns_max + longest_ns)
        return fail(
            Errc::unreachable,
            fmt::format("{} of {} ended and nothing moves; \"reeve ps\" "
                        "and \"reeve why ID\" say more",
                        ended, counted(accepted, "session")));
      if (progress.due())
        progress.show(fmt::format("ended {} of {}", ended, accepted));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  TraceSummary summary() {
    const std::lock_guard lock(watch_->mutex);
    TraceSummary out;
    out.accepted = watch_->ledger.accepted();
    out.placed = watch_->ledger.placed();
    out.finished = watch_->ledger.finished();
    out.tried_again = watch_->tried_again;
    out.refused = watch_->refused;
    auto times = watch_->ledger.times();
    if (out.accepted == 0) return out;
    const auto seconds = [&](std::uint64_t to) {
      return to <= times.first_submitted_at
                 ? 0.0
                 : static_cast<double>(to - times.first_submitted_at) / 1e9;
    };
    out.wall_s = seconds(times.last_ended_at);
    const double placing_s = seconds(times.last_placed_at);
    if (out.wall_s > 0)
      out.sessions_per_s = static_cast<double>(out.finished) / out.wall_s;
    if (placing_s > 0)
      out.placements_per_s = static_cast<double>(out.placed) / placing_s;
    out.submit_to_placed_p50_ms = percentile(times.waits_ns, 0.50);
    out.submit_to_placed_p99_ms = percentile(times.waits_ns, 0.99);
    return out;
  }

  Cell& cell_;
  const std::vector<TraceRequest>& requests_;
  const TraceOptions options_;
  const bool quiet_;
  std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
};

}  // namespace

Expected<TraceSummary> run_trace(Cell& cell,
                                 const std::vector<TraceRequest>& requests,
                                 const TraceOptions& options, bool quiet) {
  return Run(cell, requests, options, quiet).run();
}

}  // namespace reeve::tools

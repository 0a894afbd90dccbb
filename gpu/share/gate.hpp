// Lets kernels start only in the session's own time of a device. Events behind
// the kernels tell how long they take, so that no more is queued than what the
// device does in the next moments: the time after the span belongs to others.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "gpu/share/driver.hpp"
#include "gpu/share/pacing.hpp"

namespace reeve::gpu::share {

// A stream as it was given: 0 is another stream where streams are per thread.
struct Lane {
  cuda::Stream stream = nullptr;
  int per_thread = 0;
};

// Of one device; used by all threads of the process. An event belongs to the
// context it was made in and dies with it.
class Gate {
  struct Mark {
    cuda::Event event;
    int kernels;
    cuda::Context context;
  };
  struct Events {
    std::vector<cuda::Event> spare;
    cuda::Event last_done = nullptr;
  };

 public:
  explicit Gate(LedgerDevice& device) : pacing_(device) {}

  bool open() const { return pacing_.whole(); }
  // Waits until a kernel may start. False, at once, while the stream is being
  // captured: then after() is not for it.
  bool before(const Lane& lane);
  enum class Work { kernel, graph };
  void after(const Lane& lane, Work work);
  // Looks for kernels that are done; how long until the next look, in ns.
  std::int64_t watch(std::int64_t now_ns);
  // The process ends: the driver is asked nothing more.
  void close();

  // What is known by the events of one context.
  struct OfContext {
    std::deque<Mark> marks;
    Events events;
  };
  // Before a context may end: its events are asked no more.
  OfContext take_out(cuda::Context context);
  // It has not ended.
  void put_back(cuda::Context context, OfContext known);
  // It has ended, and its kernels with it.
  void ended(std::int64_t now_ns);

  // Work that may wait on the device, as a measure of time.
  static constexpr std::int64_t queued_ns_most = 2'000'000;
  static constexpr std::int64_t between_marks_ns = 250'000;
  static constexpr int between_marks_most = 1024;
  static constexpr std::size_t marks_most = 64;

 private:
  void reap(std::int64_t now_ns);
  void measure(const Mark& mark);
  bool may_queue() const;
  // An event behind all work of the lane; null where there can be none.
  cuda::Event record(cuda::Context context, const Lane& lane);
  void settle(std::int64_t now_ns);

  Pacing pacing_;
  std::mutex mutex_;
  bool closed_ = false;
  std::deque<Mark> marks_;
  std::unordered_map<cuda::Context, Events> events_;
  std::unordered_map<std::uint64_t, int> unmarked_;  // kernels by lane
  double kernel_ns_ = between_marks_ns;              // as measured, smoothed
  std::int64_t busy_from_ns_ = 0;  // 0: nothing is known to run
  std::int64_t marked_ns_ = 0;     // when the last mark was made
};

std::int64_t monotonic_ns();

// The gate of the calling thread's current device; null where kernels start
// freely.
Gate* current_gate();

// What the gates know of a context while a call to the driver may end it.
class ContextEnd {
 public:
  explicit ContextEnd(cuda::Context context);
  // Tells whether it has ended.
  void done(bool ended);

 private:
  cuda::Context context_;
  std::vector<Gate::OfContext> known_;  // by device; empty: nothing is paced
};

}  // namespace reeve::gpu::share

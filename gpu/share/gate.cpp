#include "gpu/share/gate.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "gpu/share/charged.hpp"

namespace reeve::gpu::share {
namespace {

constexpr std::int64_t look_busy_ns = 200'000;
constexpr std::int64_t look_own_time_ns = 1'000'000;
constexpr std::int64_t look_idle_ns = 5'000'000;
constexpr std::int64_t wait_step_ns = 50'000;

void pause_ns(std::int64_t ns) {
  const timespec time = {ns / 1'000'000'000, ns % 1'000'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

std::uint64_t key_of(const Lane& lane) {
  return reinterpret_cast<std::uintptr_t>(lane.stream) * 2 +
         static_cast<unsigned>(lane.per_thread);
}

// The gates of this process and the thread that watches them.
class Gates {
 public:
  static Gates& get() {
    static auto* const gates = new Gates;
    return *gates;
  }

  Gate* of(std::size_t device) { return gates_[device].get(); }
  std::vector<std::unique_ptr<Gate>>& all() { return gates_; }

  void close() {
    for (auto& gate : gates_) gate->close();
  }

 private:
  Gates() {
    Ledger& ledger = Session::get().ledger();
    for (std::size_t i = 0; i < ledger.device_count(); ++i)
      gates_.push_back(std::make_unique<Gate>(ledger.device(i)));
    // The program's signals are not for this thread.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([this] { watch(); }).detach();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    std::atexit([] { Gates::get().close(); });
  }

  void watch() {
    for (;;) {
      std::int64_t next = look_idle_ns;
      for (auto& gate : gates_)
        next = std::min(next, gate->watch(monotonic_ns()));
      pause_ns(next);
    }
  }

  std::vector<std::unique_ptr<Gate>> gates_;
};

bool any_paced() {
  Session& session = Session::get();
  if (session.member() != Session::Member::yes) return false;
  Ledger& ledger = session.ledger();
  for (std::size_t i = 0; i < ledger.device_count(); ++i)
    if (!Pacing(ledger.device(i)).whole()) return true;
  return false;
}

bool paced() {
  static const bool is = any_paced();
  return is;
}

}  // namespace

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

Gate* current_gate() {
  if (!paced()) return nullptr;
  Session& session = Session::get();
  const std::size_t device = session.current_device();
  if (device >= session.ledger().device_count()) return nullptr;
  Gate* gate = Gates::get().of(device);
  return gate->open() ? nullptr : gate;
}

bool Gate::may_queue() const {
  if (marks_.size() < 2) return true;
  if (marks_.size() >= marks_most) return false;
  double queued = 0;
  for (const Mark& mark : marks_) queued += kernel_ns_ * mark.kernels;
  return queued < queued_ns_most;
}

bool Gate::before(const Lane& lane) {
  int capturing = 0;
  const auto ask = Driver::get().is_capturing[lane.per_thread];
  if (ask && ask(lane.stream, &capturing) == 0 && capturing != 0) return false;
  for (;;) {
    const std::int64_t now = monotonic_ns();
    const std::int64_t wait = pacing_.wait_ns(now);
    {
      const std::lock_guard lock(mutex_);
      // The driver is asked about kernels only when it matters.
      if (wait != 0 || !may_queue()) reap(now);
      if (wait == 0 && may_queue()) {
        if (busy_from_ns_ == 0) busy_from_ns_ = now;
        return true;
      }
    }
    pause_ns(wait == 0 ? wait_step_ns : std::min(wait, look_idle_ns));
  }
}

void Gate::after(const Lane& lane, Work work) {
  const std::lock_guard lock(mutex_);
  int& unmarked = unmarked_[key_of(lane)];
  ++unmarked;
  const std::int64_t now = monotonic_ns();
  const bool enough = unmarked * kernel_ns_ >= between_marks_ns ||
                      unmarked >= between_marks_most ||
                      now - marked_ns_ >= between_marks_ns;
  if (work == Work::kernel && !enough) return;
  const cuda::Context context = current_context();
  const cuda::Event event = record(context, lane);
  if (!event) return;
  marks_.push_back({event, unmarked, context});
  marked_ns_ = now;
  unmarked = 0;
}

cuda::Event Gate::record(cuda::Context context, const Lane& lane) {
  const Driver& driver = Driver::get();
  const auto write = driver.event_record[lane.per_thread];
  auto& spare = events_[context].spare;
  if (!spare.empty()) {
    const cuda::Event event = spare.back();
    spare.pop_back();
    if (write(event, lane.stream) == cuda::success) return event;
    // It may have died unseen, and the others with it: they are left alone.
    spare.clear();
  }
  cuda::Event event = nullptr;
  if (!driver.event_create || driver.event_create(&event, 0) != 0)
    return nullptr;
  if (write(event, lane.stream) == cuda::success) return event;
  if (driver.event_destroy) driver.event_destroy(event);
  return nullptr;
}

// The time from one mark to the next is that of its kernels, and of nothing
// where the device was idle between: the smaller values are the true ones.
void Gate::measure(const Mark& mark) {
  float ms = 0;
  const auto elapsed = Driver::get().event_elapsed;
  const cuda::Event before = events_[mark.context].last_done;
  if (!before || !elapsed || elapsed(&ms, before, mark.event) != 0 || ms <= 0)
    return;
  const double each = ms * 1e6 / mark.kernels;
  kernel_ns_ = each < kernel_ns_ ? each * 0.5 + kernel_ns_ * 0.5
                                 : each * 0.125 + kernel_ns_ * 0.875;
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void Gate::reap(std::int64_t now_ns) {
  if (closed_) return;
  while (!marks_.empty()) {
    const Mark mark = marks_.front();
    const cuda::Result done = Driver::get().event_query(mark.event);
    if (done == cuda::not_ready) return;
    marks_.pop_front();
    if (done != cuda::success) continue;  // it is good for nothing more
    measure(mark);
    Events& events = events_[mark.context];
    if (events.last_done) events.spare.push_back(events.last_done);
    events.last_done = mark.event;
  }
  settle(now_ns);
}

void Gate::settle(std::int64_t now_ns) {
  if (busy_from_ns_ == 0) return;
  pacing_.used(busy_from_ns_, now_ns);
  busy_from_ns_ = 0;
}

Gate::OfContext Gate::take_out(cuda::Context context) {
  const std::lock_guard lock(mutex_);
  OfContext known;
  if (const auto at = events_.find(context); at != events_.end()) {
    known.events = std::move(at->second);
    events_.erase(at);
  }
  std::deque<Mark> others;
  for (const Mark& mark : marks_)
    (mark.context == context ? known.marks : others).push_back(mark);
  marks_ = std::move(others);
  return known;
}

void Gate::put_back(cuda::Context context, OfContext known) {
  const std::lock_guard lock(mutex_);
  marks_.insert(marks_.begin(), known.marks.begin(), known.marks.end());
  Events& events = events_[context];
  for (const cuda::Event event : known.events.spare)
    events.spare.push_back(event);
  if (!events.last_done)
    events.last_done = known.events.last_done;
  else if (known.events.last_done)
    events.spare.push_back(known.events.last_done);
}

void Gate::ended(std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  if (!closed_ && marks_.empty()) settle(now_ns);
}

std::int64_t Gate::watch(std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  if (closed_ || marks_.empty()) return look_idle_ns;
  if (const auto set = Driver::get().context_set; marks_.front().context && set)
    set(marks_.front().context);
  reap(now_ns);
  if (marks_.empty()) return look_own_time_ns;
  return pacing_.wait_ns(now_ns) == 0 ? look_own_time_ns : look_busy_ns;
}

ContextEnd::ContextEnd(cuda::Context context) : context_(context) {
  if (!context || !paced()) return;
  for (auto& gate : Gates::get().all())
    known_.push_back(gate->take_out(context));
}

void ContextEnd::done(bool ended) {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    Gate& gate = *Gates::get().all()[i];
    if (ended)
      gate.ended(monotonic_ns());
    else
      gate.put_back(context_, std::move(known_[i]));
  }
}

}  // namespace reeve::gpu::share

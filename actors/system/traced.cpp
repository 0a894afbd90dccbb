#include "actors/system/traced.hpp"

#include <caf/mailbox_element.hpp>
#include <chrono>
#include <deque>
#include <mutex>

// CAF is built without instrumentation: tell the thread sanitizer about the
// hand-over of a new actor and of a message, or it sees races where there are
// none.
#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#else
static inline void __tsan_acquire(void*) {}
static inline void __tsan_release(void*) {}
#endif

namespace reeve::actors {
namespace {

std::uint64_t steady_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::steady_clock::now().time_since_epoch().count());
}

void count(ActorFigures& figures, const ActorRecord& record) {
  // Read in this order, a message that is handled meanwhile still waits.
  const std::uint64_t handled = record.handled;
  const std::uint64_t enqueued = record.enqueued;
  figures.handled += handled;
  figures.busy_ns += record.busy_ns;
  if (!record.ended && enqueued > handled)
    figures.waiting += enqueued - handled;
}

}  // namespace

struct ActorRegistry::Impl {
  mutable std::mutex mutex;
  std::deque<std::shared_ptr<ActorRecord>> records;
  std::map<std::string, ActorFigures> forgotten;
};

ActorRegistry::ActorRegistry() : impl_(std::make_unique<Impl>()) {}
ActorRegistry::~ActorRegistry() = default;

ActorRegistry& ActorRegistry::instance() {
  static ActorRegistry registry;
  return registry;
}

void ActorRegistry::add(std::shared_ptr<ActorRecord> record) {
  const std::lock_guard lock(impl_->mutex);
  std::size_t ended = 0;
  for (const auto& known : impl_->records) ended += known->ended ? 1 : 0;
  for (auto at = impl_->records.begin();
       ended > ended_records_max && at != impl_->records.end();) {
    if ((*at)->ended) {
      count(impl_->forgotten[(*at)->name], **at);
      at = impl_->records.erase(at);
      --ended;
    } else {
      ++at;
    }
  }
  impl_->records.push_back(std::move(record));
}

std::vector<std::shared_ptr<ActorRecord>> ActorRegistry::list() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->records.begin(), impl_->records.end()};
}

std::map<std::string, ActorFigures> ActorRegistry::figures() const {
  const std::lock_guard lock(impl_->mutex);
  auto out = impl_->forgotten;
  for (const auto& record : impl_->records) count(out[record->name], *record);
  return out;
}

TracedActor::TracedActor(caf::actor_config& config)
    : caf::event_based_actor(config), record_(std::make_shared<ActorRecord>()) {
  record_->id = id();
  attach_functor([record = record_] { record->ended = true; });
}

TracedActor::~TracedActor() = default;

void TracedActor::launch(caf::execution_unit* unit, bool lazy, bool hidden) {
  __tsan_release(this);
  caf::event_based_actor::launch(unit, lazy, hidden);
}

void TracedActor::initialize() {
  caf::event_based_actor::initialize();
  __tsan_release(record_.get());
}

void TracedActor::enqueue(caf::mailbox_element_ptr element,
                          caf::execution_unit* unit) {
  record_->enqueued.fetch_add(1, std::memory_order_relaxed);
  __tsan_release(element.get());
  caf::event_based_actor::enqueue(std::move(element), unit);
}

caf::invoke_message_result TracedActor::consume(caf::mailbox_element& element) {
  __tsan_acquire(&element);
  const std::uint64_t begin = steady_ns();
  const auto result = caf::event_based_actor::consume(element);
  record_->busy_ns.fetch_add(steady_ns() - begin, std::memory_order_relaxed);
  record_->handled.fetch_add(1, std::memory_order_relaxed);
  // Here and not in `resume`: before that returns, the actor may already go on
  // in another thread.
  __tsan_release(record_.get());
  return result;
}

caf::resumable::resume_result TracedActor::resume(caf::execution_unit* unit,
                                                  std::size_t throughput) {
  __tsan_acquire(this);
  __tsan_acquire(record_.get());
  return caf::event_based_actor::resume(unit, throughput);
}

void record_spawn(TracedActor& actor, std::string name, std::uint64_t parent,
                  const std::source_location& place) {
  const auto& record = actor.record();
  record->parent = parent;
  record->name = std::move(name);
  record->place =
      std::string(place.file_name()) + ":" + std::to_string(place.line());
  record->spawned_at = static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch().count());
  ActorRegistry::instance().add(record);
}

}  // namespace reeve::actors

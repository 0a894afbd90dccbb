// The base of every actor shell: counts its mailbox, knows what it handled
// last and for how long, and is recorded when it is spawned. A shell decides
// nothing; its core does.
#pragma once

#include <atomic>
#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace reeve::actors {

// Read from any thread; written by the actor's senders and the actor itself.
struct ActorRecord {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::string name;
  std::string place;  // source file and line of the spawn
  std::uint64_t spawned_at = 0;
  std::atomic<std::uint64_t> enqueued{0};
  std::atomic<std::uint64_t> handled{0};
  std::atomic<std::uint64_t> busy_ns{0};
  std::atomic<bool> ended{false};
};

// Of all shells of one name together.
struct ActorFigures {
  std::uint64_t waiting = 0;  // messages for those that live, one at hand too
  std::uint64_t handled = 0;
  std::uint64_t busy_ns = 0;
};

// All shells of this process, the ended ones too (bounded).
class ActorRegistry {
 public:
  static constexpr std::size_t ended_records_max = 1024;
  static ActorRegistry& instance();
  void add(std::shared_ptr<ActorRecord> record);
  std::vector<std::shared_ptr<ActorRecord>> list() const;
  // By name: few, for they come from the code and the settings. What was
  // handled counts on when its record is forgotten.
  std::map<std::string, ActorFigures> figures() const;

 private:
  struct Impl;
  ActorRegistry();
  ~ActorRegistry();
  std::unique_ptr<Impl> impl_;
};

class TracedActor : public caf::event_based_actor {
 public:
  explicit TracedActor(caf::actor_config& config);
  ~TracedActor() override;

  void launch(caf::execution_unit* unit, bool lazy, bool hidden) override;
  void initialize() override;
  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr element,
               caf::execution_unit* unit) override;
  caf::invoke_message_result consume(caf::mailbox_element& element) override;
  caf::resumable::resume_result resume(caf::execution_unit* unit,
                                       std::size_t throughput) override;

  const std::shared_ptr<ActorRecord>& record() const { return record_; }

 private:
  std::shared_ptr<ActorRecord> record_;
};

void record_spawn(TracedActor& actor, std::string name, std::uint64_t parent,
                  const std::source_location& place);

// The one way to spawn a shell. `Shell` derives from TracedActor.
template <class Shell, caf::spawn_options Options = caf::no_spawn_options,
          class... Args>
caf::actor spawn_shell(caf::actor_system& system, std::string name,
                       const std::source_location& place, Args&&... args) {
  auto handle = system.spawn<Shell, Options>(std::forward<Args>(args)...);
  auto* pointer = caf::actor_cast<caf::abstract_actor*>(handle);
  record_spawn(dynamic_cast<TracedActor&>(*pointer), std::move(name), 0, place);
  return handle;
}

}  // namespace reeve::actors

// How the actor system of a daemon is set up.
#pragma once

#include <caf/actor_system_config.hpp>
#include <cstddef>

namespace reeve::tools {

// Messages that one actor handles before others get their turn.
inline constexpr std::size_t messages_per_turn = 300;
inline constexpr std::size_t actor_threads = 2;

class ActorConfig : public caf::actor_system_config {
 public:
  explicit ActorConfig(std::size_t more_threads) {
    // CAF's default wakes a receiver up to 10 ms late while its sender is busy.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", actor_threads + more_threads);
    set("scheduler.max-throughput", messages_per_turn);
  }
};

}  // namespace reeve::tools

// The agent's thread at the keeper's socket: nothing of the agent waits for
// the keeper. It connects (starting the keeper where there is none), connects
// again when the keeper is gone, and hands over what the keeper says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "actors/agent/core.hpp"
#include "actors/agent/keeper/client.hpp"

namespace reeve::agent {

// Connected: what the keeper remembers, before anything else it says.
struct KeeperReady {
  std::vector<keeper::TaskStatus> tasks;
  Newest newest;
  std::vector<std::string> limits;
  int keeper_pid = 0;
  std::uint64_t connection = 0;  // counted from 1
};

// Not connected any more, or not yet; it goes on trying.
struct KeeperLost {
  Error error;
};

using KeeperEvent =
    std::variant<KeeperReady, KeeperLost, keeper::Started, keeper::StartFailed,
                 keeper::Exited, keeper::Refused>;

// How long until the next try to reach a keeper that does not come up.
inline constexpr int keeper_retry_ms = 1'000;
// What is to be forgotten goes with the next order, or after so long.
inline constexpr int forget_wait_ms = 1'000;

class KeeperLink {
 public:
  // Both are called on the link's own thread. A task's output, and the call of
  // `ended`, come before the event that tells its end.
  struct Handlers {
    std::function<void(std::vector<KeeperEvent>)> events;
    std::function<void(const keeper::Output&)> output;
    std::function<void(const TaskKey&)> ended;
  };

  KeeperLink(keeper::ClientConfig config, Handlers handlers);
  // Leaves the keeper and its tasks as they are.
  ~KeeperLink();
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;

  // Returns at once; any thread. `connection`: the newest that the caller has
  // heard of. What is ordered while the keeper is lost, or before the list of
  // the next connection was read, is dropped: the list tells.
  void perform(std::uint64_t connection, std::vector<TaskSpec> launches,
               std::vector<StopTask> stops, std::vector<SignalTask> signals,
               std::vector<TaskKey> forgets, std::uint64_t heard);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve::agent

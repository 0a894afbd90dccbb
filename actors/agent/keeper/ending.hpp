// Ends a keeper and all that runs under it, though it may be stopped or deaf.
#pragma once

#include <chrono>
#include <string>

#include "actors/agent/keeper/client.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// Its tasks get `terminate_grace_ms` of it.
inline constexpr std::chrono::milliseconds end_grace{10'000};

// The pid of the keeper that holds the directory; 0: none lives.
int living_keeper(const std::string& directory);

struct Ended {
  int pid = 0;          // 0: there was none
  bool killed = false;  // it did not end by itself within the grace
};

// SIGTERM, which ends its tasks first, and SIGKILL after `grace`: the kernel
// ends the tasks with it. What a killed one leaves (control groups, scratch
// directories) is cleared by another, where `config.program` names it.
Expected<Ended> end_keeper(const ClientConfig& config,
                           std::chrono::milliseconds grace = end_grace);

// SIGKILL at once, the tasks with it. False: none lives.
bool kill_keeper(const std::string& directory);

}  // namespace reeve::keeper

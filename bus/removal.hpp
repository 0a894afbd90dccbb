// Whether a host whose key the bus refuses was removed from its cell. One
// server alone does not say so where there are several: it may not have read
// yet who joined.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "bus/credentials.hpp"

namespace reeve::bus {

enum class KeyAnswer { taken, refused, none };

// What each server of the credentials says to their key, in their order.
// Blocks, for each of them at most about `timeout`.
std::vector<KeyAnswer> ask_each(const Credentials& credentials,
                                std::chrono::milliseconds timeout);

// Of several servers, for so long none may take the key: the choice of a leader
// and what its followers then read are over.
inline constexpr std::chrono::seconds refused_min{30};

// Pure: the time comes in.
class Removal {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  // After one more round: at least half of the servers refuse, and none takes
  // it. Of one server, the first time; of several, for `refused_min`.
  bool confirmed(const std::vector<KeyAnswer>& answers, Moment now);

 private:
  std::optional<Moment> since_;
};

}  // namespace reeve::bus

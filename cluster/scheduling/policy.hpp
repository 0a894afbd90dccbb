// How one resource group orders its queue, what may pass a session that waits
// for room, where tasks go, and who has to make room: a value, written as text.
// Pure.
//
// The text is a list of `key=value`, separated by commas, and a value alone
// stands for its key: "order=fifo,packing=best_fit" is "fifo, best_fit". What
// is left out has its default; that of `backfill` depends on the order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/error.hpp"
#include "cluster/types.hpp"

namespace reeve::cluster {

// Who is next among sessions of the same priority.
enum class Order {
  fifo,         // the earlier submission
  lifo,         // the later submission
  sjf,          // the shorter one, by its estimated length
  drf,          // of the user with the least dominant share of the group
  fair_share,   // of the project, and in it the user, that used least
  multifactor,  // the highest sum of age, size and fair share
};

// What may start while an earlier session waits for room.
enum class Backfill {
  none,          // nothing
  greedy,        // whatever fits, until the head's patience ends
  easy,          // what does not delay the head
  conservative,  // what delays none of the first `depth` that wait
};

// Which of the places that fit is taken.
enum class Packing {
  best_fit,  // the one with the least left over
  pack,      // on the fullest node, so that idle nodes stay idle
  spread,    // on the emptiest node and device
  // The one that takes least from what the requests that usually come could
  // use (outlook.hpp).
  fragmentation,
};

// Where the length of a session is taken from.
enum class EstimateSource {
  limit,    // its time limit
  history,  // what its user's sessions of the same name took, where known
};

// Who has to make room for a session that waits.
enum class MakeRoom {
  off,       // nobody
  priority,  // sessions of a lower priority
  fair,      // also those of users who hold more than their share
};

// How much a unit of a resource counts as.
struct ResourceWeights {
  double cpu = 1.0 / 16;
  double memory = 1.0 / 128;  // of a GiB
  double gpu = 1;
  bool operator==(const ResourceWeights&) const = default;
};

// How much each part of a multi-factor order counts: an hour of age, a GPU (or
// 16 CPUs) asked for, an account that used nothing.
struct FactorWeights {
  double age = 1;
  double size = 0;
  double fair = 24;
  bool operator==(const FactorWeights&) const = default;
};

inline constexpr std::uint32_t backfill_depth_max = 1000;
inline constexpr std::uint64_t policy_duration_ns_max =
    366ull * 24 * 3600 * second_ns;
inline constexpr double policy_weight_max = 1e6;

struct Policy {
  Order order = Order::fifo;
  Backfill backfill = Backfill::greedy;
  Packing packing = Packing::best_fit;
  EstimateSource estimates = EstimateSource::limit;
  MakeRoom preemption = MakeRoom::off;
  std::uint32_t depth = 64;  // sessions a conservative plan is made for
  std::uint64_t half_life_ns =
      7ull * 24 * 3600 * second_ns;  // of what was used
  // A session that ran for less is not preempted.
  std::uint64_t preempt_after_ns = 600 * second_ns;
  ResourceWeights weights;
  FactorWeights factors;

  bool operator==(const Policy&) const = default;

  // The order of two sessions changes with what their owners hold or used.
  bool by_account() const {
    return order == Order::drf || order == Order::fair_share ||
           order == Order::multifactor;
  }
  // It matters who holds what on a node.
  bool tracked() const { return planned() || preemption != MakeRoom::off; }
  // Places are kept for sessions that wait, from a moment on.
  bool planned() const {
    return backfill == Backfill::easy || backfill == Backfill::conservative;
  }
};

// An unknown key or value is refused with the nearest known one, a key that is
// given twice with its name, a number with its bounds.
Expected<Policy> parse_policy(std::string_view text);

// All choices, and the numbers that differ from their defaults, in an order
// that is always the same; parses to an equal policy.
std::string to_text(const Policy& policy);

}  // namespace reeve::cluster

// How one resource group orders its queue, what may pass a session that waits
// for room, and where tasks go: a value, written as text. Pure.
//
// The text is a list of `key=value`, separated by commas, and a value alone
// stands for its key: "order=fifo,packing=best_fit" is "fifo, best_fit". What
// is left out has its default.
#pragma once

#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve::cluster {

// Who is next among sessions of the same priority.
enum class Order {
  fifo,  // the earlier submission
};

// What may start while an earlier session waits for room.
enum class Backfill {
  greedy,  // whatever fits, until the head's patience ends (scheduler.hpp)
};

// Which of the places that fit is taken.
enum class Packing {
  best_fit,  // the one with the least left over
};

struct Policy {
  Order order = Order::fifo;
  Backfill backfill = Backfill::greedy;
  Packing packing = Packing::best_fit;

  bool operator==(const Policy&) const = default;
};

// An unknown key or value is refused with the nearest known one, a key that is
// given twice with its name.
Expected<Policy> parse_policy(std::string_view text);

// All keys, in an order that is always the same; parses to an equal policy.
std::string to_text(const Policy& policy);

}  // namespace reeve::cluster

// Follows the events of the cell, as `reeve events` does: those that are
// published, put in order by bus::OrderedFeed, and from the log what is
// missing.
#pragma once

#include "bus/ordered_feed.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

class Watcher {
 public:
  explicit Watcher(World& world);
  void begin();
  // Why it has not seen all there is; empty: it has.
  std::string unrest() const;

 private:
  void receive(const Packet& packet);
  void offer(std::span<const std::byte> event);
  void ask();

  World& world_;
  End end_;
  bus::OrderedFeed feed_;
  std::uint64_t seen_ = 0;
};

}  // namespace reeve::sim

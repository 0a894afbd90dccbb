// One seed: a cell is built, put through its faults, and has to come to rest.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/sim/client.hpp"
#include "tests/sim/daemon.hpp"
#include "tests/sim/node.hpp"
#include "tests/sim/watcher.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

// Virtual time in which everything must have ended once nothing is wrong.
inline constexpr std::uint64_t healthy_ns_max = 24 * hour_ns;

class Cell {
 public:
  explicit Cell(std::uint64_t seed);

  // Throws Broken.
  void run();
  World& world() { return world_; }

 private:
  void schedule_faults();
  void every(std::uint64_t mean_ns, std::function<void()> fault);
  void partition();
  void jump_clock();
  void stall();
  void fill_disk();
  void run_until(Time end);
  void live_without_agents();
  void heal();
  void tend();
  void check_order();
  void come_to_rest();
  std::string unrest() const;
  Node& any_node() { return *world_.random.pick(nodes_); }

  World world_;
  Daemon daemon_;
  Watcher watcher_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace reeve::sim

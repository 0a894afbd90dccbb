// What all parts of a simulated cell share.
#pragma once

#include <map>
#include <string>

#include "tests/sim/loop.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/probes.hpp"
#include "tests/sim/random.hpp"

namespace reeve::sim {

class Meddler;

struct World {
  explicit World(std::uint64_t seed)
      : random(seed),
        plan(draw_plan(random)),
        network(loop, random, plan, probes),
        oracle(loop, probes) {}

  // A fault that has its rate in the plan happens now.
  bool fault(std::uint32_t per_million) {
    return faults && random.chance(per_million);
  }

  Loop loop;
  Random random;
  const Plan plan;
  Probes probes;
  Network network;
  Oracle oracle;
  bool faults = true;
  std::uint64_t tick_ns = plan.tick_ns;  // of the manager
  End daemon{};
  std::map<std::string, End, std::less<>> agents;
  End watcher{};  // who hears the events
  Meddler* meddler = nullptr;
};

}  // namespace reeve::sim

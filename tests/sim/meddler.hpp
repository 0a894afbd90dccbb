// Stands between the cores of the daemon, where a planted bug is to be found:
// what one says may reach the other altered. In a cell without one it does not.
#pragma once

#include <vector>

#include "actors/manager/core.hpp"

namespace reeve::sim {

class Meddler {
 public:
  virtual ~Meddler() = default;

  // What passes of a scheduler say, on its way to the manager; `known` is what
  // the scheduler has been told, or newer.
  virtual void alter(const cluster::State& known, Time now,
                     std::vector<cluster::Proposal>& proposals) = 0;
  virtual void alter(const cluster::State& known, Time now,
                     std::vector<cluster::Preemption>& room) = 0;
  // What the manager has decided, on its way to the journal.
  virtual void alter(const cluster::State& newest, manager::Batch& batch) = 0;
  // Whether passes are judged, with what is altered in them.
  virtual bool judged() const = 0;
};

}  // namespace reeve::sim

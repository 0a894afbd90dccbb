#include "cluster/simulation/observer.hpp"

#include <algorithm>

namespace reeve::cluster::simulation {

Observer::Observer(const Workload& work)
    : use_(work.from, work.to),
      fragmentation_(work),
      ledger_(use_),
      borders_{work.from, work.to} {}

void Observer::pass_borders(Time at) {
  for (; next_ < 2 && borders_[next_] <= at; ++next_)
    ledger_.cut(borders_[next_]);
}

Status Observer::apply(const schema::Event& event) {
  pass_borders(Time{event.time_at()});
  fragmentation_.apply(event);
  return ledger_.apply(event);
}

void Observer::finish(Time at) {
  at = std::max(at, borders_[1]);
  pass_borders(at);
  ledger_.cut(at);
  fragmentation_.finish();
}

}  // namespace reeve::cluster::simulation

// What one side of a comparison is measured by, real or virtual: all from its
// events.
#pragma once

#include "cluster/accounting/ledger.hpp"
#include "cluster/simulation/fragmentation.hpp"
#include "cluster/simulation/use.hpp"

namespace reeve::cluster::simulation {

class Observer {
 public:
  // Totals and fragmentation are of the workload's window.
  explicit Observer(const Workload& work);
  Observer(const Observer&) = delete;

  // Events in order, first those that tell of what there is before the window.
  // Errc::damaged for one that contradicts the ones before it.
  Status apply(const schema::Event& event);
  // After the last event: what is open lasts until then.
  void finish(Time at);

  const UseMeter& use() const { return use_; }
  double fragmentation() const { return fragmentation_.share(); }
  const std::string& cell() const { return ledger_.cell(); }

 private:
  void pass_borders(Time at);

  UseMeter use_;
  FragmentationMeter fragmentation_;
  accounting::Ledger ledger_;
  Time borders_[2];
  int next_ = 0;
};

}  // namespace reeve::cluster::simulation

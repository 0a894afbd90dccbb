// When a session with a part of a device's time may start kernels: its own
// span of each period, less what it used beyond it before. Plain arithmetic;
// the clock comes in as an argument.
//
// Spans are placed on the clock of the host, so that sessions of one device
// take turns without knowing each other.
#pragma once

#include <cstdint>

#include "gpu/share/ledger.hpp"

namespace reeve::gpu::share {

class Pacing {
 public:
  explicit Pacing(LedgerDevice& device) : device_(device) {}

  bool whole() const { return device_.compute_milli >= whole_milli; }
  // How long to wait before a kernel may start; 0: now. Gives back debt when
  // a period begins, once for all processes of the session.
  std::int64_t wait_ns(std::int64_t now_ns);
  // Kernels that were running from `from_ns` to `until_ns`: what of it lies
  // outside the session's span becomes debt.
  void used(std::int64_t from_ns, std::int64_t until_ns);

 private:
  std::int64_t span_ns() const {
    return device_.period_ns * device_.compute_milli / whole_milli;
  }
  std::int64_t begin_of(std::int64_t period) const {
    return period * device_.period_ns +
           device_.period_ns * device_.begin_milli / whole_milli;
  }
  std::int64_t period_of(std::int64_t now_ns) const;
  void settle(std::int64_t period);

  LedgerDevice& device_;
};

}  // namespace reeve::gpu::share

// How much of a cluster was held, over time and in all.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/accounting/ledger.hpp"

namespace reeve::cluster::simulation {

// In equal pieces of time from one moment on. A series that runs out of pieces
// joins them in pairs, so it always ends.
class UseSeries {
 public:
  struct Piece {
    double gpu_held = 0;  // thousandths times nanoseconds, as are the others
    double gpu_offered = 0;
    double cpu_held = 0;
    double cpu_offered = 0;
    bool operator==(const Piece&) const = default;
  };

  UseSeries(Time from, std::uint64_t piece_ns);

  // `rate` times the time of [from, to) that lies after the beginning.
  void add(double Piece::*what, double rate, Time from, Time to);
  // Pieces of twice the length, until they are as long as that.
  void widen(std::uint64_t piece_ns);

  std::uint64_t piece_ns() const { return piece_ns_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  void join_pairs();
  Time from_;
  std::uint64_t piece_ns_;
  std::vector<Piece> pieces_;
};
inline constexpr std::size_t use_pieces_max = 1024;

// A sink for holdings and node spans, none of which crosses an end of the
// window. What drained or lost nodes still hold counts
// as held and as offered, their idle rest as neither.
class UseMeter final : public accounting::Sink {
 public:
  // Totals are of [from, to); the series goes on after it.
  UseMeter(Time from, Time to);

  void held(const accounting::Holding& holding) override;
  void node_was(const accounting::NodeSpan& span) override;

  const UseSeries& series() const { return series_; }
  UseSeries& series() { return series_; }
  const accounting::Amount& held_total() const { return held_; }
  const accounting::Amount& offered_total() const { return offered_; }
  // GPU-milli times ns, and the same of CPUs, in the window.
  const std::map<std::string, accounting::Amount, std::less<>>& by_user()
      const {
    return by_user_;
  }

 private:
  Time from_;
  Time to_;
  UseSeries series_;
  accounting::Amount held_;
  accounting::Amount offered_;
  std::map<std::string, accounting::Amount, std::less<>> by_user_;
};

}  // namespace reeve::cluster::simulation

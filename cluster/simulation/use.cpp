#include "cluster/simulation/use.hpp"

#include <algorithm>

namespace reeve::cluster::simulation {

using accounting::Amount;
using accounting::NodePhase;
using accounting::Rate;
using Piece = UseSeries::Piece;

UseSeries::UseSeries(Time from, std::uint64_t piece_ns)
    : from_(from), piece_ns_(std::max<std::uint64_t>(piece_ns, 1)) {}

void UseSeries::add(double Piece::*what, double rate, Time from, Time to) {
  from = std::max(from, from_);
  if (to <= from) return;
  const std::uint64_t end = to.value - from_.value;
  while ((end - 1) / piece_ns_ >= use_pieces_max) join_pairs();
  std::uint64_t at = from.value - from_.value;
  const std::size_t last = (end - 1) / piece_ns_;
  if (pieces_.size() <= last) pieces_.resize(last + 1);
  for (std::size_t i = at / piece_ns_; i <= last; ++i) {
    const std::uint64_t until = std::min(end, (i + 1) * piece_ns_);
    pieces_[i].*what += rate * static_cast<double>(until - at);
    at = until;
  }
}

void UseSeries::widen(std::uint64_t piece_ns) {
  while (piece_ns_ < piece_ns) join_pairs();
}

void UseSeries::join_pairs() {
  piece_ns_ *= 2;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    if (i % 2 == 0) {
      pieces_[i / 2] = pieces_[i];
      continue;
    }
    Piece& sum = pieces_[i / 2];
    sum.gpu_held += pieces_[i].gpu_held;
    sum.gpu_offered += pieces_[i].gpu_offered;
    sum.cpu_held += pieces_[i].cpu_held;
    sum.cpu_offered += pieces_[i].cpu_offered;
  }
  pieces_.resize((pieces_.size() + 1) / 2);
}

UseMeter::UseMeter(Time from, Time to)
    : from_(from),
      to_(to),
      series_(from, (to.value - from.value) / (use_pieces_max / 2) + 1) {}

void UseMeter::held(const accounting::Holding& holding) {
  const Rate rate{holding.cpu_milli, holding.memory_bytes, holding.gpu_milli()};
  series_.add(&Piece::gpu_held, static_cast<double>(rate.gpu_milli),
              holding.from, holding.to);
  series_.add(&Piece::cpu_held, static_cast<double>(rate.cpu_milli),
              holding.from, holding.to);
  const Time from = std::max(holding.from, from_);
  const Time to = std::min(holding.to, to_);
  if (to <= from) return;
  const Amount amount = accounting::over(rate, to.value - from.value);
  held_ += amount;
  auto user = by_user_.find(holding.user);
  if (user == by_user_.end())
    user = by_user_.emplace(std::string(holding.user), Amount{}).first;
  user->second += amount;
}

void UseMeter::node_was(const accounting::NodeSpan& span) {
  const auto length = static_cast<double>(span.to.value - span.from.value);
  const bool up = span.phase == NodePhase::up;
  const auto rate = [&](std::uint64_t capacity, accounting::Wide held) {
    return up ? static_cast<double>(capacity)
              : static_cast<double>(held) / length;
  };
  series_.add(&Piece::gpu_offered,
              rate(span.capacity.gpu_milli, span.held.gpu_milli_ns), span.from,
              span.to);
  series_.add(&Piece::cpu_offered,
              rate(span.capacity.cpu_milli, span.held.cpu_milli_ns), span.from,
              span.to);
  const Time from = std::max(span.from, from_);
  const Time to = std::min(span.to, to_);
  if (to <= from) return;
  if (up)
    offered_ += accounting::over(span.capacity, to.value - from.value);
  else if (from == span.from && to == span.to)
    offered_ += span.held;
}

}  // namespace reeve::cluster::simulation

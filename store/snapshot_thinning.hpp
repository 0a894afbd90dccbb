// Which snapshots are kept: the newest few always, and of the older ones as
// many as fit a bound in bytes, spread as evenly as can be over the history,
// so that any moment of it is near one. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reeve::store {

inline constexpr std::size_t snapshots_kept = 3;
inline constexpr std::uint64_t snapshots_bytes_max = 1u << 30;

struct KeptSnapshot {
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0;
};

// Those to remove, of `all` in the order of their events: while they are too
// many bytes, the older one whose neighbours are closest to each other.
std::vector<std::uint64_t> surplus_snapshots(std::vector<KeptSnapshot> all,
                                             std::uint64_t bytes_max);

}  // namespace reeve::store

#include "store/snapshot_thinning.hpp"

namespace reeve::store {

std::vector<std::uint64_t> surplus_snapshots(std::vector<KeptSnapshot> all,
                                             std::uint64_t bytes_max) {
  std::uint64_t bytes = 0;
  for (const KeptSnapshot& one : all) bytes += one.bytes;
  std::vector<std::uint64_t> surplus;
  while (bytes > bytes_max && all.size() > snapshots_kept) {
    const std::size_t older = all.size() - snapshots_kept;
    std::size_t thinned = 0;
    std::uint64_t gap_min = UINT64_MAX;
    for (std::size_t i = 0; i < older; ++i) {
      const std::uint64_t before = i == 0 ? 0 : all[i - 1].sequence;
      const std::uint64_t gap = all[i + 1].sequence - before;
      if (gap >= gap_min) continue;
      gap_min = gap;
      thinned = i;
    }
    surplus.push_back(all[thinned].sequence);
    bytes -= all[thinned].bytes;
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(thinned));
  }
  return surplus;
}

}  // namespace reeve::store

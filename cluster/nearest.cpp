#include "cluster/nearest.hpp"

#include <algorithm>
#include <vector>

namespace reeve {
namespace {

// Edit distance with transposed neighbours counted once.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cell((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) cell[i * width] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cell[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      std::size_t best =
          std::min({cell[(i - 1) * width + j] + 1, cell[i * width + j - 1] + 1,
                    cell[(i - 1) * width + j - 1] + change});
      const bool swapped =
          i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) best = std::min(best, cell[(i - 2) * width + j - 2] + 1);
      cell[i * width + j] = best;
    }
  return cell.back();
}

}  // namespace

std::string_view nearest(std::string_view word,
                         std::span<const std::string_view> candidates) {
  std::string_view best;
  // A third of the letters may be wrong, and at least one.
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    std::size_t d = distance(word, candidate);
    if (word.size() > 2 && candidate.starts_with(word)) d = 0;
    if (d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace reeve

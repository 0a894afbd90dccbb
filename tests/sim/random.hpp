// The only source of chance in a simulation: the same seed, the same numbers,
// on every machine (splitmix64; the library's distributions differ).
#pragma once

#include <cstddef>
#include <cstdint>

namespace reeve::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
  }
  // 0 to bound - 1; 0 for bound 0.
  std::uint64_t below(std::uint64_t bound) {
    return bound == 0 ? 0 : next() % bound;
  }
  // Both ends included.
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  bool chance(std::uint32_t per_million) {
    return below(1'000'000) < per_million;
  }
  // Spans of very different lengths, each order of magnitude as likely.
  std::uint64_t spread(std::uint64_t least, std::uint64_t most) {
    std::uint64_t doublings = 0;
    while (least << (doublings + 1) < most) ++doublings;
    const std::uint64_t span = least << below(doublings + 1);
    return between(span, 2 * span < most ? 2 * span : most);
  }
  template <class List>
  auto& pick(List& list) {
    return list[static_cast<std::size_t>(below(list.size()))];
  }

 private:
  std::uint64_t state_;
};

}  // namespace reeve::sim

// Events and their causes as a tree in text. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace reeve::tools {

// Deeper branches are drawn at this depth.
inline constexpr std::size_t depth_max = 16;

struct Caused {
  std::uint64_t sequence = 0;
  std::uint64_t cause = 0;  // 0, or not among the events: a root
};

// One line of the tree: what stands before the event's own text.
struct Branch {
  std::uint64_t sequence = 0;
  std::string stem;
};

// `events` in order of their sequences. What was led to by the one before it
// alone stays in its column, so that a plain chain is a plain list; where one
// event led to several, each of them but the last starts a branch.
std::vector<Branch> tree_of(const std::vector<Caused>& events);

}  // namespace reeve::tools

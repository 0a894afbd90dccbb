#include "tools/log/causes.hpp"

#include <map>

namespace reeve::tools {
namespace {

using Children = std::map<std::uint64_t, std::vector<std::uint64_t>>;

struct Pending {
  std::uint64_t sequence;
  std::vector<bool> open;  // of each column: more comes below
  bool branch;             // starts one
  bool more;               // a sibling follows
};

std::string stem_of(const Pending& item) {
  std::string stem;
  const std::size_t columns = std::min(item.open.size(), depth_max);
  for (std::size_t i = 0; i < columns; ++i)
    stem += i + 1 == columns && item.branch ? (item.more ? "├─ " : "└─ ")
            : item.open[i]                  ? "│  "
                                            : "   ";
  return stem;
}

}  // namespace

std::vector<Branch> tree_of(const std::vector<Caused>& events) {
  Children children;
  std::map<std::uint64_t, bool> known;
  for (const Caused& event : events) known[event.sequence] = true;
  std::vector<std::uint64_t> roots;
  for (const Caused& event : events)
    if (event.cause != 0 && event.cause < event.sequence &&
        known.contains(event.cause))
      children[event.cause].push_back(event.sequence);
    else
      roots.push_back(event.sequence);
  std::vector<Pending> stack;
  for (auto root = roots.rbegin(); root != roots.rend(); ++root)
    stack.push_back({*root, {}, false, false});
  std::vector<Branch> out;
  while (!stack.empty()) {
    const Pending item = std::move(stack.back());
    stack.pop_back();
    out.push_back({item.sequence, stem_of(item)});
    const auto found = children.find(item.sequence);
    if (found == children.end()) continue;
    const auto& led_to = found->second;
    std::vector<bool> open = item.open;
    // Below the start of a branch its column goes on while siblings follow.
    if (item.branch) open.back() = item.more;
    const bool splits = led_to.size() > 1;
    for (std::size_t i = led_to.size(); i-- > 0;) {
      Pending child{led_to[i], open, splits, i + 1 < led_to.size()};
      if (splits) child.open.push_back(true);
      stack.push_back(std::move(child));
    }
  }
  return out;
}

}  // namespace reeve::tools

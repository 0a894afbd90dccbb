#include "tools/cli/session/attempt_place.hpp"

#include <algorithm>

namespace reeve::tools {
namespace {

constexpr std::uint64_t first_part_events = 4'096;
constexpr std::uint64_t part_growth = 4;

std::optional<NodeId> node_in(const schema::Event& event,
                              const AttemptTask& task) {
  const auto* placed = event.body_as_SessionPlaced();
  if (placed == nullptr || placed->session() != task.session.value ||
      placed->attempt() != task.attempt || task.rank >= placed->tasks()->size())
    return std::nullopt;
  return NodeId{placed->tasks()->Get(task.rank)->node()};
}

}  // namespace

Expected<std::optional<NodeId>> node_of_attempt(const ReadEvents& read,
                                                std::uint64_t from,
                                                std::uint64_t to,
                                                const AttemptTask& task) {
  std::optional<NodeId> node;
  std::uint64_t end = to + 1;  // of what is not read
  for (std::uint64_t part = first_part_events; !node && end > from;
       part *= part_growth) {
    const std::uint64_t begin = end - std::min(part, end - from);
    const auto good = read(begin, end - 1, [&](const schema::Event& event) {
      node = node_in(event, task);
      return !node;
    });
    if (!good) return tl::unexpected(good.error());
    end = begin;
  }
  return node;
}

}  // namespace reeve::tools

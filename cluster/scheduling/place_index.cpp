#include "cluster/scheduling/place_index.hpp"

#include <algorithm>
#include <map>

namespace reeve::cluster::scheduling {

PlaceIndex::PlaceIndex(const std::vector<Node>& nodes,
                       const std::vector<std::uint32_t>& numbers,
                       const std::vector<std::string>& place_names)
    : counted_(nodes.size()) {
  std::map<std::string, std::vector<std::uint32_t>> by_name;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!place_names[i].empty()) by_name[place_names[i]].push_back(numbers[i]);
  for (auto& [name, members] : by_name) {
    for (const auto number : members)
      counted_[number].place = static_cast<std::uint32_t>(places_.size());
    places_.push_back({name, std::move(members), 0, 0, 0});
  }
  for (const auto number : numbers) changed(nodes[number]);
}

void PlaceIndex::changed(const Node& node) {
  if (node.id.value >= counted_.size()) return;
  auto& before = counted_[node.id.value];
  if (before.place == Counted::nowhere) return;
  Counted now{before.place, 0, 0, 0};
  if (node.offered()) {
    now.whole_devices = node.whole_devices;
    now.cpu_free_milli = node.cpu_free_milli();
    now.memory_free_bytes = node.memory_free_bytes();
  }
  auto& place = places_[now.place];
  place.cpu_free_milli += now.cpu_free_milli - before.cpu_free_milli;
  place.memory_free_bytes += now.memory_free_bytes - before.memory_free_bytes;
  place.whole_devices += now.whole_devices;
  place.whole_devices -= before.whole_devices;
  before = now;
}

std::vector<std::uint32_t> PlaceIndex::roomy(const Need& need,
                                             std::uint32_t tasks) const {
  const auto cpu_milli = std::uint64_t{need.cpu_milli} * tasks;
  const auto memory_bytes = need.memory_bytes > UINT64_MAX / tasks
                                ? UINT64_MAX
                                : need.memory_bytes * tasks;
  const auto whole =
      need.share() ? 0 : std::uint64_t{need.gpus} * std::uint64_t{tasks};
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < places_.size(); ++i)
    if (places_[i].cpu_free_milli >= cpu_milli &&
        places_[i].memory_free_bytes >= memory_bytes &&
        places_[i].whole_devices >= whole)
      found.push_back(i);
  std::stable_sort(found.begin(), found.end(), [&](auto a, auto b) {
    return places_[a].cpu_free_milli < places_[b].cpu_free_milli;
  });
  return found;
}

}  // namespace reeve::cluster::scheduling

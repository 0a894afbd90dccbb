#include "cluster/scheduling/free_index.hpp"

#include <bit>

namespace reeve::cluster::scheduling {

namespace {

constexpr std::uint64_t cpu_step_milli = 1000;
constexpr std::uint64_t memory_step_bytes = std::uint64_t{4} << 30;

// 0 below one step, then one more for each doubling, at most 7.
unsigned magnitude(std::uint64_t amount, std::uint64_t step) {
  return std::min<unsigned>(std::bit_width(amount / step), 7);
}

}  // namespace

std::uint8_t cell_of(std::uint64_t cpu_milli, std::uint64_t memory_bytes) {
  return static_cast<std::uint8_t>(magnitude(cpu_milli, cpu_step_milli) * 8 +
                                   magnitude(memory_bytes, memory_step_bytes));
}

std::uint64_t cells_from(std::uint64_t cpu_milli, std::uint64_t memory_bytes) {
  const auto rows = ~std::uint64_t{0}
                    << (8 * magnitude(cpu_milli, cpu_step_milli));
  const std::uint64_t row =
      (0xFFU << magnitude(memory_bytes, memory_step_bytes)) & 0xFFU;
  return rows & (row * 0x0101010101010101ULL);
}

std::uint64_t cells_for(const Need& need, std::uint32_t times) {
  const auto bytes = need.memory_bytes > UINT64_MAX / times
                         ? UINT64_MAX
                         : need.memory_bytes * times;
  return cells_from(std::uint64_t{need.cpu_milli} * times, bytes);
}

void FreeIndex::place(std::vector<Node>&, Shelf& shelf, Spot& spot, Entry entry,
                      std::uint16_t level, std::uint8_t cell) {
  auto& entries = shelf.cells[cell];
  spot.position = static_cast<std::uint32_t>(entries.size());
  spot.level = level;
  spot.cell = cell;
  entries.push_back(entry);
  shelf.filled |= std::uint64_t{1} << cell;
}

void FreeIndex::take_off(std::vector<Node>& nodes, Shelf& shelf, Spot& spot) {
  auto& entries = shelf.cells[spot.cell];
  const Entry last = entries.back();
  entries[spot.position] = last;
  entries.pop_back();
  auto& moved = nodes[last.node];
  auto& moved_spot = last.device == Entry::no_device
                         ? moved.spot
                         : moved.devices[last.device].spot;
  moved_spot.position = spot.position;
  spot.position = Spot::nowhere;
  if (entries.empty()) shelf.filled &= ~(std::uint64_t{1} << spot.cell);
}

void FreeIndex::update_device(std::vector<Node>& nodes, Node& node,
                              std::uint32_t number, std::uint8_t cell) {
  auto& device = node.devices[number];
  const auto free = device.whole() ? 0 : device.free_milli();
  const bool wanted = free > 0 && free < milli_per_device;
  const auto sharer = wanted ? device.sharers.only() : any_sharer;
  auto& spot = device.spot;
  if (spot.position != Spot::nowhere) {
    if (wanted && spot.level == free && spot.cell == cell &&
        spot.sharer == sharer)
      return;
    take_off_share(nodes, spot);
  }
  if (!wanted) return;
  auto& shares = shares_[sharer];
  if (!shares) shares = std::make_unique<Shares>();
  auto& shelf = shares->shelves[free];
  if (!shelf) shelf = std::make_unique<Shelf>();
  spot.sharer = sharer;
  place(nodes, *shelf, spot, {node.id.value, number},
        static_cast<std::uint16_t>(free), cell);
  shares->filled.set(free);
}

void FreeIndex::take_off_share(std::vector<Node>& nodes, Spot& spot) {
  const auto found = shares_.find(spot.sharer);
  auto& shares = *found->second;
  const auto level = spot.level;
  auto& shelf = *shares.shelves[level];
  take_off(nodes, shelf, spot);
  if (shelf.filled != 0) return;
  shares.filled.reset(level);
  if (shares.filled.none()) shares_.erase(found);
}

void FreeIndex::update(std::vector<Node>& nodes, Node& node) {
  if (!node.offered()) return remove(nodes, node);
  const auto cell = cell_of(node.cpu_free_milli(), node.memory_free_bytes());
  std::uint32_t whole = 0;
  for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
    if (node.devices[i].whole()) ++whole;
    update_device(nodes, node, i, cell);
  }
  auto& spot = node.spot;
  if (spot.position != Spot::nowhere) {
    if (spot.level == whole && spot.cell == cell) return;
    whole_devices_ -= node.whole_devices;
    take_off(nodes, whole_[spot.level], spot);
  }
  if (whole_.size() <= whole) whole_.resize(whole + 1);
  place(nodes, whole_[whole], spot, {node.id.value, Entry::no_device},
        static_cast<std::uint16_t>(whole), cell);
  node.whole_devices = whole;
  whole_devices_ += whole;
}

void FreeIndex::remove(std::vector<Node>& nodes, Node& node) {
  if (node.spot.position == Spot::nowhere) return;
  whole_devices_ -= node.whole_devices;
  take_off(nodes, whole_[node.spot.level], node.spot);
  node.whole_devices = 0;
  for (auto& device : node.devices) {
    if (device.spot.position != Spot::nowhere)
      take_off_share(nodes, device.spot);
  }
}

std::uint32_t FreeIndex::next_share_level(AccountIndex sharer,
                                          std::uint32_t milli) const {
  const auto found = shares_.find(sharer);
  if (found == shares_.end() || milli >= milli_per_device)
    return milli_per_device;
  const auto& filled = found->second->filled;
  if (filled.test(milli)) return milli;
  return static_cast<std::uint32_t>(filled._Find_next(milli));
}

}  // namespace reeve::cluster::scheduling

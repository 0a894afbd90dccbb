#include "cluster/scheduling/outlook.hpp"

#include <algorithm>

#include "cluster/check.hpp"

namespace reeve::cluster::scheduling {

constexpr std::uint32_t no_slot = 0xFFFFFFFF;
constexpr std::uint32_t no_device = 0xFFFFFFFF;

// The weight of balance beside that of all typical requests together.
constexpr double balance_weight = 2;
// What is usable counts as at least this part of the capacity, so that the
// weight of what has run out stays finite.
constexpr double usable_least = 0.001;

namespace {

// Whole thousandths, so that sums over all nodes are exact.
std::uint32_t usable(const Room& room, const Typical& typical) {
  const auto devices = usable_milli(room, typical.need);
  if (devices == 0) return 0;
  const auto most = std::min(
      {static_cast<double>(devices),
       static_cast<double>(room.cpu_milli) * typical.milli_of_cpu,
       static_cast<double>(room.memory_bytes) * typical.milli_of_memory});
  return static_cast<std::uint32_t>(most + 0.5);
}

}  // namespace

void Outlook::changed(NodeId node) {
  if (node.value >= slots_.size()) slots_.resize(node.value + 1, no_slot);
  auto& slot = slots_[node.value];
  if (slot == no_slot && !unused_.empty()) {
    slot = unused_.back();
    unused_.pop_back();
  } else if (slot == no_slot) {
    slot = static_cast<std::uint32_t>(known_.size());
    known_.emplace_back();
    usable_.resize(known_.size() * typical_.most_common().size());
  }
  auto& known = known_[slot];
  known.node = node;
  if (!known.stale) stale_.push_back(slot);
  known.stale = true;
}

void Outlook::left(NodeId node) {
  if (node.value >= slots_.size() || slots_[node.value] == no_slot) return;
  changed(node);
  known_[slots_[node.value]].gone = true;
  slots_[node.value] = no_slot;
}

void Outlook::refresh(const std::vector<Node>& nodes) {
  const bool renewed = typical_.stale();
  if (renewed) renew();
  if (stale_.empty() && !renewed) return;
  for (const auto slot : stale_) {
    auto& known = known_[slot];
    known.stale = false;
    take_in(slot, nodes[known.node.value]);
    if (!known.gone) continue;
    known.gone = false;
    unused_.push_back(slot);
  }
  stale_.clear();
  weigh();
}

void Outlook::renew() {
  typical_.renew();
  const auto count = typical_.most_common().size();
  usable_.assign(known_.size() * count, 0);
  usable_in_all_.assign(count, 0);
  for (std::uint32_t slot = 0; slot < known_.size(); ++slot) {
    auto& known = known_[slot];
    const auto number = known.node.value;
    const bool used = number < slots_.size() && slots_[number] == slot;
    if (!used || known.stale) continue;
    known.stale = true;
    stale_.push_back(slot);
  }
}

void Outlook::take_in(std::size_t slot, const Node& node) {
  auto& known = known_[slot];
  const auto& typical = typical_.most_common();
  const bool counts = node.offered() && !known.gone;
  if (counts) look(node, room_);
  auto* row = usable_of(slot);
  for (std::size_t i = 0; i < typical.size(); ++i) {
    usable_in_all_[i] -= row[i];
    row[i] = counts ? usable(room_, typical[i]) : 0;
    usable_in_all_[i] += row[i];
  }
  capacity_milli_ -= known.capacity_milli;
  known.capacity_milli = 0;
  known.balanced = counts ? balanced(room_) : 0;
  if (!counts) return;
  for (const auto& device : node.devices)
    known.capacity_milli += device.capacity_milli;
  capacity_milli_ += known.capacity_milli;
}

void Outlook::weigh() {
  const auto& typical = typical_.most_common();
  weights_.resize(typical.size());
  const double least = usable_least * static_cast<double>(capacity_milli_) + 1;
  double sum = 0;
  for (std::size_t i = 0; i < typical.size(); ++i) {
    const auto in_all = static_cast<double>(usable_in_all_[i]);
    weights_[i] = typical[i].frequency / (in_all + least);
    sum += weights_[i];
  }
  for (auto& weight : weights_) weight /= sum;
}

double Outlook::balanced(const Room& room) const {
  auto most = static_cast<double>(room.idle_milli);
  const auto cpu = typical_.cpu_milli_each();
  const auto memory = typical_.memory_bytes_each();
  if (cpu > 0) most = std::min(most, static_cast<double>(room.cpu_milli) / cpu);
  if (memory > 0)
    most = std::min(most, static_cast<double>(room.memory_bytes) / memory);
  return balance_weight * most;
}

double Outlook::worth(NodeId node) const {
  const auto slot = slots_[node.value];
  const auto* row = usable_.data() + slot * weights_.size();
  double sum = known_[slot].balanced;
  for (std::size_t i = 0; i < weights_.size(); ++i) sum += weights_[i] * row[i];
  return sum;
}

double Outlook::worth(const Node& node) {
  look(node, room_);
  if (room_.idle_milli == 0) return 0;
  const auto& typical = typical_.most_common();
  double sum = balanced(room_);
  for (std::size_t i = 0; i < typical.size(); ++i)
    sum += weights_[i] * usable(room_, typical[i]);
  return sum;
}

namespace {

// One of each sort that serves the need and is not taken already.
std::vector<std::uint32_t> choices(const Node& node, const Need& need,
                                   const std::vector<DeviceGrant>& taken) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
    const auto& device = node.devices[i];
    if (device_slots(device, need, 1) == 0) continue;
    const bool known =
        std::any_of(taken.begin(), taken.end(),
                    [&](const auto& grant) { return grant.device == i; }) ||
        std::any_of(found.begin(), found.end(), [&](auto other) {
          return alike(node.devices[other], device);
        });
    if (!known) found.push_back(i);
  }
  return found;
}

void hold(Device& device, const DeviceGrant& grant, const Need& need) {
  device.used_milli += grant.milli;
  device.used_memory_bytes += grant.memory_bytes;
  if (need.share()) device.sharers.add(need.sharer);
}

}  // namespace

std::uint32_t Outlook::best_device(Node& node, const Need& need,
                                   const std::vector<DeviceGrant>& taken) {
  const auto all = choices(node, need, taken);
  REEVE_CHECK(!all.empty(), "a device is chosen where the task does not fit");
  if (all.size() == 1) return all.front();
  std::uint32_t best = no_device;
  double most = 0;
  for (const auto i : all) {
    auto& device = node.devices[i];
    const auto before = device;
    hold(device, {i, need.gpu_milli, device_memory(device, need)}, need);
    const auto left = worth(node);
    device = before;
    if (best != no_device) {
      const auto& other = node.devices[best];
      if (std::tuple(other.slow, left, other.free_milli()) <=
          std::tuple(device.slow, most, device.free_milli()))
        continue;
    }
    best = i;
    most = left;
  }
  return best;
}

double Outlook::place(Node& node, const Need& need,
                      std::vector<DeviceGrant>& devices) {
  node.cpu_used_milli += need.cpu_milli;
  node.memory_used_bytes += need.memory_bytes;
  devices.clear();
  for (std::uint32_t i = 0; i < need.gpus; ++i) {
    const auto number = best_device(node, need, devices);
    auto& device = node.devices[number];
    devices.push_back({number, need.gpu_milli, device_memory(device, need)});
    hold(device, devices.back(), need);
  }
  std::sort(devices.begin(), devices.end(),
            [](const auto& a, const auto& b) { return a.device < b.device; });
  return worth(node);
}

}  // namespace reeve::cluster::scheduling

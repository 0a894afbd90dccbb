#include "cluster/scheduling/fragmentation.hpp"

namespace reeve::cluster::scheduling {

namespace {

std::uint32_t share_of(const Device& device) {
  const auto free = device.free_milli();
  if (device.used_memory_bytes == 0 || device.memory_bytes == 0) return free;
  const auto wide =
      static_cast<unsigned __int128>(device.free_memory_bytes()) + 1;
  const auto most = (wide * milli_per_device - 1) / device.memory_bytes;
  return most < free ? static_cast<std::uint32_t>(most) : free;
}

bool alike(const Room::Devices& a, const Room::Devices& b) {
  return a.free_milli == b.free_milli && a.model == b.model &&
         a.whole == b.whole && a.share_milli == b.share_milli &&
         a.memory_bytes == b.memory_bytes &&
         a.free_memory_bytes == b.free_memory_bytes && a.sharer == b.sharer;
}

void add(Room& room, const Room::Devices& one) {
  for (auto& devices : room.devices) {
    if (!alike(devices, one)) continue;
    ++devices.count;
    return;
  }
  room.devices.push_back(one);
}

bool serve(const Room::Devices& devices, const Need& need) {
  if (!need.allows(devices.model)) return false;
  if (!need.share()) {
    return devices.whole && devices.memory_bytes >= need.gpu_memory_bytes;
  }
  if (!need.admits(devices.sharer)) return false;
  if (need.gpu_memory_bytes == 0) return need.gpu_milli <= devices.share_milli;
  return need.gpu_milli <= devices.free_milli &&
         need.gpu_memory_bytes <= devices.free_memory_bytes;
}

}  // namespace

void look(const Node& node, Room& room) {
  room.cpu_milli = node.cpu_free_milli();
  room.memory_bytes = node.memory_free_bytes();
  room.idle_milli = 0;
  room.devices.clear();
  for (const auto& device : node.devices) {
    const auto free = device.free_milli();
    if (free == 0) continue;
    room.idle_milli += free;
    if (node.overcommitted()) continue;
    add(room, {device.model, device.whole(), 1, free, share_of(device),
               device.memory_bytes, device.free_memory_bytes(),
               device.sharers.only()});
  }
}

std::uint64_t usable_milli(const Room& room, const Need& need) {
  if (need.cpu_milli > room.cpu_milli) return 0;
  if (need.memory_bytes > room.memory_bytes) return 0;
  std::uint64_t usable = 0;
  std::uint32_t found = 0;
  for (const auto& devices : room.devices) {
    if (!serve(devices, need)) continue;
    found += devices.count;
    usable += std::uint64_t{devices.count} * devices.free_milli;
  }
  return found < need.gpus ? 0 : usable;
}

}  // namespace reeve::cluster::scheduling

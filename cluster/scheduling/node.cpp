#include "cluster/scheduling/node.hpp"

#include <fmt/format.h>

#include "cluster/check.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster::scheduling {

// An event that names a device beyond this is damaged, not large.
constexpr std::uint32_t device_index_max = 4095;

bool alike(const Device& a, const Device& b) {
  return a.model == b.model && a.memory_bytes == b.memory_bytes &&
         a.capacity_milli == b.capacity_milli && a.used_milli == b.used_milli &&
         a.used_memory_bytes == b.used_memory_bytes &&
         a.sharers.only() == b.sharers.only() && a.slow == b.slow;
}

std::uint64_t device_memory(const Device& device, const Need& need) {
  if (!need.share()) return device.memory_bytes;
  if (need.gpu_memory_bytes != 0) return need.gpu_memory_bytes;
  const auto wide = static_cast<unsigned __int128>(device.memory_bytes);
  return static_cast<std::uint64_t>(wide * need.gpu_milli / milli_per_device);
}

std::uint32_t device_slots(const Device& device, const Need& need,
                           std::uint32_t limit) {
  if (!need.allows(device.model)) return 0;
  if (!need.share()) {
    return device.whole() && device.memory_bytes >= need.gpu_memory_bytes ? 1
                                                                          : 0;
  }
  if (!need.admits(device.sharers.only())) return 0;
  std::uint64_t count = device.free_milli() / need.gpu_milli;
  const auto memory_bytes = device_memory(device, need);
  if (memory_bytes > 0) {
    count = std::min(count, device.free_memory_bytes() / memory_bytes);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, limit));
}

bool devices_fit(const Node& node, const Need& need, std::uint32_t times) {
  if (need.gpus == 0) return true;
  const auto wanted = std::uint64_t{need.gpus} * times;
  std::uint64_t found = 0;
  // A task's devices are distinct: one device serves each task once.
  for (const auto& device : node.devices) {
    found += device_slots(device, need, times);
    if (found >= wanted) return true;
  }
  return false;
}

bool devices_fit_alone(const Node& node, const Need& need) {
  if (need.sharer == no_sharer) return false;
  std::uint32_t found = 0;
  for (auto device : node.devices) {
    device.sharers = {};
    found += device_slots(device, need, 1);
  }
  return found >= need.gpus;
}

bool gives_slow(const Node& node, const Need& need, std::uint32_t times) {
  if (need.gpus == 0 || node.slow_devices == 0) return false;
  const auto wanted = std::uint64_t{need.gpus} * times;
  std::uint64_t found = 0;
  for (const auto& device : node.devices)
    if (!device.slow) found += device_slots(device, need, times);
  return found < wanted;
}

bool fits(const Node& node, const Need& need, std::uint32_t times) {
  if (node.overcommitted()) return false;
  if (std::uint64_t{need.cpu_milli} * times > node.cpu_free_milli()) {
    return false;
  }
  const auto memory = static_cast<unsigned __int128>(need.memory_bytes) * times;
  if (memory > node.memory_free_bytes()) return false;
  return devices_fit(node, need, times);
}

namespace {

bool fits_alone(const Node& node, const Need& need, bool with_quarantined) {
  if (need.cpu_milli > node.cpu_capacity_milli ||
      need.memory_bytes > node.memory_capacity_bytes)
    return false;
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < node.devices.size() && found < need.gpus; ++i) {
    auto device = node.devices[i];
    device.used_milli = 0;
    device.used_memory_bytes = 0;
    device.sharers = {};
    if (device.quarantined && with_quarantined)
      device.capacity_milli = milli_per_device;
    found += device_slots(device, need, 1);
  }
  return found >= need.gpus;
}

}  // namespace

bool fits_emptied(const Node& node, const Need& need) {
  return fits_alone(node, need, false);
}

bool fits_released(const Node& node, const Need& need) {
  return fits_alone(node, need, true);
}

namespace {

// Of the device, or of the card that it is a part of.
bool is_among(const std::set<std::string>& uuids, const DeviceName* name) {
  return name && (uuids.contains(name->uuid) ||
                  (!name->mig_of.empty() && uuids.contains(name->mig_of)));
}

void offer_devices(Node& node) {
  node.slow_devices = 0;
  for (std::size_t i = 0; i < node.devices.size(); ++i) {
    auto& device = node.devices[i];
    const auto* name =
        i < node.device_names.size() ? &node.device_names[i] : nullptr;
    device.quarantined = is_among(node.quarantined, name);
    device.slow = is_among(node.slow, name);
    device.capacity_milli = name && !device.quarantined ? milli_per_device : 0;
    node.slow_devices += device.slow && device.capacity_milli > 0 ? 1 : 0;
  }
}

}  // namespace

void list_devices(Node& node, const schema::NodeSpec& spec) {
  const std::size_t count = spec.devices() ? spec.devices()->size() : 0;
  node.device_names.clear();
  if (node.devices.size() < count) node.devices.resize(count);
  for (auto& device : node.devices) device.memory_bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* listed =
        spec.devices()->Get(static_cast<flatbuffers::uoffset_t>(i));
    node.devices[i].memory_bytes = listed->memory_bytes();
    node.device_names.push_back(
        {listed->uuid()->str(),
         listed->mig_of() ? listed->mig_of()->str() : std::string()});
  }
  offer_devices(node);
}

void set_quarantine(Node& node, const std::string& uuid, bool quarantined) {
  if (quarantined)
    node.quarantined.insert(uuid);
  else
    node.quarantined.erase(uuid);
  offer_devices(node);
}

void set_slow(Node& node, const std::string& uuid, bool slow) {
  if (slow)
    node.slow.insert(uuid);
  else
    node.slow.erase(uuid);
  offer_devices(node);
}

std::uint32_t slots(const Node& node, const Need& need, std::uint32_t limit) {
  std::uint32_t low = 0;
  std::uint32_t high = limit;
  while (low < high) {
    const auto middle = low + (high - low + 1) / 2;
    if (fits(node, need, middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

Node bare(const Node& node) {
  Node copy;
  copy.id = node.id;
  copy.cpu_capacity_milli = node.cpu_capacity_milli;
  copy.memory_capacity_bytes = node.memory_capacity_bytes;
  copy.cpu_used_milli = node.cpu_used_milli;
  copy.memory_used_bytes = node.memory_used_bytes;
  copy.devices = node.devices;
  copy.slow_devices = node.slow_devices;
  copy.links = node.links;
  return copy;
}

Node emptied(const Node& node) {
  Node empty = bare(node);
  empty.cpu_used_milli = 0;
  empty.memory_used_bytes = 0;
  for (auto& device : empty.devices) {
    device.used_milli = 0;
    device.used_memory_bytes = 0;
    device.sharers = {};
  }
  return empty;
}

namespace {

// As few slow ones as do, at the lowest numbers.
void leave_slow(const Node& node, const Need& need,
                std::vector<std::uint32_t>& order) {
  const auto slow = std::stable_partition(
      order.begin(), order.end(),
      [&](std::uint32_t i) { return !node.devices[i].slow; });
  const auto others = static_cast<std::size_t>(slow - order.begin());
  const auto kept = std::max<std::size_t>(others, need.gpus);
  if (kept < order.size()) order.resize(kept);
  std::sort(order.begin(), order.end());
}

}  // namespace

std::vector<DeviceGrant> pick(const Node& node, const Need& need,
                              ShareFrom from) {
  std::vector<DeviceGrant> grants;
  if (need.gpus == 0) return grants;
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
    if (device_slots(node.devices[i], need, 1) > 0) order.push_back(i);
  }
  if (need.share()) {
    using Rank = std::tuple<bool, std::uint64_t, int>;
    const auto rank = [&](std::uint32_t i) -> Rank {
      const auto& device = node.devices[i];
      const auto free = static_cast<int>(device.free_milli());
      if (from == ShareFrom::tightest) return {device.slow, 0, free};
      return {device.slow,
              ~std::uint64_t{device_slots(device, need, milli_per_device)},
              -free};
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return rank(a) < rank(b); });
  } else if (node.slow_devices > 0) {
    leave_slow(node, need, order);
  }
  REEVE_CHECK(order.size() >= need.gpus,
              fmt::format("{} of {} GPUs picked on node {}", order.size(),
                          need.gpus, node.name));
  if (node.links && !need.share()) order = node.links->best(order, need.gpus);
  order.resize(need.gpus);
  std::sort(order.begin(), order.end());
  for (const auto i : order) {
    const auto memory = device_memory(node.devices[i], need);
    grants.push_back({i, need.gpu_milli, memory});
  }
  return grants;
}

void claim(Node& node, const Need& need,
           const std::vector<DeviceGrant>& devices, AccountIndex sharer) {
  node.cpu_used_milli += need.cpu_milli;
  node.memory_used_bytes += need.memory_bytes;
  for (const auto& grant : devices) {
    REEVE_CHECK(grant.device <= device_index_max,
                fmt::format("device {} of node {}", grant.device, node.name));
    if (grant.device >= node.devices.size()) {
      node.devices.resize(grant.device + 1);
    }
    auto& device = node.devices[grant.device];
    device.used_milli += grant.milli;
    device.used_memory_bytes += grant.memory_bytes;
    if (grant.milli != milli_per_device) device.sharers.add(sharer);
  }
}

void release(Node& node, const Need& need,
             const std::vector<DeviceGrant>& devices, AccountIndex sharer) {
  REEVE_CHECK(node.cpu_used_milli >= need.cpu_milli,
              fmt::format("node {} holds {} milli cpu, {} are released",
                          node.name, node.cpu_used_milli, need.cpu_milli));
  REEVE_CHECK(node.memory_used_bytes >= need.memory_bytes,
              fmt::format("node {} holds {} bytes, {} are released", node.name,
                          node.memory_used_bytes, need.memory_bytes));
  node.cpu_used_milli -= need.cpu_milli;
  node.memory_used_bytes -= need.memory_bytes;
  for (const auto& grant : devices) {
    REEVE_CHECK(grant.device < node.devices.size(),
                fmt::format("device {} of node {}", grant.device, node.name));
    auto& device = node.devices[grant.device];
    REEVE_CHECK(
        device.used_milli >= grant.milli &&
            device.used_memory_bytes >= grant.memory_bytes,
        fmt::format("device {} of node {} holds {} milli, {} released",
                    grant.device, node.name, device.used_milli, grant.milli));
    device.used_milli -= grant.milli;
    device.used_memory_bytes -= grant.memory_bytes;
    if (grant.milli != milli_per_device) device.sharers.remove(sharer);
  }
}

}  // namespace reeve::cluster::scheduling

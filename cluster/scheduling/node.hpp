// One node as the scheduler sees it: its devices, what is held of them, and
// whether a task fits. Every answer about room, in passes, in `why` and in
// tests, comes from the functions here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cluster/accounts/reservation.hpp"
#include "cluster/accounts/sharers.hpp"
#include "cluster/constraint.hpp"
#include "cluster/scheduling/links.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/types.hpp"

namespace reeve::schema {
struct NodeSpec;
}

namespace reeve::cluster::scheduling {

using ModelId = std::uint16_t;

// The models of MIG instances have this bit in their number.
inline constexpr ModelId mig_model_bit = 0x8000;

// Where the free index keeps an entry; see free_index.hpp.
struct Spot {
  static constexpr std::uint32_t nowhere = 0xFFFFFFFF;
  std::uint32_t position = nowhere;
  AccountIndex sharer = any_sharer;  // of a device
  std::uint16_t level = 0;
  std::uint8_t cell = 0;
};

struct Device {
  ModelId model = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t capacity_milli = 0;  // 0: not in the inventory, or quarantined
  std::uint32_t used_milli = 0;
  std::uint64_t used_memory_bytes = 0;
  Sharers sharers;           // of the shares that are held, by Need::sharer
  bool quarantined = false;  // in the inventory, and offered to nobody
  bool slow = false;         // its last test found it so: given last
  Spot spot;

  std::uint32_t free_milli() const {
    return capacity_milli - std::min(capacity_milli, used_milli);
  }
  std::uint64_t free_memory_bytes() const {
    return memory_bytes - std::min(memory_bytes, used_memory_bytes);
  }
  bool whole() const {
    return capacity_milli == milli_per_device && used_milli == 0 &&
           used_memory_bytes == 0;
  }
};

// A device by its uuid, and by that of the card it is a part of.
struct DeviceName {
  std::string uuid;
  std::string mig_of;
};

// A task that holds something here.
struct Tenant {
  std::uint64_t session = 0;
  std::uint32_t rank = 0;
};

// Room that is kept for a session that waits: from then on so many of its
// tasks are to fit.
struct Hold {
  std::uint64_t session = 0;
  Time from;
  Time to;
  std::uint32_t of_class = 0;
  std::uint32_t times = 0;
  bool operator==(const Hold&) const = default;
};

struct Node {
  NodeId id;
  std::string name;
  std::uint32_t pool = 0;
  std::uint32_t kind = 0;  // the set of device models, within the pool
  std::uint32_t cpu_capacity_milli = 0;
  std::uint64_t memory_capacity_bytes = 0;
  std::uint64_t cpu_used_milli = 0;
  std::uint64_t memory_used_bytes = 0;
  std::vector<Device> devices;
  std::uint32_t whole_devices = 0;           // free ones, kept by the index
  std::shared_ptr<const Links> links;        // null: all are connected alike
  Amounts counted;                           // in its pool's capacity
  std::uint32_t slow_counted = 0;            // of its slow devices
  std::vector<Tenant> tenants;               // in a pool with a plan
  std::vector<Hold> holds;                   // in the order of the plan
  std::vector<const Reservation*> bookings;  // that cover it or its devices
  Labels labels;
  std::vector<std::string> model_names;  // of its devices
  std::vector<DeviceName> device_names;  // of those in the inventory
  std::set<std::string> quarantined;     // uuids, also of cards that are away
  std::set<std::string> slow;            // the same
  std::uint32_t slow_devices = 0;        // that are offered

  bool known = false;
  bool lost = false;
  bool drained = false;
  bool removed = false;

  // Got room since the waiting classes were refused: its entry in the queue of
  // freed nodes, 0 when it has none; fresh when nobody has looked at it yet.
  std::uint64_t freed_ticket = 0;
  bool freed_fresh = false;
  bool earmarked = false;   // kept for its pool's guard
  std::uint64_t stamp = 0;  // equal to the search's: left out of it
  Spot spot;

  // A smaller inventory may leave it with more held than it has.
  bool overcommitted() const {
    return cpu_used_milli > cpu_capacity_milli ||
           memory_used_bytes > memory_capacity_bytes;
  }
  bool offered() const { return known && !lost && !drained && !removed; }
  std::uint64_t cpu_free_milli() const {
    return cpu_capacity_milli -
           std::min<std::uint64_t>(cpu_capacity_milli, cpu_used_milli);
  }
  std::uint64_t memory_free_bytes() const {
    return memory_capacity_bytes -
           std::min(memory_capacity_bytes, memory_used_bytes);
  }
};

// Less CPU and memory is left over on `a`; the number decides between equals.
inline bool tighter(const Node& a, const Node& b) {
  return std::tuple(a.cpu_free_milli(), a.memory_free_bytes(), a.id) <
         std::tuple(b.cpu_free_milli(), b.memory_free_bytes(), b.id);
}

// What one task needs, with the models resolved to ids.
struct Need {
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 0;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<ModelId> models;  // any of these; empty: any but MIG instances
  // Of a share: whom all others on its GPU are of (accounts/sharers.hpp).
  AccountIndex sharer = any_sharer;

  bool share() const { return gpus > 0 && gpu_milli < milli_per_device; }
  bool allows(ModelId model) const {
    if (models.empty()) return (model & mig_model_bit) == 0;
    return std::find(models.begin(), models.end(), model) != models.end();
  }
  // Beside others who are all that one; any_sharer: there are none.
  bool admits(AccountIndex others) const {
    return sharer == any_sharer ||
           (sharer != no_sharer && (others == any_sharer || others == sharer));
  }
  bool operator==(const Need&) const = default;
};

// Whether they serve every need equally.
bool alike(const Device& a, const Device& b);

// The memory one task takes of `device`.
std::uint64_t device_memory(const Device& device, const Need& need);

// How many tasks of this need `device` still takes part in, at most `limit`.
std::uint32_t device_slots(const Device& device, const Need& need,
                           std::uint32_t limit);

// Whether `times` tasks of this need fit on the node together, now.
bool fits(const Node& node, const Need& need, std::uint32_t times = 1);

// Only the device part of `fits`.
bool devices_fit(const Node& node, const Need& need, std::uint32_t times = 1);

// The same, were its free shares on GPUs that nobody else shares.
bool devices_fit_alone(const Node& node, const Need& need);

// Whether so many tasks that fit there get a slow device, at least one of them.
bool gives_slow(const Node& node, const Need& need, std::uint32_t times);

// Whether one would, were nothing held there.
bool fits_emptied(const Node& node, const Need& need);

// The same, were its quarantined devices offered, too.
bool fits_released(const Node& node, const Need& need);

// The devices of a new inventory, and which of them are offered. What is held
// of a device stays held, whatever becomes of it.
void list_devices(Node& node, const schema::NodeSpec& spec);
void set_quarantine(Node& node, const std::string& uuid, bool quarantined);
// What the last test of the device says.
void set_slow(Node& node, const std::string& uuid, bool slow);

// How many tasks of this need fit on the node together, at most `limit`.
std::uint32_t slots(const Node& node, const Need& need, std::uint32_t limit);

// The same node with nothing held on it, and as it is now: capacities and
// devices only.
Node emptied(const Node& node);
Node bare(const Node& node);

// The devices for one task on a node where it fits, slow ones only where the
// others do not suffice: whole ones by their links, then by number; shares from
// the devices with the least room, so that whole ones stay whole, or from the
// roomiest ones.
enum class ShareFrom : std::uint8_t { tightest, roomiest };
std::vector<DeviceGrant> pick(const Node& node, const Need& need,
                              ShareFrom from);

// When each of many equal tasks takes several shares, the roomiest devices
// leave room for the most tasks.
inline ShareFrom share_from(const Need& need, bool more_follow) {
  return more_follow && need.gpus > 1 ? ShareFrom::roomiest
                                      : ShareFrom::tightest;
}

// `sharer`: whose shares they are, by the setting of the node's group.
void claim(Node& node, const Need& need,
           const std::vector<DeviceGrant>& devices, AccountIndex sharer);
void release(Node& node, const Need& need,
             const std::vector<DeviceGrant>& devices, AccountIndex sharer);
inline void claim(Node& node, const Need& need,
                  const std::vector<DeviceGrant>& devices) {
  claim(node, need, devices, need.sharer);
}
inline void release(Node& node, const Need& need,
                    const std::vector<DeviceGrant>& devices) {
  release(node, need, devices, need.sharer);
}

}  // namespace reeve::cluster::scheduling

// What is free on the nodes of a state, and whether a session fits there: slow
// and obvious, of its own making, so that it can judge the scheduler.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/constraint.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/state.hpp"

namespace reeve::sim {

// What a session asks for, and where.
struct Ask {
  explicit Ask(const cluster::State& state, const cluster::Session& session);

  const cluster::Session* session;
  cluster::Spec spec;  // views into the state
  Constraint constraint;
  cluster::AccountIndex sharer;  // of whom all shares of its GPU are

  // Its place depends on where others are.
  bool is_tied() const {
    return !spec.together.empty() || !spec.apart.empty() ||
           !spec.within.empty();
  }
};

// The free part of a node.
struct Room {
  struct Device {
    std::int64_t milli = 0;
    std::int64_t memory_bytes = 0;
    std::int64_t all_memory_bytes = 0;
    bool offered = true;  // it is not in quarantine
    std::vector<cluster::AccountIndex> sharers{};
    bool whole() const {
      return milli == milli_per_device && memory_bytes == all_memory_bytes;
    }
  };
  std::int64_t cpu_milli = 0;
  std::int64_t memory_bytes = 0;
  std::vector<Device> devices;

  // One task, on the fullest devices that serve it; nothing: it does not fit.
  std::optional<std::vector<cluster::DeviceGrant>> put(const Ask& ask);
  void take(const Ask& ask, const std::vector<cluster::DeviceGrant>& grants);
  void give(const Ask& ask, const std::vector<cluster::DeviceGrant>& grants);
  // More is taken than there is.
  bool overdrawn() const;
};

// By node; `idle`: as if nothing were held.
using Rooms = std::map<std::uint32_t, Room>;
Rooms rooms_of(const cluster::State& state, bool idle = false);

std::vector<cluster::DeviceGrant> grants_of(const cluster::Task& task);

// Whether it may be there, whatever has room, reservations and the company of
// others left out.
bool welcome(const Ask& ask, const cluster::Node& node);

// That its sessions follow.
cluster::Policy policy_of(const cluster::State& state,
                          const std::string& group);

// What reservations leave of them for a session that starts then, and may run
// as long as its limit.
Rooms unreserved(const cluster::State& state, Rooms rooms, const Ask& ask,
                 Time from);

// Whether all of its tasks fit now.
bool fits(const cluster::State& state, const Rooms& rooms, const Ask& ask);

}  // namespace reeve::sim

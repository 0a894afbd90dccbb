// What a virtual cell is given to do: sessions with the times at which they
// are submitted and how long they run, and nodes that come and go.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/accounting/name_list.hpp"
#include "cluster/constraint.hpp"
#include "cluster/error.hpp"
#include "cluster/scheduling/request.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/types.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster::simulation {

using accounting::NameList;

// It is never over: what holds for ever is freed by nobody.
inline constexpr std::uint64_t for_ever_ns = UINT64_MAX;

struct Session {
  SessionId id;
  std::uint32_t request = 0;  // in Workload::requests
  std::uint32_t user = 0;     // in Workload::users, ...
  std::uint32_t project = 0;
  std::uint32_t name = 0;
  std::int32_t priority = 0;
  std::uint32_t requeue_max = 0;
  std::uint64_t cut_off_ns = 0;  // as it was submitted; 0: by the rules
  schema::OnPreempt on_preempt = schema::OnPreempt::requeue;
  SessionId array;  // the first session of its array; 0: of none
  std::uint32_t array_index = 0;
  std::uint32_t array_running_max = 0;  // 0: all of the array
  Time submitted_at;
  Time not_before;                  // 0: none
  std::uint64_t duration_ns = 0;    // from its placement to its end
  std::uint64_t time_limit_ns = 0;  // 0: none
  // Of each task from the placement to its exit, where they differ.
  std::vector<std::uint64_t> task_ns;
  std::vector<schema::Dependency> after;
  bool succeeds = true;
  // In the means; else it is only in the way of others.
  bool counted = true;
  // It ran when the window began: it goes on first, where it was as far as that
  // is known.
  bool running_before = false;
  std::vector<TaskProposal> placed_before;
  // From being told to make room to its end, as it really took.
  std::uint64_t leaving_ns = 0;
  // It ran before the window and had been told to make room: its end then.
  Time leaves_at;
  // It ran on when the log ended, so its length is not known: its end is in no
  // mean.
  bool cut = false;
};

struct Node {
  struct Device {
    std::string model;
    std::uint64_t memory_bytes = 0;
    std::int16_t numa_node = -1;
    std::vector<schema::DeviceLink> links{};  // to each device of the node
    std::string uuid{};                       // by which it is quarantined
    std::string mig_of{};
    // But for what it is called.
    bool operator==(const Device& other) const {
      return model == other.model && memory_bytes == other.memory_bytes &&
             numa_node == other.numa_node && links == other.links;
    }
  };
  std::string name;
  std::string group;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Device> devices;
  bool simulated = false;
  Labels labels;

  // But for its labels, which say where it stands.
  bool alike(const Node& other) const {
    return group == other.group && cpu_milli == other.cpu_milli &&
           memory_bytes == other.memory_bytes && devices == other.devices &&
           simulated == other.simulated;
  }
};

struct NodeChange {
  enum class Kind : std::uint8_t {
    joined,  // or came back with another inventory
    lost,
    returned,
    drained,
    resumed,
    removed,
    quarantined,  // a device of it
    released
  };
  Time at{};
  Kind kind = Kind::joined;
  NodeId node{};
  std::uint32_t inventory = 0;  // of `joined`: in Workload::inventories
  Time deadline{};              // of `drained`; 0: none
  std::uint32_t device = 0;     // of `quarantined` and `released`
  std::string uuid{};
};

// Requests, each kept once.
class RequestList {
 public:
  std::uint32_t index(const Request& request);
  const std::vector<Request>& all() const { return requests_; }
  const Request& operator[](std::uint32_t i) const { return requests_[i]; }

 private:
  std::vector<Request> requests_;
  boost::unordered_flat_map<Request, std::uint32_t, std::hash<Request>> index_;
};

// About users, projects, groups, quotas and reservations: passed on as it was
// logged.
struct AccountEvent {
  Time at;
  std::vector<std::byte> bytes;
};

struct Workload {
  Time from;                      // nothing is placed before it
  Time to;                        // of what really happened
  std::vector<Session> sessions;  // by submission; ids ascend among equals
  RequestList requests;
  NameList users;
  NameList projects;
  NameList names;
  std::vector<Node> inventories;
  std::vector<NodeChange> changes;     // by time
  std::vector<AccountEvent> accounts;  // by time
};

// Of all nodes that are there at any moment of the window.
struct Capacity {
  std::uint64_t nodes = 0;
  std::uint64_t devices = 0;
  std::uint64_t cpu_milli = 0;
};
Capacity capacity_of(const Workload& work);

// So many more nodes of the most common sort, from the beginning on; with a
// negative count as many fewer, the newest first. Errc::usage where there are
// not so many.
Status add_nodes(Workload& work, std::int64_t count);

// What became of a session, really or virtually.
struct Outcome {
  enum class Fate : std::uint8_t {
    waiting,  // at the end, or for ever
    running,
    ended,
    refused,  // fits on no node, or waited for one that ended otherwise
  };
  Time started_at;  // its first placement; 0: none
  Time ended_at;
  std::uint32_t attempts = 0;
  Fate fate = Fate::waiting;
  bool operator==(const Outcome&) const = default;
};

}  // namespace reeve::cluster::simulation

// A slow, obvious model of nodes, sessions and what they hold, for tests: no
// index, no class, no queue; every question walks everything.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/scheduling/test_cell.hpp"

namespace reeve::cluster {

class NaiveCell {
 public:
  enum class Standing { held, waiting, proposed, placed };

  struct Node {
    TestNode spec;
    bool away = false;
    std::int64_t cpu_milli = 0;
    std::int64_t memory_bytes = 0;
    struct Device {
      std::string model;
      std::int64_t milli = 1000;
      std::int64_t memory_bytes = 0;
      bool quarantined = false;
      bool slow = false;
      // Of each share of it, the user and the project.
      std::vector<std::pair<std::string, std::string>> sharers{};
    };
    std::vector<Device> devices;
    schema::GpuSharing sharing = schema::GpuSharing::project;
  };

  struct Session {
    std::uint64_t id = 0;
    TestSession spec;
    std::uint32_t attempt = 1;
    Standing standing = Standing::waiting;
    std::vector<TaskProposal> tasks;
    std::vector<bool> exited;
    // For the obvious scheduler.
    std::string name{};
    Time submitted_at{};
    Time started_at{};
    Time asked_at{};  // to make room
    std::uint64_t length_ns = UINT64_MAX;
  };

  std::map<std::uint32_t, Node> nodes;
  std::map<std::uint64_t, Session> sessions;

  void add(const TestNode& spec);
  void submit(std::uint64_t id, const TestSession& spec);
  // From now on, on all nodes of the group and those that come.
  void shared_by(const std::string& group, schema::GpuSharing setting);

  // What is wrong with the proposal; empty when it is right, and then it holds.
  std::string take(const Proposal& proposal);
  void free_task(Session& session, std::size_t rank);
  void free_all(Session& session);

  // Whether the whole session fits now.
  bool fits(const Session& session) const;
  // How many of its tasks fit on the node.
  std::uint32_t room(const Node& node, const TestSession& spec) const;
  // Whether the session may be there, whatever has room; and by the company of
  // others, too.
  static bool usable(const Node& node, const TestSession& spec);
  bool allowed(const Node& node, const Session& session) const;
  // Whether one task could have a share of the device, or all of it.
  static bool serves(const Node::Device& device, const Node& node,
                     const TestSession& spec);
  // Whether the other shares of the device are of those that may be together.
  static bool may_share(const Node::Device& device, const Node& node,
                        const TestSession& spec);
  // Whether a task that fits on the node cannot do without its slow devices.
  static bool needs_slow(const Node& node, const TestSession& spec);
  // One task, on the devices with the most room; false: it does not fit.
  static bool put(Node& node, const TestSession& spec);

  // The first waiting session of the queue of `like` that fits now.
  std::optional<std::uint64_t> first_fitting(const TestSession& like) const;
  std::optional<std::uint64_t> head(const TestSession& like) const;

 private:
  std::vector<std::uint64_t> queue(const TestSession& like) const;
  bool fits_on(const std::vector<const Node*>& nodes,
               const TestSession& spec) const;

  std::map<std::string, schema::GpuSharing> sharing_;  // by group
};

}  // namespace reeve::cluster

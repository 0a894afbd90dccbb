// What the nodes of one queue could still do for the requests that usually come
// to it; packing=fragmentation places a task where that falls least.
//
// A node is worth
//
//   sum over typical requests m of  weight(m) * usable(node, m)
//   + 2 * balanced(node)
//
// usable: the idle GPU capacity that m could use (fragmentation.hpp), at most
// as much as CPUs and memory suffice for. weight: how often m comes, divided by
// what all nodes together have usable for it, so that what is scarce (whole
// nodes, a model that few have) is given away last; that is the gradient of the
// sum of frequency(m) * log(usable for m): proportional fairness between
// requests that have not come yet. balanced: the least of the idle GPU
// capacity, and of what CPUs and memory suffice for when tasks ask for as much
// beside a GPU as they do in the mean; that sends those that ask for more of
// one to nodes that have more of it.
//
// The first term with constant weights and no regard to how far CPUs and
// memory reach is fragmentation gradient descent (Weng et al., ATC 2023).
//
// Nothing needs to be told about the workload: typical requests are learned
// (typical.hpp), and not kept over a restart. With none yet, all nodes are
// worth nothing and ties decide.
//
// Cost. A worth is that of one state of a node: the number of typical requests
// times that of its different devices, under a microsecond. Sums over all nodes
// are kept up with each change of a node, by as much; a pass over all nodes
// happens only when typical requests are renewed. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/scheduling/fragmentation.hpp"
#include "cluster/scheduling/typical.hpp"

namespace reeve::cluster::scheduling {

class Outlook {
 public:
  void submitted(const Need& need, std::uint64_t tasks) {
    typical_.add(need, tasks);
  }

  // The node has come, or has other capacity, or more or less of it free.
  void changed(NodeId node);
  void left(NodeId node);

  // Takes in what has changed; to be called before the questions below.
  void refresh(const std::vector<Node>& nodes);

  // Of a node as it was at the last refresh.
  double worth(NodeId node) const;
  // Of a node in any state.
  double worth(const Node& node);

  // Claims one task on a node where it fits, each device where the worth of the
  // node then is the highest, and returns that.
  double place(Node& node, const Need& need, std::vector<DeviceGrant>& devices);

 private:
  struct Known {
    NodeId node;
    bool stale = false;
    bool gone = false;
    double balanced = 0;
    std::uint64_t capacity_milli = 0;
  };

  std::uint32_t* usable_of(std::size_t slot) {
    return usable_.data() + slot * typical_.most_common().size();
  }
  void renew();
  void weigh();
  void take_in(std::size_t slot, const Node& node);
  double balanced(const Room& room) const;
  std::uint32_t best_device(Node& node, const Need& need,
                            const std::vector<DeviceGrant>& taken);

  TypicalRequests typical_;
  std::vector<std::uint32_t> slots_;   // by node number; no_slot: unknown
  std::vector<Known> known_;           // by slot
  std::vector<std::uint32_t> usable_;  // by slot, then by typical request
  std::vector<std::uint32_t> stale_;   // slots
  std::vector<std::uint32_t> unused_;  // slots
  std::vector<std::uint64_t> usable_in_all_;  // by typical request
  std::uint64_t capacity_milli_ = 0;
  std::vector<double> weights_;  // by typical request
  Room room_;                    // scratch
};

}  // namespace reeve::cluster::scheduling

// A whole cell on a virtual clock: the scheduler of the real one, fed with
// the events that this workload makes. Tasks last as long as they are said to.
//
// At one moment ends come first, then changes of nodes, then submissions, then
// one pass of the scheduler. Sessions on a node that is lost, or past the
// deadline of its drain, end or go back to the queue by the rules of the real
// cell (a node that is lost is dead: what may be tried again waits until the
// cell gives it up, or the node returns), and so do those that make room for
// others: at once, as simulated tasks of the real cell do, or after as long as
// it really took them. What fits on none of the nodes there ever are is refused
// when it is submitted.
//
// Deterministic: equal workloads and options give equal events.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/scheduling/policy.hpp"
#include "cluster/simulation/workload.hpp"

namespace reeve::schema {
struct Event;
}

namespace reeve::cluster::simulation {

// What the scheduler takes for the length of a session.
enum class Estimates : std::uint8_t { limit, exact };

// What becomes of a session that does not start at the first try.
enum class Unplaced : std::uint8_t { waits, is_refused };

struct CellOptions {
  // Passes at multiples of this since Workload::from; 0: whenever something
  // happens.
  std::uint64_t round_ns = 0;
  // Of every group; without it each has the one that the workload's accounts
  // give it.
  std::optional<Policy> policy{};
  Estimates estimates = Estimates::limit;
  Unplaced unplaced = Unplaced::waits;
};

class VirtualCell {
 public:
  // With the bytes of the event, as a log would have it.
  using Tell =
      std::function<void(const schema::Event&, std::span<const std::byte>)>;

  // The workload must outlive it. `tell` hears every event, in order.
  VirtualCell(const Workload& work, const CellOptions& options, Tell tell = {});
  ~VirtualCell();
  VirtualCell(const VirtualCell&) = delete;

  // Goes to the next moment at which something happens; false: nothing will
  // ever happen again.
  bool step();

  Time moment() const;  // on the virtual clock
  // Of each session of the workload, by its index.
  const std::vector<Outcome>& outcomes() const;
  // Sessions that have ended or were refused; and those of them that are
  // counted and have not.
  std::size_t settled() const;
  std::size_t open() const;
  std::uint64_t placements() const;

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace reeve::cluster::simulation

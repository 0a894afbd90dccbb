// The workload that a log tells of, and what really became of it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/simulation/workload.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster::simulation {

inline constexpr std::size_t recorded_sessions_max = 2'000'000;

struct Recorded {
  Workload work;
  std::vector<Outcome> outcomes;  // of the workload's sessions, really
  // Of the window, and in none of the two:
  std::uint64_t withdrawn = 0;       // ended while they waited
  std::uint64_t unknown_length = 0;  // wait still, and have no time limit
};

// Sessions that lived when the window began or were submitted later, to their
// ends. Those of the window are counted, and those that waited at its
// beginning.
class Recorder {
 public:
  Recorder(Time from, Time to,
           std::size_t sessions_max = recorded_sessions_max);

  // Events in order with their bytes, from the log's first or those of a state
  // told as events; the further they go beyond the window, the more ends are
  // known. Errc::damaged for an event that contradicts the ones before it,
  // Errc::usage for more sessions than can be taken.
  Status apply(const schema::Event& event, std::span<const std::byte> bytes);

  // After the last event, which was not after `at`. A session is as long as its
  // last attempt held its tasks; one that still runs, or had to make room for
  // ever, as long as it has; one that still waits, as its time limit or what it
  // is simulated to last.
  Recorded finish(Time at);

 private:
  struct Seen {
    Session session;
    Outcome outcome;
    Time placed_at;     // of the present attempt; 0: it waits
    Time leaves_since;  // when that was told to make room; 0: it was not
    bool simulated = false;
    bool taken = false;             // into the workload
    bool evicted = false;           // it made room, and that was its end
    std::uint64_t at_least_ns = 0;  // of an attempt that made room
    std::uint64_t sim_duration_ns = 0;
    std::vector<Time> exits;           // of the present attempt, by rank
    std::vector<TaskProposal> places;  // the same, of one before the window
  };

  void changed(NodeChange change, Time at);
  template <class Body>
  void device_changed(NodeChange::Kind kind, const Body& body, Time at);
  void joined(const schema::NodeRegistered& body, Time at);
  Status submitted(const schema::SessionSubmitted& body, Time at);
  void placed(Seen& seen, const schema::SessionPlaced& body, Time at);
  void let_go(Seen& seen, Time at);
  void made_room(Seen& seen, Time at);
  void requeued(Seen& seen, const schema::SessionRequeued& body, Time at);
  void ended(Seen& seen, const schema::SessionEnded& body, Time at);
  Status session_event(const schema::Event& event);
  static void last_longer(Seen& seen);
  bool settle(Seen& seen, Time at);
  void settle_dependencies(Session& session) const;

  Workload work_;
  std::size_t sessions_max_;
  std::uint64_t withdrawn_ = 0;
  std::uint64_t unknown_length_ = 0;
  boost::unordered_flat_map<std::uint64_t, Seen> sessions_;
};

}  // namespace reeve::cluster::simulation

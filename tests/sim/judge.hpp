// What a scheduler may propose, by what it has been told: judged pass by pass,
// beside the scheduler, from the rules of docs/scheduling.md. What it says has
// to be right by what it knows, however old that is.
//
// Promises to the first that waits are judged where it is certain who that is:
// under an order that no account changes, without quotas and reservations.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/scheduling/scheduler.hpp"
#include "cluster/state.hpp"
#include "tests/sim/probes.hpp"
#include "tests/sim/room.hpp"

namespace reeve::sim {

class Judge {
 public:
  // The scheduler begins with what this state tells.
  Judge(cluster::State state, Probes& probes);

  // What the scheduler knows.
  const cluster::State& known() const { return known_; }

  // Beside the scheduler, in the same order.
  void told(const schema::Event& event);
  void refused(SessionId session, std::uint32_t attempt);

  // A pass: what was promised before it, what it proposes, what is left.
  void begin_pass(const cluster::Scheduler& scheduler, Time now);
  void proposed(const std::vector<cluster::Proposal>& proposals, Time now);
  void end_pass(Time now);
  // Who is to make room, after a pass.
  void making_room(const std::vector<cluster::Preemption>& room, Time now);

 private:
  using Session = cluster::Session;
  // Proposed, and neither placed nor refused yet.
  struct Open {
    cluster::Proposal proposal;
    Time at;
  };
  // A resource group and whether its nodes are simulated: one queue.
  using Pool = std::pair<std::string, bool>;
  // Where the first of a queue that waits may start, as far as can be told.
  struct Promise {
    std::uint64_t session = 0;
    Time start;  // by the lengths of what runs; or later, as it was told
  };
  // Since when one has been the first that waits and nothing but sessions
  // came and went; then, what held a place when its patience had ended.
  struct Watch {
    std::uint64_t session = 0;
    Time since;
    bool patience_over = false;
    std::set<std::uint64_t> ran{};
  };

  const Session& session(std::uint64_t id) const;
  Pool pool_of(const Session& session) const;
  cluster::Policy policy_of(const Pool& pool) const;
  Rooms rooms() const;
  bool holds(const Session& session) const;

  // judge.cpp: each proposal by itself.
  void check_known(const cluster::Proposal& proposal, Time now) const;
  void check_company(const Ask& ask, const cluster::Proposal& proposal) const;
  void check_windows(const Ask& ask, const cluster::Proposal& proposal,
                     Time now) const;
  std::set<std::string> places_of(const Ask& of, std::string_view word,
                                  bool together) const;
  const std::string* place_of(NodeId node, std::string_view label) const;

  // judge_queue.cpp: those that wait.
  bool is_clear() const;
  bool may_start(const Session& session, Time now) const;
  std::optional<std::vector<Ask>> queue_of(const Pool& pool, Time now) const;
  bool is_before(const cluster::Policy& policy, const Session& a,
                 const Session& b) const;
  bool fits_idle(const Ask& ask) const;
  const Ask* hopeful(const std::vector<Ask>& queue) const;
  std::optional<Time> earliest(const Pool& pool, const Ask& ask,
                               Time now) const;
  std::set<Pool> pools() const;
  void check_turn(const cluster::Proposal& proposal, const Rooms& before,
                  Time now) const;
  void check_first(const Pool& pool, Time now) const;
  void check_promise(const Pool& pool, const Promise& promise, Time now) const;
  void watch_first(const Pool& pool, Time now);

  // judge_room.cpp: those that make room.
  void check_victim(const cluster::Preemption& one, Time now) const;
  void check_victims(const Session& head,
                     const std::vector<cluster::Preemption>& room,
                     Time now) const;

  Probes& probes_;
  cluster::State known_;
  std::map<std::uint64_t, Open> open_;
  std::map<std::uint64_t, Time> began_;  // of what holds a place
  std::map<Pool, Promise> promises_;
  std::map<Pool, Watch> watches_;
  // What this pass has proposed.
  std::vector<std::uint64_t> passing_;
};

}  // namespace reeve::sim

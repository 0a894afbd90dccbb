// What must hold, whatever happens. It sees more than any process of the cell:
// every commit that became durable, every answer that a client got, every
// process that runs on every node.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/agent/keeper/types.hpp"
#include "actors/manager/core.hpp"
#include "cluster/state.hpp"
#include "schema/command_generated.h"
#include "store/record.hpp"
#include "tests/sim/log.hpp"
#include "tests/sim/loop.hpp"
#include "tests/sim/probes.hpp"

namespace reeve::sim {

using keeper::TaskKey;

struct Grant {
  std::uint32_t device = 0;
  std::uint32_t milli = 0;
};

class Oracle {
 public:
  Oracle(Loop& loop, Probes& probes) : loop_(loop), probes_(probes) {}

  // ---- the log
  // The state as all durable events tell it.
  const cluster::State& truth() const { return truth_; }
  void committed(std::span<const std::byte> events, const store::Head& head);
  // A log that was opened has all that was acknowledged, and is the truth if
  // it has more. `state` was found from it.
  void recovered(const Log& log, const cluster::State& state);
  // Live and replayed are the same, where they are at the same event.
  void compare(const cluster::State& live);
  void check_state(const cluster::State& live) const;

  // ---- what the manager sends
  void answered(std::span<const std::byte> bytes, bool waits_for_commit);
  void ordered(const schema::AgentOrder& order) const;

  // ---- clients
  void asked_submit(const schema::Id128& id, const std::string& name,
                    std::uint32_t sessions);
  // The session, 0 if it was refused.
  std::uint64_t heard(const schema::Reply& reply);
  std::size_t acknowledged() const { return acknowledged_; }

  // ---- tasks as the nodes run them
  void task_granted(const TaskKey& key, std::vector<Grant> grants);
  void task_started(const TaskKey& key, const std::string& node);
  void task_ended(const TaskKey& key);
  void task_stuck(const TaskKey& key);      // nothing can end it for a while
  void task_lost(const TaskKey& key);       // it ended, and how is not known
  void task_unwritten(const TaskKey& key);  // nobody will know that it ran
  void stop_heard(const TaskKey& key) const;
  std::size_t running() const { return running_; }

  // The end of a run: everything that was acknowledged is in the log.
  void finish(const Log& log) const;

 private:
  struct Life {
    std::string node;
    bool running = false;
    bool lost = false;
    bool unwritten = false;
    bool stuck = false;
    std::uint32_t starts = 0;
    std::vector<Grant> grants;
  };
  struct Submission {
    std::string name;
    std::uint32_t sessions = 1;  // all or none
    std::uint64_t session = 0;   // the first, as it was acknowledged
  };
  using IdKey = std::pair<std::uint64_t, std::uint64_t>;

  void apply(const schema::Event& event);
  void look_at(const schema::Event& event);
  void look_at_submitted(const schema::Event& event,
                         const schema::SessionSubmitted& body);
  void note_refused(const schema::Reply& reply);
  void look_at_exited(const schema::TaskExited& body) const;
  void look_at_returned(const schema::NodeReturned& body) const;
  void count(const schema::Event& event);
  void check_shape(const schema::SessionPlaced& body) const;
  void check_turn(const schema::SessionPlaced& body, Time now) const;
  void check_wishes(const schema::SessionPlaced& body) const;
  void check_quotas(const schema::SessionPlaced& body, Time now) const;
  void check_array(const schema::SessionPlaced& body) const;
  void check_quarantines(const schema::SessionPlaced& body) const;
  void check_sharing(const schema::SessionPlaced& body) const;
  void check_reservations(const schema::SessionPlaced& body, Time now) const;
  void look_at_stopping(const schema::SessionStopping& body) const;
  void look_at_requeued(const schema::SessionRequeued& body);
  void look_at_ended(const schema::SessionEnded& body) const;
  bool given_up(const TaskKey& key) const;
  void check_devices(const std::string& node) const;
  void check_attempts(const TaskKey& key) const;

  Loop& loop_;
  Probes& probes_;
  cluster::State truth_;
  store::Head head_;
  std::map<std::string, std::uint64_t> session_by_name_;
  std::map<IdKey, Submission> submissions_;
  // By name, of the epoch that said that nothing was changed.
  std::map<std::string, std::uint64_t> refused_;
  std::size_t acknowledged_ = 0;
  std::uint64_t newest_session_ = 0;
  std::map<std::uint64_t, std::uint32_t> evictions_;  // by session
  std::map<TaskKey, Life> lives_;
  std::size_t running_ = 0;
};

// "7.1.0 started", for the notes.
std::string text_of(const schema::Event& event);

}  // namespace reeve::sim

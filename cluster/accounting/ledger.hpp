// Who held what from when to when: a fold of the log into closed intervals.
//
// Fed with every event in order, or first with a state told as events
// (cluster/project.hpp). Keeps what lives: sessions that have not ended and
// nodes. All else leaves through the sink. Knows no clock: times come in
// events. One thread at a time.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/accounting/amount.hpp"
#include "cluster/error.hpp"
#include "cluster/interner.hpp"
#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster::accounting {

// What one task held in [from, to). A holding that a cut divides is told in
// parts, each with the `placed_at` of the whole.
struct Holding {
  SessionId session;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
  NodeId node;
  Time placed_at;
  Time started_at;  // 0: it never ran
  Time from;
  Time to;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::span<const schema::DeviceShare> devices;
  std::string_view name;
  std::string_view user;
  std::string_view project;
  std::string_view group;
  bool ended = false;  // else it goes on after `to`
  // Of an ended one.
  schema::EndReason reason = schema::EndReason::none;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;

  std::uint64_t gpu_milli() const {
    std::uint64_t sum = 0;
    for (const auto& share : devices) sum += share.milli();
    return sum;
  }
};

enum class NodePhase : std::uint8_t { up = 0, drained = 1, lost = 2 };
inline constexpr std::size_t node_phases = 3;

// What a node was in [from, to), with one inventory. Lost wins over drained.
// A removed node is in no span.
struct NodeSpan {
  NodeId node;
  std::string_view name;
  std::string_view group;
  NodePhase phase = NodePhase::up;
  Time from;
  Time to;
  Rate capacity;
  Amount held;  // by all its tasks together
};

// The end of an attempt, after the holdings of it. `state` is pending when
// the session waits for its next attempt.
struct AttemptEnd {
  SessionId session;
  std::uint32_t attempt = 0;
  Time at;
  schema::SessionState state = schema::SessionState::pending;
  schema::EndReason reason = schema::EndReason::none;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
};

// Views live until the call returns. Intervals of no length are not told.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void held(const Holding&) {}
  virtual void node_was(const NodeSpan&) {}
  virtual void attempt_ended(const AttemptEnd&) {}
};

struct LedgerDevice {
  std::string uuid;
  std::string model;
};

// A node as it was registered last.
struct LedgerNode {
  std::string name;
  std::string group;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<LedgerDevice> devices;
  bool lost = false;
  bool draining = false;
  bool removed = false;

  Time since;     // of the present span
  Time counted;   // up to when `amount` counts
  Rate used;      // by tasks, now
  Amount amount;  // held since `since`
};

class Ledger {
 public:
  // The sink must outlive the ledger.
  explicit Ledger(Sink& sink) : sink_(sink) {}

  // Errc::damaged for an event that contradicts the ones before it, or, once
  // something was cut, is earlier. Such a ledger must not be used.
  Status apply(const schema::Event& event);

  // Tells all that is open up to `at`, as not ended; it goes on from there.
  // No event before `at` may follow.
  void cut(Time at);

  const std::vector<LedgerNode>& nodes() const { return nodes_; }
  const std::string& cell() const { return cell_; }
  // What a living session is doing; `pending` for one that is not known.
  schema::SessionState state_of(SessionId session) const;
  // Sessions that live: what this ledger keeps.
  std::size_t size() const { return sessions_.size(); }

 private:
  struct Task {
    NodeId node;
    bool holds = false;
    Time from;
    Time started_at;
    std::vector<schema::DeviceShare> devices;
  };
  struct Session {
    std::string name;
    Interner::Id user = 0;
    Interner::Id project = 0;
    Interner::Id group = 0;
    std::uint32_t cpu_milli = 0;
    std::uint64_t memory_bytes = 0;
    std::uint32_t attempt = 1;
    std::uint32_t started = 0;
    schema::SessionState state = schema::SessionState::pending;
    Time placed_at;
    std::vector<Task> tasks;
  };
  struct End {
    schema::EndReason reason = schema::EndReason::none;
    std::int32_t exit_code = 0;
    std::int32_t signal = 0;
  };

  Session* find(std::uint64_t session);
  Status submitted(const schema::SessionSubmitted& body);
  Status placed(const schema::SessionPlaced& body, Time at);
  Status started(const schema::TaskStarted& body, Time at);
  Status exited(const schema::TaskExited& body, Time at);
  Status stopping(const schema::SessionStopping& body);
  Status requeued(const schema::SessionRequeued& body, Time at);
  Status ended(const schema::SessionEnded& body, Time at);
  Status registered(const schema::NodeRegistered& body, Time at);
  Status node_changed(const schema::Event& event);

  void release(std::uint64_t id, const Session& session, std::uint32_t rank,
               Task& task, Time at, const End& end);
  void release_all(std::uint64_t id, Session& session, Time at, const End& end);
  void tell(std::uint64_t id, const Session& session, std::uint32_t rank,
            const Task& task, Time to, const End* end);
  void count(LedgerNode& node, Time at);
  void close_span(LedgerNode& node, Time at);
  Rate rate(const Session& session, const Task& task) const;

  Sink& sink_;
  Time floor_;  // since the first cut: of the latest event or cut
  std::string cell_;
  std::vector<LedgerNode> nodes_;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  Interner texts_;
};

}  // namespace reeve::cluster::accounting

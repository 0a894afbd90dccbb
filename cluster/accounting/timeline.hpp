// Everything that was held in a window, kept for drawing it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/accounting/name_list.hpp"
#include "cluster/accounting/window.hpp"

namespace reeve::cluster::accounting {

// How many allocations one picture may have.
inline constexpr std::size_t timeline_allocations_max = 1'000'000;

// One attempt of a session that held something. Its state is the one it ended
// in; pending means that it was requeued; else what it was doing at the end
// of the window.
struct TimelineRun {
  SessionId session;
  std::uint32_t attempt = 0;
  std::string name;
  std::uint32_t user = 0;  // in Timeline::users, ...
  std::uint32_t project = 0;
  std::uint32_t group = 0;
  schema::SessionState state = schema::SessionState::placed;
  schema::EndReason reason = schema::EndReason::none;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
};

struct TimelineAllocation {
  std::uint32_t run = 0;
  std::uint32_t rank = 0;
  NodeId node;
  Time placed_at;  // before `from` where the window cuts it
  Time started_at;
  Time from;
  Time to;
  bool ended = false;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<schema::DeviceShare> devices;
};

struct TimelineSpan {
  NodeId node;
  NodePhase phase = NodePhase::up;
  Time from;
  Time to;
  std::uint32_t devices = 0;
};

class Timeline final : public WindowSink {
 public:
  // Of all nodes that `wanted` does not refuse.
  using Wanted = std::function<bool(NodeId)>;
  explicit Timeline(Wanted wanted = {}) : wanted_(std::move(wanted)) {}

  void held(const Holding& holding) override;
  void node_was(const NodeSpan& span) override;
  void attempt_ended(const AttemptEnd& end) override;
  void period_ended(Time, Time) override {}
  // What lives says what it was doing.
  void finish(const Ledger& ledger);

  // More was held than a picture may have; the rest was not kept.
  bool overflowed() const { return overflowed_; }

  std::vector<TimelineRun> runs;
  std::vector<TimelineAllocation> allocations;  // in the order of their ends
  std::vector<TimelineSpan> spans;
  NameList users;
  NameList projects;
  NameList groups;

 private:
  std::uint32_t run_of(const Holding& holding);
  Wanted wanted_;
  bool overflowed_ = false;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> living_;
};

}  // namespace reeve::cluster::accounting

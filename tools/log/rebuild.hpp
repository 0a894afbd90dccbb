// The state at a moment, rebuilt from a log.
#pragma once

#include <cstdint>
#include <string_view>

#include "cluster/error.hpp"
#include "cluster/state.hpp"
#include "tools/log/log_range.hpp"

namespace reeve::tools {

struct RebuildOptions {
  std::uint64_t to = 0;
  // Begin with the newest snapshot at or before `to`; else with nothing.
  bool use_snapshot = false;
  Trust trust = Trust::chain;
  bool quiet = false;
  std::string_view doing = "reading";  // for its progress
};

struct Rebuilt {
  cluster::State state;
  std::uint64_t events = 0;    // applied
  std::uint64_t snapshot = 0;  // begun from; 0: from the first event
  std::uint64_t duration_ns = 0;
};

// Shows the rate and how far it is while it works. Errc::damaged names the
// event that does not fit.
Expected<Rebuilt> rebuild(store::LogReader& log, const RebuildOptions& options);

// Applies the events of the range to a state that stands before it. The error
// names the event.
Status apply_events(const store::LogReader& log, LogRange range, Trust trust,
                    cluster::State& state);

}  // namespace reeve::tools

// What the drawings of a timeline share.
#pragma once

#include <string>

#include "cluster/accounting/timeline.hpp"
#include "tools/args/output.hpp"

namespace reeve::tools {

struct TimelineView {
  const cluster::accounting::Timeline& timeline;
  const cluster::accounting::Ledger& ledger;
  Time from;
  Time to;
};

enum class ColourBy { user, project, session };

// As bars, one row for each device (and for each node without devices).
struct BarOptions {
  ColourBy by = ColourBy::user;
  std::size_t width = 100;     // of a line
  std::size_t rows_max = 200;  // more are counted, not drawn
  bool colour = false;
  bool unicode = false;
};
inline constexpr std::size_t bar_width_min = 40;
inline constexpr std::size_t bar_width_max = 1000;
std::string timeline_bars(const TimelineView& view, const BarOptions& options);

// As one HTML page.
std::string timeline_page(const TimelineView& view);

// One line for each allocation and node span.
std::string timeline_json(const TimelineView& view);

// The state that a run ended in, or what it was doing.
std::string_view state_name(const cluster::accounting::TimelineRun& run);
std::string_view phase_name(cluster::accounting::NodePhase phase);

}  // namespace reeve::tools

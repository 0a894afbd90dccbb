// --from and --to as a window of time, and a ledger run over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "cluster/accounting/window.hpp"
#include "tools/log/log_range.hpp"

namespace reeve::tools {

// From the first moment to the last; and the events that tell of it.
struct TimeWindow {
  Time from;
  Time to;
  LogRange events;  // those in it
  Time log_from;    // of the log's first event
  Time log_to;      // and of its last
};

// A sequence stands for the time of its event, a time for itself. Without
// --from the log's beginning, without --to its last event. Errc::usage: before
// the log begins, after now, or no time between them.
Expected<TimeWindow> time_window(const Context& context, store::LogReader& log,
                                 const Arguments& arguments);

// Tells what lies before the window (from the newest snapshot that serves) and
// in it, until an error comes back. Shows how far it is.
using EventFold =
    std::function<Status(const schema::Event&, std::span<const std::byte>)>;
Status run_events(store::LogReader& log, const TimeWindow& range, bool quiet,
                  const EventFold& fold);

// The same into a window, to its end.
Status run_window(store::LogReader& log, const TimeWindow& range, bool quiet,
                  cluster::accounting::Window& window);

}  // namespace reeve::tools

// Opening a log and telling which part of it is meant.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "cluster/error.hpp"
#include "store/log_reader.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::schema {
struct Event;
}

namespace reeve::tools {

// --log DIR, or the cell's own. What the log warns of is said.
Expected<std::unique_ptr<store::LogReader>> open_log(
    const Context& context, const Arguments& arguments);

struct LogRange {
  std::uint64_t from = 1;
  std::uint64_t to = 0;  // both included; `to` below `from`: nothing
};

// "100" is a sequence, all else a time: `from` becomes the first event at or
// after it, `to` the last at or before it. Without them: all. Errc::usage for
// one that ends before it begins.
Expected<LogRange> log_range(store::LogReader& log,
                             std::optional<std::string_view> from,
                             std::optional<std::string_view> to);

// Says where the log ends to who named a sequence after that: there is nothing
// to print.
void tell_end(const Context& context, const store::LogReader& log,
              std::optional<std::string_view> from);

enum class Trust {
  verify,  // each event is checked as if it came from outside
  chain,   // the chain proves that it is what was once verified
};

// Calls visit(event, bytes) for the events of the range in order until it
// says false, and on_commit() before the first of each commit, however many of
// them are in the range. `bytes` has the size prefix.
using EventVisit =
    std::function<bool(const schema::Event&, std::span<const std::byte>)>;
Status each_event(const store::LogReader& log, LogRange range, Trust trust,
                  const EventVisit& visit,
                  const std::function<void()>& on_commit = {});

}  // namespace reeve::tools

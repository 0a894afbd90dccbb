// A moment in a log, and the state of the cell then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "cluster/state.hpp"
#include "cluster/types.hpp"
#include "store/log_reader.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

// The last event at or before "SEQ|TIME"; the head without. Errors begin with
// `option`. Errc::usage for a time before the first event.
Expected<std::uint64_t> moment_of(store::LogReader& log,
                                  std::optional<std::string_view> text,
                                  std::string_view option);

// The events of this session up to `to`, in order: from the index, and from
// the log where the index does not reach.
Expected<std::vector<std::uint64_t>> session_events(const Context& context,
                                                    store::LogReader& log,
                                                    SessionId id,
                                                    std::uint64_t to);

// The state after event `at`, from the nearest snapshot before it. It lives
// until the process ends: to take it apart would double the time of a look.
Expected<const cluster::State*> state_at(const Context& context,
                                         store::LogReader& log,
                                         std::uint64_t at);

}  // namespace reeve::tools

// Where an attempt of a session ran that is over: the cell's state has the
// newest alone, the log has them all.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::tools {

struct AttemptTask {
  SessionId session;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
};

// Calls the visitor for the events of [from, to] in order until it says false.
using ReadEvents = std::function<Status(
    std::uint64_t from, std::uint64_t to,
    const std::function<bool(const schema::Event&)>& visit)>;

// The node of the task, from the events of [from, to]; nothing where they do
// not tell. The newest are read first: the attempt may be long after `from`.
Expected<std::optional<NodeId>> node_of_attempt(const ReadEvents& read,
                                                std::uint64_t from,
                                                std::uint64_t to,
                                                const AttemptTask& task);

}  // namespace reeve::tools

// Shared by the decisions about facts, nodes, devices, sessions and accounts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster/decide.hpp"

namespace reeve::cluster {

struct TaskEnd {
  std::uint32_t rank = 0;
  EndReason reason = EndReason::exited;
  schema::ExitFacts facts;
  std::string detail;
};

// The task's end, and what follows from it for its session: the next attempt,
// the end, or the end of its peers. `writer` has begun.
void write_exit(const Session& session, const TaskEnd& end,
                const Origin& origin, Sequence cause, EventWriter& writer);

Rejection unknown_node(const State& state, std::string_view name);

// Whether there may be one more account, and of this name.
std::optional<Rejection> check_new_account(const State& state,
                                           std::string_view name);

}  // namespace reeve::cluster

// Shared by the decisions about facts, lost nodes and sessions.
#pragma once

#include <string>

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

}  // namespace reeve::cluster

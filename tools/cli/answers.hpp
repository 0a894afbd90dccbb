// Questions that a running cell answers now, and a log for any moment: each
// command below prints the answers, whoever gives them.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "cluster/error.hpp"
#include "schema/query_generated.h"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

// An answer that was checked, with what it lives in.
using Answered = std::shared_ptr<const schema::Answer>;

struct Answers {
  // The body was built in the builder.
  std::function<Expected<Answered>(flatbuffers::FlatBufferBuilder&,
                                   schema::QueryBody,
                                   flatbuffers::Offset<void>)>
      ask;
  // The moment that they are of.
  std::uint64_t now_at = 0;
};

using Shown = Expected<int>;
Shown show_session(const Context&, const Arguments&, const Answers&);
Shown show_node(const Context&, const Arguments&, const Answers&);
Shown list_nodes(const Context&, const Arguments&, const Answers&);
Shown list_gpus(const Context&, const Arguments&, const Answers&);

// Calls visit(node) for up to `limit` nodes in order; true when there are
// more.
Expected<bool> each_node(
    const Answers& answers, std::uint64_t limit,
    const std::function<void(const schema::NodeView&)>& visit);

}  // namespace reeve::tools

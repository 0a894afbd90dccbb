// show, nodes, node show, gpus: of the running cell, or, with --at or --log,
// of a moment in a log.
#include <fmt/format.h>

#include "tools/cli/answers.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/log_tool.hpp"
#include "tools/cli/node/gpus_live.hpp"

namespace reeve::tools {
namespace {

Expected<Answered> ask(Cell& cell, flatbuffers::FlatBufferBuilder& builder,
                       schema::QueryBody kind, flatbuffers::Offset<void> body) {
  auto answer = cell.ask(builder, kind, body);
  if (!answer) return tl::unexpected(answer.error());
  const auto held = std::make_shared<Held<schema::Answer>>(std::move(*answer));
  return Answered(held, &**held);
}

using Show = Shown (*)(const Context&, const Arguments&, const Answers&);

// The cell is connected to with the first question: what is wrong with the
// words is said without it.
Result show(const Context& context, const Arguments& arguments, Show show) {
  if (arguments.has("--at") || arguments.has("--log"))
    return tl::unexpected(run_log_tool(context));
  std::unique_ptr<Cell> cell;
  Answers answers;
  answers.now_at = now_ns();
  answers.ask = [&](flatbuffers::FlatBufferBuilder& builder,
                    schema::QueryBody kind,
                    flatbuffers::Offset<void> body) -> Expected<Answered> {
    if (!cell) {
      auto connected = Cell::connect(context);
      if (!connected) return tl::unexpected(connected.error());
      cell = std::move(*connected);
    }
    return ask(*cell, builder, kind, body);
  };
  return show(context, arguments, answers);
}

}  // namespace

Answers answers_of(Cell& cell) {
  Answers answers;
  answers.now_at = now_ns();
  answers.ask = [&cell](flatbuffers::FlatBufferBuilder& builder,
                        schema::QueryBody kind,
                        flatbuffers::Offset<void> body) {
    return ask(cell, builder, kind, body);
  };
  return answers;
}

Result command_show(const Context& context, const Arguments& arguments) {
  return show(context, arguments, show_session);
}
Result command_nodes(const Context& context, const Arguments& arguments) {
  return show(context, arguments, list_nodes);
}
Result command_node_show(const Context& context, const Arguments& arguments) {
  return show(context, arguments, show_node);
}
Result command_gpus(const Context& context, const Arguments& arguments) {
  if (arguments.has("--live")) {
    for (const char* other : {"--limit", "--at", "--log"})
      if (arguments.has(other))
        return fail(Errc::usage, fmt::format("--live goes without {}", other));
    return watch_gpus(context);
  }
  return show(context, arguments, list_gpus);
}

}  // namespace reeve::tools

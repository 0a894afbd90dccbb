// node drain, node resume, node remove.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

bool is_absent(Cell& cell, const std::string& node) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateNodesQueryDirect(builder, node.c_str(), 0, 1);
  const auto answer =
      cell.ask(builder, schema::QueryBody::NodesQuery, body.Union());
  return !answer && answer.error().code == Errc::not_found;
}

Result change_node(const Context& context, const std::string& node,
                   flatbuffers::FlatBufferBuilder& builder,
                   schema::CommandBody kind, flatbuffers::Offset<void> body,
                   const char* done, const char* done_if_absent = nullptr) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto reply = (*cell)->command(builder, kind, body);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    print(
        JsonObject().text("node", node).number("seq", (*reply)->seq()).done() +
        '\n');
  } else if (!context.quiet) {
    const bool absent = done_if_absent != nullptr && is_absent(**cell, node);
    say(fmt::format("{} {}", node, absent ? done_if_absent : done));
  }
  return 0;
}

}  // namespace

Result command_node_drain(const Context& context, const Arguments& arguments) {
  std::uint64_t deadline_ns = 0;
  if (const auto text = arguments.find("--deadline")) {
    const auto deadline = parse_duration(*text);
    if (!deadline)
      return fail(Errc::usage,
                  fmt::format("--deadline: {}", deadline.error().text));
    deadline_ns = *deadline;
  }
  flatbuffers::FlatBufferBuilder builder;
  const std::string& node = arguments.words[0];
  const std::string reason(arguments.text("--reason"));
  const auto body = schema::CreateDrainNodeDirect(
      builder, node.c_str(), reason.empty() ? nullptr : reason.c_str(),
      deadline_ns);
  return change_node(context, node, builder, schema::CommandBody::DrainNode,
                     body.Union(), "is offered to nobody now");
}

Result command_node_resume(const Context& context, const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const std::string& node = arguments.words[0];
  const auto body = schema::CreateResumeNodeDirect(builder, node.c_str());
  return change_node(context, node, builder, schema::CommandBody::ResumeNode,
                     body.Union(), "is offered again",
                     "may join again: a daemon that runs does so within "
                     "seconds; a simulated one is declared again");
}

Result command_node_remove(const Context& context, const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const std::string& node = arguments.words[0];
  const auto body = schema::CreateRemoveNodeDirect(builder, node.c_str());
  return change_node(context, node, builder, schema::CommandBody::RemoveNode,
                     body.Union(),
                     "is no longer of this cell; \"reeve node resume\" lets it "
                     "join again");
}

}  // namespace reeve::tools

// node drain, node resume, node remove.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

Result change_node(const Context& context, const std::string& node,
                   flatbuffers::FlatBufferBuilder& builder,
                   schema::CommandBody kind, flatbuffers::Offset<void> body,
                   const char* done) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto reply = (*cell)->command(builder, kind, body);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json)
    print(
        JsonObject().text("node", node).number("seq", (*reply)->seq()).done() +
        '\n');
  else if (!context.quiet)
    say(fmt::format("{} {}", node, done));
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
                     body.Union(), "is offered again");
}

Result command_node_remove(const Context& context, const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const std::string& node = arguments.words[0];
  const auto body = schema::CreateRemoveNodeDirect(builder, node.c_str());
  return change_node(context, node, builder, schema::CommandBody::RemoveNode,
                     body.Union(), "is no longer of this cell");
}

}  // namespace reeve::tools

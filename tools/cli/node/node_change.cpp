// node drain, node resume, node remove.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

Expected<Held<schema::Answer>> ask_node(Cell& cell, const std::string& node) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateNodesQueryDirect(builder, node.c_str(), 0, 1);
  return cell.ask(builder, schema::QueryBody::NodesQuery, body.Union());
}

bool is_absent(Cell& cell, const std::string& node) {
  const auto answer = ask_node(cell, node);
  return !answer && answer.error().code == Errc::not_found;
}

// How a node is drained; nothing of one that is not.
struct Drain {
  std::uint64_t deadline_at = 0;
  std::string reason;
};

Drain drain_of(Cell& cell, const std::string& node) {
  const auto answer = ask_node(cell, node);
  const auto* body = answer ? (*answer)->body_as_NodesAnswer() : nullptr;
  if (!body || !body->nodes() || body->nodes()->size() != 1) return {};
  const auto& view = *body->nodes()->Get(0);
  return {view.drain_deadline_at(),
          std::string(schema::text(view.drain_reason()))};
}

// What is so now, and what an earlier drain said that holds no more.
std::string drained_text(const Drain& before, const Drain& now) {
  std::string out = "is offered to nobody now";
  if (now.deadline_at != 0)
    out += "; what runs there then ends at " + local_time(now.deadline_at);
  if (before.deadline_at != 0 && now.deadline_at != 0)
    out += ", not at " + local_time(before.deadline_at) + " as before";
  if (before.deadline_at != 0 && now.deadline_at == 0)
    out += "; its deadline of " + local_time(before.deadline_at) +
           " is taken back: what runs there goes on";
  if (!before.reason.empty() && before.reason != now.reason)
    out += fmt::format("; its reason was \"{}\"", before.reason);
  return out;
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
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const Drain before = drain_of(**cell, node);
  const auto reply =
      (*cell)->command(builder, schema::CommandBody::DrainNode, body.Union());
  if (!reply) return tl::unexpected(reply.error());
  const Drain now = drain_of(**cell, node);
  if (context.json) {
    JsonObject out;
    out.text("node", node).number("seq", (*reply)->seq());
    if (now.deadline_at != 0) out.time("deadline_at", now.deadline_at);
    if (before.deadline_at != 0)
      out.time("earlier_deadline_at", before.deadline_at);
    print(out.done() + '\n');
  } else if (!context.quiet) {
    say(fmt::format("{} {}", node, drained_text(before, now)));
  }
  return 0;
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

// graph.
#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/session/waiting_graph.hpp"

namespace reeve::tools {
namespace {

constexpr std::uint32_t graph_page_sessions = 500;

void add(WaitingGraph& graph, const schema::SessionView& view) {
  WaitingGraph::Session session;
  session.name = schema::text(view.name());
  session.state = view.state();
  if (view.after() != nullptr)
    for (const auto* one : *view.after()) session.after.push_back(*one);
  graph.add(view.session(), std::move(session));
}

// All that live: what has ended holds nobody back.
Status add_living(Cell& cell, WaitingGraph& graph) {
  std::uint64_t after = 0;
  for (bool more = true; more;) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto query = schema::CreateSessionsQueryDirect(
        builder, false, nullptr, nullptr, after, graph_page_sessions);
    const auto answer =
        cell.ask(builder, schema::QueryBody::SessionsQuery, query.Union());
    if (!answer) return tl::unexpected(answer.error());
    const auto* body = (*answer)->body_as_SessionsAnswer();
    if (body == nullptr || body->sessions() == nullptr) return {};
    more = body->more() && body->sessions()->size() > 0;
    for (const auto* view : *body->sessions()) {
      after = view->session();
      add(graph, *view);
    }
  }
  return {};
}

}  // namespace

Result command_graph(const Context& context, const Arguments& arguments) {
  std::uint64_t id = 0;
  if (!arguments.words.empty()) {
    const auto parsed = parse_session_id(arguments.words[0]);
    if (!parsed) return tl::unexpected(parsed.error());
    id = parsed->value;
  }
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  WaitingGraph graph;
  if (const Status good = add_living(**cell, graph); !good)
    return tl::unexpected(good.error());
  if (id != 0) {
    const auto view = (*cell)->session(SessionId{id});
    if (!view) return tl::unexpected(view.error());
    add(graph, **view);
  }
  const std::string out =
      arguments.has("--dot") ? graph.dot(id) : graph.tree(id);
  if (context.json) {
    print(JsonObject().text("graph", graph.dot(id)).done() + '\n');
  } else if (out.empty()) {
    if (!context.quiet) say("no session waits for another");
  } else {
    print(out);
  }
  return 0;
}

}  // namespace reeve::tools

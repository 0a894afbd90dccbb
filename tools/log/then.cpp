// show, nodes, node show, gpus with --at or --log: the answers that the cell
// would have given then.
#include <fmt/format.h>

#include "actors/manager/queries.hpp"
#include "cluster/session_id.hpp"
#include "schema/wire.hpp"
#include "tools/cli/answers.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/moment.hpp"

namespace reeve::tools {
namespace {

template <class Query>
const Query& query_in(flatbuffers::FlatBufferBuilder& builder,
                      flatbuffers::Offset<void> body) {
  builder.Finish(flatbuffers::Offset<Query>(body.o));
  return *flatbuffers::GetRoot<Query>(builder.GetBufferPointer());
}

std::vector<std::byte> answer(manager::AnswerWriter& writer,
                              flatbuffers::FlatBufferBuilder& builder,
                              schema::QueryBody kind,
                              flatbuffers::Offset<void> body) {
  switch (kind) {
    case schema::QueryBody::SessionQuery:
      return writer.session(query_in<schema::SessionQuery>(builder, body));
    case schema::QueryBody::SessionsQuery:
      return writer.sessions(query_in<schema::SessionsQuery>(builder, body));
    case schema::QueryBody::NodesQuery:
      return writer.nodes(query_in<schema::NodesQuery>(builder, body));
    default: return writer.failed("a log does not answer this");
  }
}

Answers answers_of(const cluster::State& state) {
  auto writer = std::make_shared<manager::AnswerWriter>(state);
  Answers answers;
  answers.now_at = state.last_time().value;
  answers.ask = [writer](flatbuffers::FlatBufferBuilder& builder,
                         schema::QueryBody kind,
                         flatbuffers::Offset<void> body) -> Expected<Answered> {
    const auto bytes = std::make_shared<std::vector<std::byte>>(
        answer(*writer, builder, kind, body));
    const auto* root = flatbuffers::GetRoot<schema::Answer>(bytes->data());
    if (root->error() != nullptr)
      return fail(root->not_found() ? Errc::not_found : Errc::internal,
                  root->error()->str());
    return Answered(bytes, root);
  };
  return answers;
}

using Show = Shown (*)(const Context&, const Arguments&, const Answers&);

Result show_at(const Context& context, const Arguments& arguments,
               store::LogReader& log, std::uint64_t at, Show show) {
  const auto state = state_at(context, log, at);
  if (!state) return tl::unexpected(state.error());
  return show(context, arguments, answers_of(**state));
}

Result show_then(const Context& context, const Arguments& arguments,
                 Show show) {
  const auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto at = moment_of(**log, arguments.find("--at"), "--at");
  if (!at) return tl::unexpected(at.error());
  return show_at(context, arguments, **log, *at, show);
}

}  // namespace

// A session is as its last event left it, so the state after that event knows
// it, however long ago it ended.
Result log_show(const Context& context, const Arguments& arguments) {
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  const auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto at = moment_of(**log, arguments.find("--at"), "--at");
  if (!at) return tl::unexpected(at.error());
  const auto events = session_events(context, **log, *id, *at);
  if (!events) return tl::unexpected(events.error());
  if (events->empty())
    return fail(Errc::not_found, fmt::format("there is no session {} up to "
                                             "event {}",
                                             to_text(*id), *at));
  return show_at(context, arguments, **log, events->back(), show_session);
}

Result log_node_show(const Context& context, const Arguments& arguments) {
  return show_then(context, arguments, show_node);
}
Result log_nodes(const Context& context, const Arguments& arguments) {
  return show_then(context, arguments, list_nodes);
}
Result log_gpus(const Context& context, const Arguments& arguments) {
  return show_then(context, arguments, list_gpus);
}

}  // namespace reeve::tools

// Which question is answered by what.
#include <fmt/format.h>

#include "actors/manager/core.hpp"
#include "actors/manager/queries.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

struct NamedCounter {
  const char* name;
  std::uint64_t value;
};

}  // namespace

std::vector<std::byte> Core::status_answer() const {
  AnswerWriter writer(state_);
  auto& builder = writer.builder();
  std::uint32_t nodes = 0;
  std::uint32_t nodes_up = 0;
  for (const auto& node : state_.nodes()) {
    nodes += node.removed ? 0 : 1;
    nodes_up += node.removed || node.lost ? 0 : 1;
  }
  std::vector<flatbuffers::Offset<schema::StateCount>> states;
  for (std::size_t i = 0; i < cluster::session_states; ++i) {
    const auto which = static_cast<schema::SessionState>(i);
    states.push_back(
        schema::CreateStateCount(builder, which, state_.count(which)));
  }
  std::vector<flatbuffers::Offset<schema::Counter>> counters;
  const auto add = [&](std::string_view name, std::uint64_t value) {
    const auto text = builder.CreateString(name.data(), name.size());
    counters.push_back(schema::CreateCounter(builder, text, value));
  };
  const NamedCounter own[] = {
      {"commands", counters_.commands},
      {"commands_rejected", counters_.rejections},
      {"commands_repeated", counters_.repeats},
      {"facts", counters_.facts},
      {"facts_foreign", counters_.facts_foreign},
      {"placements", counters_.placements},
      {"placements_refused", counters_.placements_refused},
      {"orders", counters_.orders},
      {"queries", counters_.queries},
  };
  for (const auto& [name, value] : own) add(name, value);
  for (const auto& [name, value] : outside_counters_) add(name, value);
  const auto state_list = builder.CreateVector(states);
  const auto counter_list = builder.CreateVector(counters);
  const auto cell = builder.CreateString(state_.cell());
  return writer.finish(schema::CreateStatusAnswer(
      builder, cell, daemon_pid_, bus_pid_, state_.epoch().value, nodes,
      nodes_up, admission_.open, state_list, counter_list));
}

bool Core::on_query(const schema::Query& query, std::string_view reply_to) {
  ++counters_.queries;
  AnswerWriter writer(state_);
  using schema::QueryBody;
  switch (query.body_type()) {
    case QueryBody::StatusQuery: reply_read(reply_to, status_answer()); break;
    case QueryBody::SessionsQuery:
      reply_read(reply_to, writer.sessions(*query.body_as_SessionsQuery()));
      break;
    case QueryBody::SessionQuery:
      reply_read(reply_to, writer.session(*query.body_as_SessionQuery()));
      break;
    case QueryBody::NodesQuery:
      reply_read(reply_to, writer.nodes(*query.body_as_NodesQuery()));
      break;
    case QueryBody::AccountsQuery:
      reply_read(reply_to,
                 writer.accounts(*query.body_as_AccountsQuery(), now_));
      break;
    case QueryBody::DigestQuery: reply_read(reply_to, writer.digest()); break;
    case QueryBody::WhyQuery: {
      const std::uint64_t id = query.body_as_WhyQuery()->session();
      const Session* session = state_.session(SessionId{id});
      if (!session) {
        reply_read(reply_to, writer.not_found(
                                 fmt::format("there is no session s-{}", id)));
        break;
      }
      if (session->state == schema::SessionState::pending) return false;
      reply_read(reply_to, writer.why_settled(*session));
      break;
    }
    default:
      reply_read(reply_to,
                 writer.failed("this program does not know the question: "
                               "it is older than the one that asks"));
  }
  return true;
}

void Core::answer_why(SessionId id, const cluster::Why& why,
                      std::string_view reply_to) {
  AnswerWriter writer(state_);
  const Session* session = state_.session(id);
  if (!session) {
    reply_read(reply_to, writer.not_found(fmt::format(
                             "there is no session s-{}", id.value)));
  } else if (session->state == schema::SessionState::pending) {
    reply_read(reply_to, writer.why_waiting(*session, why));
  } else {
    reply_read(reply_to, writer.why_settled(*session));
  }
}

}  // namespace reeve::manager

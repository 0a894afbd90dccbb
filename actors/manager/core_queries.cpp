// Which question is answered by what.
#include <fmt/format.h>

#include <algorithm>

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
  AnswerWriter writer = answer_writer();
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
      {"preemptions", counters_.preemptions},
      {"orders", counters_.orders},
      {"queries", counters_.queries},
  };
  for (const auto& [name, value] : own) add(name, value);
  for (const auto& [name, value] : outside_counters_) add(name, value);
  const auto state_list = builder.CreateVector(states);
  const auto counter_list = builder.CreateVector(counters);
  const auto cell = builder.CreateString(state_.cell());
  const std::string_view leads = leader_told();
  const auto leader = builder.CreateString(leads.data(), leads.size());
  std::vector<flatbuffers::Offset<schema::ManagerView>> managers;
  for (const ManagerSeen& one : membership_.managers) {
    const auto* healed = state_.healings().last_of(one.name);
    const auto healing = healed ? cluster::build_record(builder, *healed) : 0;
    managers.push_back(schema::CreateManagerViewDirect(
        builder, one.name.c_str(), one.address.c_str(), one.heard,
        one.silent_ns, one.role, one.epoch, one.sequence,
        one.program.version.c_str(),
        one.heard ? &one.program.protocol : nullptr, healing));
  }
  const auto manager_list = builder.CreateVector(managers);
  return writer.finish(schema::CreateStatusAnswer(
      builder, cell, daemon_pid_, bus_pid_, state_.epoch().value, nodes,
      nodes_up, admission_.open, state_list, counter_list, membership_.role,
      leader, behind_ns(), manager_list, membership_.leader_unheard));
}

// One that takes over, or led just now, is not to name itself.
std::string_view Core::leader_told() const {
  if (membership_.role == schema::ManagerRole::leading)
    return membership_.leader.empty() ? manager_ : membership_.leader;
  if (membership_.leader == manager_) return {};
  return membership_.leader;
}

std::optional<ForScheduler> Core::on_query(const schema::Query& query,
                                           std::string_view principal,
                                           std::string_view reply_to) {
  ++counters_.queries;
  auto question = answer_or_ask(query, principal, reply_to);
  if (started_ || !question) return question;
  const auto leader = leader_told();
  reply_read(
      reply_to,
      answer_writer().failed(
          leader.empty()
              ? std::string("this manager does not lead, and knows of none "
                            "that does, which alone knows what waits for "
                            "what: ask again when one leads")
              : fmt::format("this manager follows {}, which alone knows what "
                            "waits for what: ask the leader",
                            leader)));
  return std::nullopt;
}

std::optional<ForScheduler> Core::answer_or_ask(const schema::Query& query,
                                                std::string_view principal,
                                                std::string_view reply_to) {
  AnswerWriter writer = answer_writer();
  if (const auto why = why_apart(query.protocol())) {
    reply_read(reply_to, writer.failed(*why));
    return std::nullopt;
  }
  using schema::QueryBody;
  const bool for_admins = query.body_type() == QueryBody::IdentitiesQuery ||
                          query.body_type() == QueryBody::HandOverQuery;
  // One that follows may not have heard yet who joined.
  if (for_admins && started_)
    if (const auto no = check_member(principal, reply_to)) {
      reply_read(reply_to, writer.failed(no->text));
      return std::nullopt;
    }
  switch (query.body_type()) {
    case QueryBody::StatusQuery: reply_read(reply_to, status_answer()); break;
    case QueryBody::SessionsQuery:
      reply_read(reply_to, writer.sessions(*query.body_as_SessionsQuery()));
      break;
    case QueryBody::SessionQuery: {
      const auto& asked = *query.body_as_SessionQuery();
      const Session* session = state_.session(SessionId{asked.session()});
      // Who waits for its end acts on it: it is not told before it counts.
      if (alone_ && session && session->last_seq > durable_)
        reply(reply_to, writer.session(asked));
      else
        reply_read(reply_to, writer.session(asked));
      break;
    }
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
      if (session->state == schema::SessionState::pending)
        return WhyWaits{session->id};
      reply_read(reply_to, writer.why_settled(*session, given_up_at(*session)));
      break;
    }
    case QueryBody::ReservationsQuery:
      reply_read(reply_to, writer.reservations());
      break;
    case QueryBody::QueueQuery: {
      const auto& asked = *query.body_as_QueueQuery();
      QueueOf queue{std::string(schema::text(asked.group())), asked.simulated(),
                    asked.limit()};
      if (queue.group.empty()) queue.group = cluster::default_group;
      if (state_.accounts().find(cluster::AccountKind::group, queue.group))
        return queue;
      reply_read(reply_to,
                 writer.not_found(fmt::format("there is no resource group '{}'",
                                              queue.group)));
      break;
    }
    case QueryBody::IdentitiesQuery:
      reply_read(reply_to,
                 state_.may_administer(principal)
                     ? writer.identities(*query.body_as_IdentitiesQuery())
                     : writer.failed("only " + state_.owner() +
                                     " and admins may see this"));
      break;
    case QueryBody::HandOverQuery:
      hand_over(*query.body_as_HandOverQuery(), principal, reply_to);
      break;
    case QueryBody::DryRunQuery:
      return dry_run(*query.body_as_DryRunQuery(), principal, reply_to);
    default:
      reply_read(reply_to,
                 writer.failed("this program does not know the question: "
                               "it is older than the one that asks"));
  }
  return std::nullopt;
}

// Alone it knows of the cell what was so before.
std::uint64_t Core::behind_ns() const {
  if (!started_ || !alone_) return membership_.behind_ns;
  return now_.value - std::min(now_, settled_at_).value;
}

AnswerWriter Core::answer_writer() const {
  if (started_ && !alone_) return AnswerWriter(state_);
  return AnswerWriter(
      state_, {manager_, behind_ns(), membership_.leader_unheard, started_});
}

void Core::hand_over(const schema::HandOverQuery& query,
                     std::string_view principal, std::string_view reply_to) {
  if (!state_.may_administer(principal))
    return reply_read(reply_to,
                      answer_writer().failed("only " + state_.owner() +
                                             " and admins may do this"));
  if (!started_ || membership_.managers.empty())
    return reply_read(reply_to,
                      answer_writer().failed(
                          started_ ? "this cell has one manager: there is no "
                                     "other that could lead"
                                   : "the manager that answers does not lead"));
  effects_.push_back(
      HandOver{std::string(schema::text(query.to())), std::string(reply_to)});
}

void Core::answer_hand_over(const Expected<std::string>& to,
                            std::string_view reply_to) {
  AnswerWriter writer = answer_writer();
  if (to) return reply_read(reply_to, writer.handed_over(*to));
  const Error& no = to.error();
  reply_read(reply_to, no.code == Errc::not_found ? writer.not_found(no.text)
                                                  : writer.failed(no.text));
}

// Decided as if it were submitted, and the events thrown away.
std::optional<ForScheduler> Core::dry_run(const schema::DryRunQuery& query,
                                          std::string_view principal,
                                          std::string_view reply_to) {
  flatbuffers::FlatBufferBuilder builder;
  const cluster::Spec spec = cluster::spec_of(*query.spec());
  builder.Finish(schema::CreateSubmitSession(
      builder, cluster::build_spec(builder, spec), query.array(),
      query.array_from(), query.array_to()));
  cluster::EventWriter unused(writer_.next(), writer_.epoch());
  const auto decision = cluster::decide_submit(
      state_,
      *flatbuffers::GetRoot<schema::SubmitSession>(builder.GetBufferPointer()),
      admission_, origin(now_, principal), unused);
  if (!decision) {
    reply_read(reply_to, answer_writer().dry_run_refused(decision.error()));
    return std::nullopt;
  }
  const auto event = unused.bytes().subspan(unused.last_offset());
  return WouldStart{{event.begin(), event.end()}, decision->sessions};
}

std::optional<FromScheduler> ask_scheduler(cluster::Scheduler& scheduler,
                                           const ForScheduler& question,
                                           Time now) {
  scheduler.time_is(now);
  if (const auto* why = std::get_if<WhyWaits>(&question)) {
    if (!scheduler.serves(why->session)) return std::nullopt;
    return scheduler.why(why->session);
  }
  if (const auto* queue = std::get_if<QueueOf>(&question)) {
    if (!scheduler.serves(queue->group)) return std::nullopt;
    const std::uint32_t limit = queue->limit
                                    ? std::min(queue->limit, answer_rows_max)
                                    : answer_rows_max;
    return scheduler.queue(queue->group, queue->simulated, limit);
  }
  const auto& would = std::get<WouldStart>(question);
  const schema::Event& event = schema::event_of(would.event);
  const auto& spec = *event.body_as_SessionSubmitted()->spec();
  if (!scheduler.serves(std::string(schema::text(spec.group()))))
    return std::nullopt;
  return scheduler.dry_run(spec, now, would.sessions);
}

void Core::on_scheduler(const ForScheduler& asked, const FromScheduler& said,
                        std::string_view reply_to) {
  AnswerWriter writer = answer_writer();
  if (const auto* why = std::get_if<cluster::Why>(&said)) {
    answer_why(std::get<WhyWaits>(asked).session, *why, reply_to);
  } else if (const auto* queue = std::get_if<cluster::Queue>(&said)) {
    reply_read(reply_to, writer.queue(std::get<QueueOf>(asked).group, *queue));
  } else {
    const auto& would = std::get<WouldStart>(asked);
    const schema::Event& event = schema::event_of(would.event);
    reply_read(
        reply_to,
        writer.dry_run(
            std::get<cluster::DryRun>(said), would.sessions,
            cluster::spec_of(*event.body_as_SessionSubmitted()->spec()), now_));
  }
}

void Core::answer_why(SessionId id, const cluster::Why& why,
                      std::string_view reply_to) {
  AnswerWriter writer = answer_writer();
  const Session* session = state_.session(id);
  if (!session) {
    reply_read(reply_to, writer.not_found(fmt::format(
                             "there is no session s-{}", id.value)));
  } else if (session->state == schema::SessionState::pending) {
    reply_read(reply_to, writer.why_waiting(*session, why, now_));
  } else {
    reply_read(reply_to, writer.why_settled(*session, given_up_at(*session)));
  }
}

}  // namespace reeve::manager

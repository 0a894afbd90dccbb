// What agents saw, made events. The same fact twice is one event.
#include "cluster/decide.hpp"
#include "cluster/decide_internal.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

Sequence write_started(const Session& session, const schema::Fact& fact,
                       std::uint64_t started_at, std::string_view detail,
                       EventWriter& writer) {
  const auto text =
      build_text(writer.builder(), detail.substr(0, detail_bytes_max));
  return writer.add(schema::CreateTaskStarted(
                        writer.builder(), session.id.value, session.attempt,
                        fact.rank(), fact.pid(), started_at, text),
                    session.last_seq);
}

TaskEnd end_of(const schema::Fact& fact, const Origin& origin) {
  TaskEnd end;
  end.rank = fact.rank();
  end.detail = schema::text(fact.detail());
  if (end.detail.size() > detail_bytes_max) end.detail.resize(detail_bytes_max);
  if (fact.facts()) end.facts = *fact.facts();
  if (end.facts.ended_at() == 0) end.facts.mutate_ended_at(origin.now.value);
  switch (fact.kind()) {
    case schema::FactKind::start_failed:
      end.reason = fact.reason() == EndReason::device_unclean
                       ? EndReason::device_unclean
                       : EndReason::start_failed;
      break;
    case schema::FactKind::unknown: end.reason = EndReason::task_lost; break;
    default:
      end.reason =
          fact.reason() == EndReason::none ? EndReason::exited : fact.reason();
      break;
  }
  return end;
}

}  // namespace

FactOutcome decide_fact(const State& state, std::string_view agent,
                        const schema::Fact& fact, const Origin& origin,
                        EventWriter& writer) {
  const Session* session = state.session(SessionId{fact.session()});
  if (!session || has_ended(session->state) ||
      session->attempt != fact.attempt() ||
      fact.rank() >= session->tasks.size())
    return FactOutcome::foreign;
  const Task& task = session->tasks[fact.rank()];
  if (state.node(task.node)->agent != agent) return FactOutcome::foreign;
  if (task.phase == TaskPhase::exited)
    return fact.kind() == schema::FactKind::started ? FactOutcome::foreign
                                                    : FactOutcome::known;
  if (fact.kind() == schema::FactKind::started) {
    if (task.phase == TaskPhase::started) return FactOutcome::known;
    writer.begin(origin);
    const std::uint64_t started_at = fact.facts() && fact.facts()->started_at()
                                         ? fact.facts()->started_at()
                                         : origin.now.value;
    // What it is stopped for is not told over.
    const auto told = session->state == SessionState::stopping
                          ? std::string_view()
                          : schema::text(fact.detail());
    write_started(*session, fact, started_at, told, writer);
    return FactOutcome::recorded;
  }
  writer.begin(origin);
  const TaskEnd end = end_of(fact, origin);
  Sequence cause = session->last_seq;
  // It ran, and the fact that said so never came.
  if (task.phase == TaskPhase::placed &&
      fact.kind() == schema::FactKind::exited && end.facts.started_at() != 0)
    cause = write_started(*session, fact, end.facts.started_at(), {}, writer);
  write_exit(*session, end, origin, cause, writer);
  return FactOutcome::recorded;
}

}  // namespace reeve::cluster

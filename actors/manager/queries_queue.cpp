// Reservations, the queue of a group, and sessions that are only thought of.
#include "actors/manager/queries.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

using cluster::QueueEntry;
using cluster::Session;
using cluster::WaitReason;

std::string reason_of(const QueueEntry& entry) {
  if (entry.quota) return "quota: " + cluster::to_text(*entry.quota);
  if (entry.reason == WaitReason::array_full)
    return "as many of its array run as may";
  return entry.reason == WaitReason::no_room ? "no room" : "next";
}

flatbuffers::Offset<schema::QueueEntry> entry_view(
    flatbuffers::FlatBufferBuilder& builder, const cluster::State& state,
    const Session& session, const QueueEntry& entry) {
  const cluster::Spec spec = state.spec(session);
  const auto name = cluster::build_text(builder, spec.name);
  const auto user = cluster::build_text(builder, spec.user);
  const auto project = cluster::build_text(builder, spec.project);
  const auto request = cluster::build_request(builder, spec);
  const auto reason = cluster::build_text(builder, reason_of(entry));
  std::vector<flatbuffers::Offset<schema::Factor>> factors;
  for (const cluster::RankPart& part : entry.parts)
    factors.push_back(
        schema::CreateFactorDirect(builder, part.name, part.value));
  const auto factor_list = builder.CreateVector(factors);
  return schema::CreateQueueEntry(
      builder, session.id.value, name, user, project, session.priority,
      session.submitted_at.value, session.tasks_wanted, request, reason,
      entry.expected_start.value, factor_list);
}

}  // namespace

std::vector<std::byte> AnswerWriter::reservations() {
  const auto list = state_.reservations().build(builder_);
  return finish(schema::CreateReservationsAnswer(builder_, list));
}

std::vector<std::byte> AnswerWriter::queue(std::string_view group,
                                           const cluster::Queue& queue) {
  std::vector<flatbuffers::Offset<schema::QueueEntry>> entries;
  for (const QueueEntry& entry : queue.entries) {
    if (entries.size() >= answer_rows_max ||
        builder_.GetSize() >= answer_bytes_max)
      break;
    // The scheduler may be some events behind.
    const Session* session = state_.session(entry.session);
    if (session && session->state == cluster::SessionState::pending)
      entries.push_back(entry_view(builder_, state_, *session, entry));
  }
  const auto list = builder_.CreateVector(entries);
  const auto name = cluster::build_text(builder_, group);
  const auto policy =
      cluster::build_text(builder_, cluster::to_text(queue.policy));
  return finish(
      schema::CreateQueueAnswer(builder_, name, policy, queue.length, list));
}

std::vector<std::byte> AnswerWriter::dry_run_refused(
    const cluster::Rejection& rejection) {
  const auto text = builder_.CreateString(rejection.text);
  const auto rule = builder_.CreateString(rejection.rule);
  return finish(schema::CreateDryRunAnswer(builder_, text, rule));
}

std::vector<std::byte> AnswerWriter::dry_run(const cluster::DryRun& run,
                                             const cluster::Spec& spec,
                                             Time now) {
  std::vector<std::string_view> names;
  for (const cluster::TaskProposal& task : run.tasks)
    if (const cluster::Node* node = state_.node(task.node))
      names.emplace_back(node->name);
  const auto nodes = cluster::build_texts(builder_, names);
  const auto why = this->why(SessionId{}, cluster::SessionState::pending,
                             run.why, spec, now);
  return finish(schema::CreateDryRunAnswer(builder_, 0, 0, nodes, why));
}

}  // namespace reeve::manager

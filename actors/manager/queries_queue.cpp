// Reservations, the queue of a group, and sessions that are only thought of.
#include "actors/manager/queries.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

using cluster::QueueEntry;
using cluster::Session;
using cluster::WaitReason;

std::string reason_of(const QueueEntry& entry, const cluster::Spec& spec) {
  if (entry.quota) return "quota: " + cluster::to_text(*entry.quota);
  switch (entry.reason) {
    case WaitReason::quota_line: return "after another of its account";
    case WaitReason::array_full: return "as many of its array run as may";
    case WaitReason::not_before:
      return "not before " + schema::rfc3339(entry.held_until.value);
    case WaitReason::dependency: return awaited_text(entry.waits_for, spec);
    case WaitReason::no_room: return "no room";
    default: return "next";
  }
}

flatbuffers::Offset<schema::QueueEntry> entry_view(
    flatbuffers::FlatBufferBuilder& builder, const cluster::State& state,
    const Session& session, const QueueEntry& entry) {
  const cluster::Spec spec = state.spec(session);
  const auto name = cluster::build_text(builder, spec.name);
  const auto user = cluster::build_text(builder, spec.user);
  const auto project = cluster::build_text(builder, spec.project);
  const auto request = cluster::build_request(builder, spec);
  const auto reason = cluster::build_text(builder, reason_of(entry, spec));
  std::vector<flatbuffers::Offset<schema::Factor>> factors;
  for (const cluster::RankPart& part : entry.parts)
    factors.push_back(
        schema::CreateFactorDirect(builder, part.name, part.value));
  const auto factor_list = builder.CreateVector(factors);
  const bool held = entry.reason == WaitReason::not_before ||
                    entry.reason == WaitReason::dependency;
  std::vector<std::uint64_t> after;
  for (const SessionId one : entry.waits_for) after.push_back(one.value);
  const auto after_list = after.empty() ? 0 : builder.CreateVector(after);
  return schema::CreateQueueEntry(
      builder, session.id.value, name, user, project, session.priority,
      session.submitted_at.value, session.tasks_wanted, request, reason,
      entry.expected_start.value, factor_list, held, entry.held_until.value,
      after_list);
}

}  // namespace

std::vector<std::byte> AnswerWriter::reservations() {
  const auto list = state_.reservations().build(builder_);
  return finish(schema::CreateReservationsAnswer(builder_, list));
}

std::vector<std::byte> AnswerWriter::queue(std::string_view group,
                                           const cluster::Queue& queue) {
  std::vector<flatbuffers::Offset<schema::QueueEntry>> entries;
  for (const auto* part : {&queue.entries, &queue.held})
    for (const QueueEntry& entry : *part) {
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
  return finish(schema::CreateQueueAnswer(builder_, name, policy, queue.length,
                                          list, queue.held_length));
}

std::vector<std::byte> AnswerWriter::dry_run_refused(
    const cluster::Rejection& rejection) {
  const auto text = builder_.CreateString(rejection.text);
  const auto rule = builder_.CreateString(rejection.rule);
  return finish(schema::CreateDryRunAnswer(builder_, text, rule));
}

std::vector<std::byte> AnswerWriter::dry_run(const cluster::DryRun& run,
                                             std::uint32_t sessions,
                                             const cluster::Spec& spec,
                                             Time now) {
  std::vector<flatbuffers::Offset<flatbuffers::String>> names;
  for (const cluster::TaskProposal& task : run.tasks) {
    if (builder_.GetSize() >= answer_bytes_max) break;
    if (const cluster::Node* node = state_.node(task.node))
      names.push_back(builder_.CreateSharedString(node->name));
  }
  const auto nodes = names.empty() ? 0 : builder_.CreateVector(names);
  std::vector<std::uint64_t> room;
  for (const SessionId one : run.makes_room) room.push_back(one.value);
  const auto room_list = room.empty() ? 0 : builder_.CreateVector(room);
  const auto why = this->why(SessionId{}, cluster::SessionState::pending,
                             run.why, spec, now);
  return finish(schema::CreateDryRunAnswer(builder_, 0, 0, nodes, why, sessions,
                                           run.starting, room_list,
                                           run.makes_room_at.value));
}

}  // namespace reeve::manager

// Why a session is where it is, in one sentence with numbers.
#include <fmt/format.h>

#include "actors/manager/queries.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"

namespace reeve::manager {
namespace {

using cluster::Session;
using cluster::WaitReason;
using cluster::Why;

std::string ended_text(const Session& session) {
  using cluster::EndReason;
  std::string text = fmt::format("it has ended as {}",
                                 schema::EnumNameSessionState(session.state));
  switch (session.reason) {
    case EndReason::exited:
      text += fmt::format(": exit code {}", session.exit_code);
      break;
    case EndReason::signalled:
      text += fmt::format(": killed by signal {}", session.signal);
      break;
    case EndReason::memory_limit:
      text += fmt::format(": killed at its memory limit of {}",
                          format_bytes(session.memory_bytes));
      break;
    case EndReason::none: break;
    default:
      text += fmt::format(": {}", schema::EnumNameEndReason(session.reason));
  }
  if (session.detail && !session.detail->empty())
    text += fmt::format(" ({})", *session.detail);
  return text;
}

std::string settled_text(const Session& session) {
  using schema::SessionState;
  switch (session.state) {
    case SessionState::pending: return "it waits";
    case SessionState::placed:
      return "it has its place and waits for its node to start it";
    case SessionState::starting:
      return fmt::format("{} of {} tasks have started", session.tasks_started,
                         session.tasks.size());
    case SessionState::running:
      return fmt::format("it runs since {}",
                         schema::rfc3339(session.started_at.value));
    case SessionState::stopping:
      return fmt::format("it is being stopped ({}): {} of {} tasks have ended",
                         schema::EnumNameEndReason(session.reason),
                         session.tasks_exited, session.tasks.size());
    default: return ended_text(session);
  }
}

std::string lacks(const cluster::NearestNode& nearest) {
  std::vector<std::string> parts;
  if (nearest.gpus_lacking)
    parts.push_back(fmt::format("{} GPUs (has {} free)", nearest.gpus_lacking,
                                nearest.gpus_free));
  if (nearest.cpu_lacking_milli)
    parts.push_back(fmt::format("{} CPUs (has {} free)",
                                format_milli(nearest.cpu_lacking_milli),
                                format_milli(nearest.cpu_free_milli)));
  if (nearest.memory_lacking_bytes)
    parts.push_back(fmt::format("{} of memory (has {} free)",
                                format_bytes(nearest.memory_lacking_bytes),
                                format_bytes(nearest.memory_free_bytes)));
  return fmt::format("{}", fmt::join(parts, ", "));
}

const char* basis_text(cluster::StartBasis basis) {
  switch (basis) {
    case cluster::StartBasis::limits:
      return "time limits tell, if nobody ahead takes it";
    case cluster::StartBasis::plan:
      return "a place is kept for it then, if what runs ends as expected";
    default: return "";
  }
}

std::string waiting_text(const Why& why) {
  switch (why.reason) {
    case WaitReason::not_before:
      return fmt::format("it may not start before {}",
                         schema::rfc3339(why.held_until.value));
    case WaitReason::dependency: {
      std::string text = "it waits for ";
      for (std::size_t i = 0; i < why.waits_for.size(); ++i)
        text += fmt::format("{}s-{}", i ? ", " : "", why.waits_for[i].value);
      return text + " to end";
    }
    case WaitReason::quota: {
      std::string text = cluster::to_text(*why.quota);
      if (why.quota->renewed_at.value != 0)
        text += fmt::format("; its next {} begins at {}",
                            schema::EnumNameQuotaPeriod(why.quota->period),
                            schema::rfc3339(why.quota->renewed_at.value));
      return text;
    }
    case WaitReason::array_full:
      return "as many of its array run as may at once";
    case WaitReason::queued: return "there is room: it is next";
    default: break;
  }
  if (why.nodes.total == 0) return "its resource group has no node";
  std::string text = fmt::format("{} of {} tasks fit on the {} nodes now",
                                 why.tasks_fitting, why.tasks, why.nodes.total);
  if (why.nearest && !lacks(*why.nearest).empty())
    text += fmt::format("; the nearest, {}, lacks {}", why.nearest->name,
                        lacks(*why.nearest));
  return text;
}

}  // namespace

std::vector<std::byte> AnswerWriter::why_settled(const Session& session) {
  const auto summary = builder_.CreateString(settled_text(session));
  schema::WhyAnswerBuilder out(builder_);
  out.add_session(session.id.value);
  out.add_state(session.state);
  out.add_summary(summary);
  return finish(out.Finish());
}

std::vector<std::byte> AnswerWriter::why_waiting(const Session& session,
                                                 const Why& why) {
  return finish(this->why(session.id, session.state, why));
}

flatbuffers::Offset<schema::WhyAnswer> AnswerWriter::why(
    SessionId id, schema::SessionState state, const Why& why) {
  std::vector<flatbuffers::Offset<schema::WhyReason>> reasons;
  const auto add = [&](const char* reason, std::uint32_t nodes) {
    if (nodes == 0) return;
    const auto text = builder_.CreateString(reason);
    reasons.push_back(schema::CreateWhyReason(builder_, text, nodes));
  };
  add("lost, drained or removed", why.nodes.away);
  add("not the node it names", why.nodes.other_node);
  add("too small even when empty", why.nodes.too_small);
  add("suitable GPUs are held by others", why.nodes.devices_busy);
  add("too few CPUs free", why.nodes.cpu_short);
  add("too little memory free", why.nodes.memory_short);
  add("not as its constraint or company asks", why.nodes.unwished);
  add("kept by a reservation", why.nodes.reserved);
  add("kept for a session ahead of it", why.nodes.earmarked);
  add("has room for a task", why.nodes.fitting);
  const auto reason_list = builder_.CreateVector(reasons);
  const auto summary = builder_.CreateString(waiting_text(why));
  const auto nearest =
      why.nearest ? builder_.CreateString(why.nearest->name) : 0;
  const auto nearest_lacks =
      why.nearest ? builder_.CreateString(lacks(*why.nearest)) : 0;
  const auto basis = builder_.CreateString(basis_text(why.basis));
  std::vector<flatbuffers::Offset<schema::Factor>> factors;
  for (const auto& part : why.rank)
    factors.push_back(
        schema::CreateFactorDirect(builder_, part.name, part.value));
  const auto factor_list = builder_.CreateVector(factors);
  std::vector<flatbuffers::Offset<schema::Release>> releases;
  for (const auto& end : why.awaited)
    releases.push_back(schema::CreateReleaseDirect(
        builder_, end.session.value, end.node_name.c_str(), end.at.value,
        end.gpu_milli));
  const auto release_list = builder_.CreateVector(releases);
  return schema::CreateWhyAnswer(
      builder_, id.value, state, summary, reason_list, nearest, nearest_lacks,
      why.place_in_queue, why.queue_length, why.blocked_by.value,
      why.expected_start.value, basis, factor_list, release_list);
}

}  // namespace reeve::manager

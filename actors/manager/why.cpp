// Why a session is where it is, in one sentence with numbers.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "actors/manager/queries.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"

namespace reeve::manager {
namespace {

using cluster::Session;
using cluster::Spec;
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
      return fmt::format("{} of {} started", session.tasks_started,
                         counted(session.tasks.size(), "task"));
    case SessionState::running:
      return fmt::format("it runs since {}",
                         schema::rfc3339(session.started_at.value));
    case SessionState::stopping:
      return fmt::format("it is being stopped ({}): {} of {} ended",
                         schema::EnumNameEndReason(session.reason),
                         session.tasks_exited,
                         counted(session.tasks.size(), "task"));
    default: return ended_text(session);
  }
}

// The nodes of its living tasks that are lost, and what comes of that.
std::string lost_text(const cluster::State& state, const Session& session,
                      Time given_up_at) {
  if (cluster::has_ended(session.state)) return {};
  std::vector<std::string_view> lost;
  for (const auto& task : session.tasks) {
    const auto& node = *state.node(task.node);
    if (task.phase != cluster::TaskPhase::exited && node.lost &&
        std::find(lost.begin(), lost.end(), node.name) == lost.end())
      lost.push_back(node.name);
  }
  if (lost.empty()) return {};
  const std::string who =
      lost.size() == 1
          ? fmt::format("node {}", lost.front())
          : fmt::format("node {} and {} more", lost.front(), lost.size() - 1);
  if (given_up_at.value == 0) return fmt::format("; {} is lost", who);
  return fmt::format(
      "; {} is lost: what runs there ends when it has heard nothing of the "
      "cell "
      "for {}, and is given up at {} unless the node is back before",
      who,
      format_duration(
          cluster::cut_off_of(session, state.spec(session).cut_off_ns)),
      schema::rfc3339(given_up_at.value));
}

std::string lacks(const cluster::NearestNode& nearest) {
  std::vector<std::string> parts;
  if (nearest.gpus_lacking)
    parts.push_back(fmt::format(
        "{} (has {} free{})", counted(nearest.gpus_lacking, "GPU"),
        nearest.gpus_free,
        nearest.gpus_quarantined == 0
            ? std::string()
            : fmt::format(" and {} quarantined", nearest.gpus_quarantined)));
  if (nearest.cpu_lacking_milli)
    parts.push_back(fmt::format("{} (has {} free)",
                                counted_milli(nearest.cpu_lacking_milli, "CPU"),
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
    case cluster::StartBasis::room:
      return "there is room now, if there still is then";
    default: return "";
  }
}

const char* wanted_end(schema::DependencyKind kind) {
  switch (kind) {
    case schema::DependencyKind::ok: return "succeed";
    case schema::DependencyKind::failed: return "fail";
    case schema::DependencyKind::any: return "end";
  }
  return "end";
}

}  // namespace

std::string awaited_text(const std::vector<SessionId>& waits_for,
                         const Spec& spec) {
  std::vector<std::string> parts;
  for (const auto& dependency : spec.after)
    if (std::find(waits_for.begin(), waits_for.end(),
                  SessionId{dependency.session()}) != waits_for.end())
      parts.push_back(fmt::format("s-{} to {}", dependency.session(),
                                  wanted_end(dependency.kind())));
  return fmt::format("{}", fmt::join(parts, ", "));
}

namespace {

// Where its own reservation keeps nothing yet, or not at the moment, and no
// later time holds it.
std::string reserved_text(const cluster::State& state, const Spec& spec,
                          Time held_until, Time now) {
  const auto* own = state.reservations().find(spec.reservation);
  const auto window = own ? own->window_at(now) : std::nullopt;
  if (!window || window->from <= now || window->from < held_until) return {};
  return fmt::format("its reservation {} {} at {}", own->name,
                     own->first.from < window->from ? "begins again" : "begins",
                     schema::rfc3339(window->from.value));
}

// "constraint rack=r1, together train@rack".
std::string wishes_text(const Spec& spec) {
  std::vector<std::string> parts;
  for (const auto& [word, text] :
       {std::pair("constraint", spec.constraint),
        std::pair("within", spec.within), std::pair("together", spec.together),
        std::pair("apart", spec.apart)})
    if (!text.empty()) parts.push_back(fmt::format("{} {}", word, text));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string_view company_label(std::string_view text) {
  const auto company = parse_company(text);
  return company ? company->label : std::string_view();
}

// A label that it asks for, and that no node of its queue bears any more.
std::string unlabelled_text(const cluster::State& state, const Spec& spec) {
  const auto borne = [&](std::string_view label) {
    return std::any_of(state.nodes().begin(), state.nodes().end(),
                       [&](const cluster::Node& node) {
                         return !node.removed && node.group == spec.group &&
                                node.simulated == spec.simulated &&
                                find_label(node.labels, label);
                       });
  };
  for (const auto& [word, text, label] :
       {std::tuple("within", spec.within, spec.within),
        std::tuple("together", spec.together, company_label(spec.together)),
        std::tuple("apart", spec.apart, company_label(spec.apart))})
    if (!label.empty() && !borne(label))
      return fmt::format("no node of group {} has label {}, which {} {} needs",
                         spec.group, label, word, text);
  return {};
}

// What keeps it from the free shares of some nodes.
std::string not_shared_text(const cluster::State& state, const Spec& spec) {
  using schema::GpuSharing;
  const auto* group =
      state.accounts().find(schema::AccountKind::group, spec.group);
  const auto setting = group ? group->gpu_sharing : GpuSharing::project;
  if (setting == GpuSharing::none)
    return fmt::format("group {} gives no shares of a GPU any more",
                       spec.group);
  return fmt::format("free shares are on GPUs that other {}s use",
                     schema::EnumNameGpuSharing(setting));
}

// Where its tasks have to be: "on the 4 nodes", "in one rack".
std::string place_text(const Spec& spec, std::uint32_t nodes) {
  if (spec.tasks > 1) {
    const auto label =
        spec.within.empty() ? company_label(spec.together) : spec.within;
    if (spec.nodes == 1 || (label.empty() && !spec.together.empty()))
      return "on one node";
    if (!label.empty()) return fmt::format("in one {}", label);
  }
  return fmt::format("on the {}", counted(nodes, "node"));
}

std::string waiting_text(const Why& why, const cluster::State& state,
                         const Spec& spec, Time now) {
  switch (why.reason) {
    case WaitReason::not_before: {
      std::string text = reserved_text(state, spec, why.held_until, now);
      if (text.empty())
        text = fmt::format("it may not start before {}",
                           schema::rfc3339(why.held_until.value));
      if (why.expected_start == why.held_until) text += ", expected then";
      return text;
    }
    case WaitReason::dependency:
      return fmt::format("it waits for {}", awaited_text(why.waits_for, spec));
    case WaitReason::quota: {
      std::string text = cluster::to_text(*why.quota);
      if (why.quota->renewed_at.value != 0)
        text += fmt::format("; its next {} begins at {}",
                            schema::EnumNameQuotaPeriod(why.quota->period),
                            schema::rfc3339(why.quota->renewed_at.value));
      return text;
    }
    case WaitReason::quota_line:
      return fmt::format("s-{}, which waits for the same quota, is before it",
                         why.blocked_by.value);
    case WaitReason::placed:
    case WaitReason::unknown:
      return "it came to the queue just now and was not looked at yet";
    case WaitReason::array_full:
      return "as many of its array run as may at once";
    default: break;
  }
  for (auto text : {reserved_text(state, spec, why.held_until, now),
                    unlabelled_text(state, spec)})
    if (!text.empty()) return text;
  if (why.reason == WaitReason::queued) return "there is room: it is next";
  if (why.nodes.total == 0) return "its resource group has no node";
  std::string text = fmt::format(
      "{} of {} {} {} now", why.tasks_fitting, counted(why.tasks, "task"),
      why.tasks == 1 ? "fits" : "fit", place_text(spec, why.nodes.total));
  if (spec.nodes > 1) text += fmt::format("; it needs {} nodes", spec.nodes);
  if (why.nearest && !lacks(*why.nearest).empty())
    text += fmt::format("; the nearest, {}, lacks {}", why.nearest->name,
                        lacks(*why.nearest));
  return text;
}

}  // namespace

std::vector<std::byte> AnswerWriter::why_settled(const Session& session,
                                                 Time given_up_at) {
  const auto summary = builder_.CreateString(
      settled_text(session) + lost_text(state_, session, given_up_at));
  schema::WhyAnswerBuilder out(builder_);
  out.add_session(session.id.value);
  out.add_state(session.state);
  out.add_summary(summary);
  return finish(out.Finish());
}

std::vector<std::byte> AnswerWriter::why_waiting(const Session& session,
                                                 const Why& why, Time now) {
  return finish(
      this->why(session.id, session.state, why, state_.spec(session), now));
}

flatbuffers::Offset<schema::WhyAnswer> AnswerWriter::why(
    SessionId id, schema::SessionState state, const Why& why, const Spec& spec,
    Time now) {
  std::vector<flatbuffers::Offset<schema::WhyReason>> reasons;
  const auto add = [&](const std::string& reason, std::uint32_t nodes) {
    if (nodes == 0) return;
    const auto text = builder_.CreateString(reason);
    reasons.push_back(schema::CreateWhyReason(builder_, text, nodes));
  };
  add("lost or drained", why.nodes.away);
  add("not the node it names", why.nodes.other_node);
  add("too small even when empty", why.nodes.too_small);
  add("suitable GPUs are quarantined or being tested", why.nodes.quarantined);
  add(not_shared_text(state_, spec), why.nodes.not_shared);
  add("suitable GPUs are held by others", why.nodes.devices_busy);
  add("too few CPUs free", why.nodes.cpu_short);
  add("too little memory free", why.nodes.memory_short);
  add(fmt::format("not as it asks: {}", wishes_text(spec)), why.nodes.unwished);
  add(spec.reservation.empty()
          ? "kept by a reservation"
          : fmt::format("not kept for it by reservation {} now",
                        spec.reservation),
      why.nodes.reserved);
  add("kept for a session ahead of it", why.nodes.earmarked);
  add("has room for a task", why.nodes.fitting);
  const auto reason_list = builder_.CreateVector(reasons);
  const auto summary =
      builder_.CreateString(waiting_text(why, state_, spec, now));
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

#include "actors/manager/queries.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/device_tests.hpp"
#include "cluster/node_spec.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

using cluster::build_text;
using cluster::Node;
using cluster::Session;
using cluster::TaskPhase;

const char* phase_name(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::placed: return "placed";
    case TaskPhase::started: return "started";
    case TaskPhase::exited: return "exited";
  }
  return "unknown";
}

const char* state_name(const Node& node) {
  if (node.removed) return "removed";
  if (node.lost) return "lost";
  if (!node.draining) return "up";
  return node.holders.empty() ? "drained" : "draining";
}

// The device, or one that is a part of it.
bool is_there(const Node& node, std::string_view uuid) {
  return std::any_of(node.devices.begin(), node.devices.end(),
                     [&](const cluster::Device& device) {
                       return device.uuid == uuid || device.mig_of == uuid;
                     });
}

bool wanted(const schema::SessionsQuery& query, const cluster::State& state,
            const Session& session) {
  if (query.states() && query.states()->size() > 0) {
    const auto* states = query.states();
    if (std::find(states->begin(), states->end(), session.state) ==
        states->end())
      return false;
  } else if (!query.all() && cluster::has_ended(session.state)) {
    return false;
  }
  return !query.user() || schema::text(query.user()).empty() ||
         schema::text(query.user()) == state.user(session);
}

std::uint32_t rows(std::uint32_t asked) {
  return asked == 0 ? answer_rows_max : std::min(asked, answer_rows_max);
}

}  // namespace

std::vector<std::byte> AnswerWriter::finish(schema::AnswerBody type,
                                            flatbuffers::Offset<void> body,
                                            std::string_view error,
                                            bool not_found) {
  const auto text = build_text(builder_, error);
  const auto standing_by = build_text(builder_, unsure_.manager);
  const auto root =
      schema::CreateAnswer(builder_, state_.last_sequence().value, type, body,
                           text, not_found, standing_by, unsure_.behind_ns,
                           unsure_.leader_unheard, unsure_.leads_alone);
  const auto bytes = schema::finish(builder_, root);
  std::vector<std::byte> out(bytes.begin(), bytes.end());
  builder_.Clear();
  return out;
}

std::vector<std::byte> AnswerWriter::handed_over(std::string_view to) {
  const auto text = builder_.CreateString(to.data(), to.size());
  return finish(schema::CreateHandOverAnswer(builder_, text));
}

std::vector<std::byte> AnswerWriter::not_found(std::string_view text) {
  return finish(schema::AnswerBody::NONE, 0, text, true);
}

std::vector<std::byte> AnswerWriter::failed(std::string_view text) {
  return finish(schema::AnswerBody::NONE, 0, text, false);
}

flatbuffers::Offset<schema::TaskView> AnswerWriter::view(const Session& session,
                                                         std::uint32_t rank) {
  const cluster::Task& task = session.tasks[rank];
  const Node& node = *state_.node(task.node);
  const auto node_name = builder_.CreateString(node.name);
  std::vector<flatbuffers::Offset<schema::DeviceHolding>> devices;
  for (const auto& share : task.devices) {
    // An exited task may have held one that its node has no more.
    static const cluster::Device gone;
    const cluster::Device& device = share.device() < node.devices.size()
                                        ? node.devices[share.device()]
                                        : gone;
    const auto uuid = builder_.CreateString(device.uuid);
    const auto model = builder_.CreateString(device.model);
    devices.push_back(schema::CreateDeviceHolding(
        builder_, node_name, share.device(), uuid, model, share.milli(),
        share.memory_bytes()));
  }
  const auto device_list = builder_.CreateVector(devices);
  const auto agent = builder_.CreateString(node.agent);
  const auto state = builder_.CreateString(phase_name(task.phase));
  const auto& facts = task.facts;
  return schema::CreateTaskView(builder_, rank, node_name, agent, state,
                                task.pid, facts.started_at(), facts.ended_at(),
                                facts.exit_code(), facts.signal(), task.reason,
                                facts.peak_memory_bytes(), facts.cpu_ns(),
                                task.phase != TaskPhase::exited, device_list);
}

flatbuffers::Offset<schema::SessionView> AnswerWriter::view(
    const Session& session) {
  const cluster::Spec spec = state_.spec(session);
  std::vector<flatbuffers::Offset<schema::TaskView>> tasks;
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    if (builder_.GetSize() >= answer_detail_bytes_max) break;
    tasks.push_back(view(session, rank));
  }
  const auto task_list = builder_.CreateVector(tasks);
  const auto name = builder_.CreateString(std::string(spec.name));
  const auto user = builder_.CreateString(std::string(spec.user));
  const auto project = builder_.CreateString(std::string(spec.project));
  const auto group = builder_.CreateString(std::string(spec.group));
  const auto request = cluster::build_request(builder_, spec);
  const auto detail = session.detail ? builder_.CreateString(*session.detail)
                                     : builder_.CreateString("");
  const auto on_node = build_text(builder_, spec.on_node);
  const auto after = builder_.CreateVectorOfStructs(spec.after);
  const auto argv = cluster::build_texts(builder_, spec.argv);
  const auto workdir = build_text(builder_, spec.workdir);
  const auto labels = cluster::build_pairs(builder_, spec.labels);
  const auto constraint = build_text(builder_, spec.constraint);
  const auto prefer = cluster::build_texts(builder_, spec.prefer);
  const auto together = build_text(builder_, spec.together);
  const auto apart = build_text(builder_, spec.apart);
  const auto within = build_text(builder_, spec.within);
  const auto reservation = build_text(builder_, spec.reservation);
  schema::SessionViewBuilder out(builder_);
  out.add_session(session.id.value);
  out.add_name(name);
  out.add_user(user);
  out.add_project(project);
  out.add_group(group);
  out.add_state(session.state);
  out.add_attempt(session.attempt);
  out.add_priority(session.priority);
  out.add_tasks_wanted(session.tasks_wanted);
  out.add_request(request);
  out.add_reason(session.reason);
  out.add_detail(detail);
  out.add_exit_code(session.exit_code);
  out.add_signal(session.signal);
  out.add_ended(cluster::has_ended(session.state));
  out.add_simulated(session.simulated);
  out.add_submitted_at(session.submitted_at.value);
  out.add_placed_at(session.placed_at.value);
  out.add_started_at(session.started_at.value);
  out.add_ended_at(session.ended_at.value);
  out.add_deadline_at(cluster::deadline_of(state_, session).value);
  out.add_time_limit_ns(session.time_limit_ns);
  out.add_not_before_at(session.not_before.value);
  out.add_requeue_max(session.requeue_max);
  out.add_on_node(on_node);
  out.add_after(after);
  out.add_submitted_seq(session.submitted_seq.value);
  out.add_last_seq(session.last_seq.value);
  out.add_argv(argv);
  out.add_workdir(workdir);
  out.add_labels(labels);
  out.add_tasks(task_list);
  out.add_constraint(constraint);
  out.add_prefer(prefer);
  out.add_together(together);
  out.add_apart(apart);
  out.add_within(within);
  out.add_grace_ns(cluster::grace_of(session));
  out.add_warn_signal(spec.warn_signal);
  out.add_warn_ns(spec.warn_ns);
  out.add_on_preempt(spec.on_preempt);
  out.add_reservation(reservation);
  out.add_array_session(spec.array_session);
  out.add_array_index(spec.array_index);
  out.add_array_running_max(spec.array_running_max);
  out.add_cut_off_ns(cluster::cut_off_of(session, spec.cut_off_ns));
  if (const auto rank = cluster::first_failed(session))
    out.add_first_failed(*rank);
  return out.Finish();
}

std::vector<std::byte> AnswerWriter::sessions(
    const schema::SessionsQuery& query) {
  std::vector<flatbuffers::Offset<schema::SessionView>> list;
  const std::uint32_t limit = rows(query.limit());
  bool more = false;
  const auto take = [&](const Session& session) {
    if (!wanted(query, state_, session)) return true;
    if (list.size() >= limit || builder_.GetSize() >= answer_bytes_max) {
      more = true;
      return false;
    }
    list.push_back(view(session));
    return true;
  };
  if (query.newest_first()) {
    state_.visit_sessions_down(SessionId{query.before_session()}, take);
  } else {
    state_.visit_sessions(SessionId{query.after_session() + 1}, take);
  }
  const auto body =
      schema::CreateSessionsAnswer(builder_, builder_.CreateVector(list), more);
  return finish(body);
}

std::vector<std::byte> AnswerWriter::session(
    const schema::SessionQuery& query) {
  const Session* session = state_.session(SessionId{query.session()});
  if (session) return finish(view(*session));
  if (query.session() == 0 || query.session() >= state_.next_session().value)
    return not_found(fmt::format("there is no session s-{}", query.session()));
  return not_found(fmt::format(
      "s-{} ended so long ago that only the log knows it (reeve log cat "
      "--filter session=s-{})",
      query.session(), query.session()));
}

flatbuffers::Offset<schema::DeviceView> AnswerWriter::view(
    const Node& node, std::uint32_t index) {
  const cluster::Device& device = node.devices[index];
  std::vector<flatbuffers::Offset<schema::Holder>> holders;
  if (device.used_milli > 0)
    for (const SessionId id : node.holders) {
      if (builder_.GetSize() >= answer_detail_bytes_max) break;
      const Session& session = *state_.session(id);
      for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
        const auto& task = session.tasks[rank];
        if (task.phase == TaskPhase::exited || task.node != node.id) continue;
        for (const auto& share : task.devices)
          if (share.device() == index)
            holders.push_back(schema::CreateHolder(
                builder_, id.value, rank, share.milli(), share.memory_bytes()));
      }
    }
  const auto holder_list = builder_.CreateVector(holders);
  const auto uuid = builder_.CreateString(device.uuid);
  const auto model = builder_.CreateString(device.model);
  const auto mig_of = build_text(builder_, device.mig_of);
  const auto* found = node.quarantine_of(device);
  const auto quarantine =
      found ? cluster::build_quarantine(builder_, found->first, found->second)
            : 0;
  const auto test_of = [&](const cluster::DeviceTests& tests) {
    const auto test = tests.find(device.uuid);
    return test == tests.end()
               ? flatbuffers::Offset<schema::DeviceTest>()
               : cluster::build_test(builder_, test->first, test->second);
  };
  const auto testing = test_of(node.testing);
  const auto tested = test_of(node.tested);
  return schema::CreateDeviceView(
      builder_, index, uuid, model, device.memory_bytes,
      found ? 0 : milli_per_device - device.used_milli,
      found ? 0 : device.memory_bytes - device.used_memory_bytes, holder_list,
      mig_of, quarantine, testing, tested);
}

flatbuffers::Offset<schema::NodeView> AnswerWriter::view(const Node& node) {
  std::vector<flatbuffers::Offset<schema::DeviceView>> devices;
  for (std::uint32_t i = 0; i < node.devices.size(); ++i)
    devices.push_back(view(node, i));
  const auto device_list = builder_.CreateVector(devices);
  const auto name = builder_.CreateString(node.name);
  const auto agent = builder_.CreateString(node.agent);
  const auto group = builder_.CreateString(node.group);
  const auto state = builder_.CreateString(state_name(node));
  const auto reason = build_text(builder_, node.drain_reason);
  const auto limits =
      cluster::build_texts(builder_, {node.limits.begin(), node.limits.end()});
  const auto labels =
      cluster::build_pairs(builder_, {node.labels.begin(), node.labels.end()});
  std::vector<std::string_view> reserved;
  for (const auto& [word, reservation] : state_.reservations().all())
    if (reservation.covers(node.name)) reserved.emplace_back(word);
  const auto reservations = cluster::build_texts(builder_, reserved);
  cluster::Quarantines away = node.quarantined;
  std::erase_if(away,
                [&](const auto& one) { return is_there(node, one.first); });
  const auto away_list = cluster::build_quarantines(builder_, away);
  const auto version = build_text(builder_, node.version);
  const auto free = [](std::uint64_t all, std::uint64_t used) {
    return all > used ? all - used : 0;
  };
  return schema::CreateNodeView(
      builder_, node.id.value, name, agent, group, state, node.simulated,
      reason, node.drain_deadline.value, node.cpu_milli,
      static_cast<std::uint32_t>(free(node.cpu_milli, node.used_cpu_milli)),
      node.memory_bytes, free(node.memory_bytes, node.used_memory_bytes),
      static_cast<std::uint32_t>(node.holders.size()), limits, device_list,
      labels, reservations, away_list, version, node.protocol);
}

std::vector<std::byte> AnswerWriter::nodes(const schema::NodesQuery& query) {
  std::vector<flatbuffers::Offset<schema::NodeView>> list;
  bool more = false;
  if (!schema::text(query.name()).empty()) {
    const Node* node = state_.node(schema::text(query.name()));
    if (!node && state_.barred_node(schema::text(query.name())))
      return not_found(fmt::format(
          "node {0} was removed; \"reeve node resume {0}\" lets it join again",
          schema::text(query.name())));
    if (!node)
      return not_found(
          fmt::format("there is no node '{}' (reeve nodes lists "
                      "them)",
                      schema::text(query.name())));
    list.push_back(view(*node));
  } else {
    const std::uint32_t limit = rows(query.limit());
    for (const Node& node : state_.nodes()) {
      if (node.removed || node.id.value < query.after_node()) continue;
      if (list.size() >= limit || builder_.GetSize() >= answer_bytes_max) {
        more = true;
        break;
      }
      list.push_back(view(node));
    }
  }
  const auto body =
      schema::CreateNodesAnswer(builder_, builder_.CreateVector(list), more);
  return finish(body);
}

std::vector<std::byte> AnswerWriter::digest() {
  const auto text = builder_.CreateString(state_.digest_hex());
  return finish(schema::CreateDigestAnswer(builder_, text));
}

}  // namespace reeve::manager

#include "cluster/simulation/from_trace.hpp"

#include <algorithm>
#include <numeric>

namespace reeve::cluster::simulation {

namespace {

Time since_start(std::uint64_t ns) {
  return Time{trace_start.value + ns};
}

Node node_of(const TraceNode& node) {
  Node out;
  out.name = node.name;
  out.group = node.group;
  out.cpu_milli = node.cpu_milli;
  out.memory_bytes = node.memory_bytes;
  out.devices.assign(node.gpus,
                     {node.gpu_model, device_memory_bytes(node.gpu_model)});
  out.labels = node.labels;
  return out;
}

bool name_groups(const std::vector<TraceNode>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const TraceNode& node) { return !node.group.empty(); });
}

bool names_groups(const Trace& trace) {
  return std::any_of(
      trace.requests.begin(), trace.requests.end(),
      [](const TraceRequest& request) { return !request.group.empty(); });
}

std::vector<TraceNode> without_groups(std::vector<TraceNode> nodes) {
  for (auto& node : nodes) node.group.clear();
  return nodes;
}

// As request_of of a submission takes them (cluster/scheduling).
void take_wishes(const TraceRequest& asked, Request& out) {
  out.constraint = asked.constraint;
  out.prefer = asked.prefer;
  out.together = asked.together;
  out.apart = asked.apart;
  out.within = asked.within;
  if (!asked.together.empty() || !asked.apart.empty()) out.user = asked.user;
}

Request request_of(const TraceRequest& asked, bool grouped) {
  Request out;
  out.cpu_milli = asked.cpu_milli;
  out.memory_bytes = asked.memory_bytes;
  out.gpus = asked.gpus;
  out.gpu_milli = asked.gpu_milli;
  out.gpu_memory_bytes = asked.gpu_memory_bytes;
  out.gpu_models = asked.gpu_models;
  out.tasks = asked.tasks;
  out.nodes = asked.nodes;
  if (grouped) out.group = asked.group;
  out.on_node = asked.on_node;
  take_wishes(asked, out);
  return normal_form(std::move(out));
}

Session session_of(const TraceRequest& asked, Workload& work, bool grouped) {
  Session out;
  out.request = work.requests.index(request_of(asked, grouped));
  out.user = work.users.index(asked.user);
  out.project = work.projects.index(asked.project);
  out.name = work.names.index(asked.name);
  out.priority = asked.priority;
  out.requeue_max = asked.requeue_max;
  out.array_index = asked.array_index;
  out.array_running_max = asked.array_running_max;
  if (asked.ends_on_preempt) out.on_preempt = schema::OnPreempt::end;
  out.submitted_at = since_start(asked.arrival_ns);
  if (asked.not_before_ns > 0)
    out.not_before = since_start(asked.not_before_ns);
  out.duration_ns = asked.duration_ns.value_or(for_ever_ns);
  out.time_limit_ns = asked.time_limit_ns;
  out.succeeds = asked.succeeded;
  return out;
}

// Of the trace's requests by arrival; equal ones in the file's order.
std::vector<std::size_t> by_arrival(const Trace& trace) {
  std::vector<std::size_t> order(trace.requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return trace.requests[a].arrival_ns < trace.requests[b].arrival_ns;
  });
  return order;
}

}  // namespace

void replace_nodes(Workload& work, const std::vector<TraceNode>& nodes) {
  work.inventories.clear();
  work.changes.clear();
  for (const auto& node : nodes) {
    const auto number = static_cast<std::uint32_t>(work.inventories.size());
    work.inventories.push_back(node_of(node));
    work.changes.push_back(
        {work.from, NodeChange::Kind::joined, NodeId{number}, number, Time{}});
  }
  const bool grouped = name_groups(nodes);
  RequestList requests;
  std::vector<std::uint32_t> moved;
  for (Request request : work.requests.all()) {
    if (!grouped) request.group = default_group;
    request.simulated = false;
    moved.push_back(requests.index(request));
  }
  work.requests = std::move(requests);
  for (auto& session : work.sessions) {
    session.request = moved[session.request];
    session.placed_before.clear();
  }
}

namespace {

// Where no two have the same, names are numbers of jobs and tell nothing of
// what jobs are alike; histories then go by the user alone.
void forget_numbers(Workload& work) {
  if (work.names.all().size() < work.sessions.size()) return;
  work.names = {};
  for (auto& session : work.sessions) session.name = work.names.index("");
}

}  // namespace

Workload workload_of(const Trace& trace, const std::vector<TraceNode>& nodes) {
  Workload work;
  work.from = work.to = trace_start;
  const bool grouped = name_groups(nodes) && names_groups(trace);
  const auto order = by_arrival(trace);
  std::vector<std::uint64_t> id_of(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) id_of[order[i]] = i + 1;
  work.sessions.reserve(order.size());
  for (const auto place : order) {
    const TraceRequest& asked = trace.requests[place];
    Session session = session_of(asked, work, grouped);
    session.id = SessionId{id_of[place]};
    if (asked.array) session.array = SessionId{id_of[*asked.array]};
    for (const auto& after : asked.after)
      session.after.emplace_back(
          id_of[after.request],
          static_cast<schema::DependencyKind>(after.kind));
    if (session.duration_ns != for_ever_ns)
      work.to = std::max(
          work.to, Time{session.submitted_at.value + session.duration_ns});
    work.to = std::max(work.to, session.submitted_at);
    work.sessions.push_back(std::move(session));
  }
  forget_numbers(work);
  replace_nodes(work, grouped ? nodes : without_groups(nodes));
  return work;
}

std::size_t leave_out_unstarted(Trace& trace) {
  std::vector<std::size_t> place(trace.requests.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < trace.requests.size(); ++i)
    if (trace.requests[i].waited_ns) place[i] = kept++;
  const auto gone = trace.requests.size() - kept;
  for (TraceRequest& request : trace.requests) {
    std::erase_if(request.after, [&](const TraceRequest::After& after) {
      return !trace.requests[after.request].waited_ns;
    });
    for (auto& after : request.after) after.request = place[after.request];
    // All of an array are of one line: they go or stay together.
    if (request.array) request.array = place[*request.array];
  }
  std::erase_if(trace.requests,
                [](const TraceRequest& one) { return !one.waited_ns; });
  return gone;
}

std::vector<Outcome> recorded_outcomes(const Trace& trace,
                                       const Workload& work) {
  std::vector<Outcome> out(work.sessions.size());
  const auto order = by_arrival(trace);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const TraceRequest& asked = trace.requests[order[i]];
    if (!asked.waited_ns) continue;
    out[i].attempts = 1;
    out[i].started_at =
        Time{work.sessions[i].submitted_at.value + *asked.waited_ns};
    out[i].fate = Outcome::Fate::running;
    if (!asked.duration_ns) continue;
    out[i].ended_at = Time{out[i].started_at.value + *asked.duration_ns};
    out[i].fate = Outcome::Fate::ended;
  }
  return out;
}

}  // namespace reeve::cluster::simulation

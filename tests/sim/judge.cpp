// What the scheduler knows, and each of its proposals by itself.
#include "tests/sim/judge.hpp"

#include <algorithm>
#include <utility>

#include "cluster/decide.hpp"
#include "cluster/limits.hpp"
#include "tests/sim/loop.hpp"

namespace reeve::sim {

using cluster::Proposal;
using cluster::SessionState;
using schema::EventBody;

Judge::Judge(cluster::State state, Probes& probes)
    : probes_(probes), known_(std::move(state)) {
  known_.visit_sessions(SessionId{}, [this](const Session& session) {
    if (holds(session))
      began_[session.id.value] =
          std::max(session.placed_at, session.started_at);
    return true;
  });
}

const cluster::Session& Judge::session(std::uint64_t id) const {
  const Session* session = known_.session(SessionId{id});
  SIM_CHECK(session, "the scheduler speaks of s-{}, which is not there", id);
  return *session;
}

bool Judge::holds(const Session& session) const {
  return session.state != SessionState::pending &&
         !cluster::has_ended(session.state);
}

Judge::Pool Judge::pool_of(const Session& session) const {
  return {std::string(known_.spec(session).group), session.simulated};
}

cluster::Policy Judge::policy_of(const Pool& pool) const {
  return sim::policy_of(known_, pool.first);
}

// Without what is proposed.
Rooms Judge::rooms() const {
  Rooms rooms = rooms_of(known_);
  for (const auto& [id, open] : open_) {
    const Ask ask(known_, session(id));
    for (const auto& task : open.proposal.tasks)
      rooms.at(task.node.value).take(ask, task.devices);
  }
  return rooms;
}

// ---- what it is told

void Judge::told(const schema::Event& event) {
  const Status applied = known_.apply(event);
  SIM_CHECK(applied, "the scheduler is told what cannot be: {}",
            applied.error().text);
  const Time at{event.time_at()};
  switch (event.body_type()) {
    case EventBody::SessionPlaced: {
      const std::uint64_t id = event.body_as_SessionPlaced()->session();
      open_.erase(id);
      began_[id] = at;
      return;
    }
    case EventBody::TaskStarted: {
      Time& began = began_[event.body_as_TaskStarted()->session()];
      began = std::max(began, at);
      return;
    }
    case EventBody::SessionRequeued:
      open_.erase(event.body_as_SessionRequeued()->session());
      began_.erase(event.body_as_SessionRequeued()->session());
      return;
    case EventBody::SessionEnded:
      open_.erase(event.body_as_SessionEnded()->session());
      began_.erase(event.body_as_SessionEnded()->session());
      return;
    case EventBody::SessionSubmitted:
    case EventBody::TaskExited:
    case EventBody::SessionStopping:
    case EventBody::SessionWarned:
    case EventBody::DeadlinePassed: return;
    default: watches_.clear();  // nodes, accounts, reservations
  }
}

void Judge::refused(SessionId session, std::uint32_t attempt) {
  const auto found = open_.find(session.value);
  if (found == open_.end() || found->second.proposal.attempt != attempt) return;
  open_.erase(found);
  watches_.clear();
}

// ---- each proposal

// By what is known the manager would take it.
void Judge::check_known(const Proposal& proposal, Time now) const {
  cluster::EventWriter writer(Sequence{1}, Epoch{1});
  const auto decision =
      cluster::decide_place(known_, proposal, {now, {}, {}}, writer);
  SIM_CHECK(decision, "the scheduler proposes s-{}, and could know: {}",
            proposal.session.value, decision.error().text);
}

// The value of the label, or the name of the node; null: it has none.
const std::string* Judge::place_of(NodeId id, std::string_view label) const {
  const cluster::Node& node = *known_.node(id);
  return label.empty() ? &node.name : find_label(node.labels, label);
}

// Where others of its user with the same word are.
std::set<std::string> Judge::places_of(const Ask& of, std::string_view word,
                                       bool together) const {
  const std::string_view label = parse_company(word).value().label;
  std::set<std::string> places;
  const auto look = [&](const Session& session, const auto& nodes) {
    if (session.owners.user != of.session->owners.user) return;
    const cluster::Spec spec = known_.spec(session);
    if ((together ? spec.together : spec.apart) != word) return;
    for (const NodeId node : nodes)
      if (const auto* place = place_of(node, label)) places.insert(*place);
  };
  std::vector<NodeId> nodes;
  known_.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!holds(session)) return true;
    nodes.clear();
    for (const auto& task : session.tasks)
      if (task.phase != cluster::TaskPhase::exited) nodes.push_back(task.node);
    look(session, nodes);
    return true;
  });
  for (const auto& [id, open] : open_) {
    nodes.clear();
    for (const auto& task : open.proposal.tasks) nodes.push_back(task.node);
    look(session(id), nodes);
  }
  return places;
}

void Judge::check_company(const Ask& ask, const Proposal& proposal) const {
  const auto inside = [&](const auto& task, std::string_view word,
                          const std::set<std::string>& places) {
    const auto* place = place_of(task.node, parse_company(word).value().label);
    return place && places.contains(*place);
  };
  const auto& spec = ask.spec;
  if (!spec.apart.empty()) {
    const auto places = places_of(ask, spec.apart, false);
    for (const auto& task : proposal.tasks)
      SIM_CHECK(!inside(task, spec.apart, places),
                "s-{} is proposed for a place of others that it wants to be "
                "apart from: {}",
                proposal.session.value, spec.apart);
    if (!places.empty()) probes_.hit(Probe::placed_apart);
  }
  if (spec.together.empty()) return;
  const auto places = places_of(ask, spec.together, true);
  if (places.empty()) return;
  for (const auto& task : proposal.tasks)
    SIM_CHECK(inside(task, spec.together, places),
              "s-{} is not proposed for a place of those that it wants to be "
              "together with: {}",
              proposal.session.value, spec.together);
  probes_.hit(Probe::placed_together);
}

// It would be over when a reservation of others begins.
void Judge::check_windows(const Ask& ask, const Proposal& proposal,
                          Time now) const {
  const std::uint64_t limit_ns = ask.session->time_limit_ns;
  const Time end{now.value +
                 (limit_ns != 0 ? limit_ns : cluster::running_ns_max)};
  for (const auto& [name, kept] : known_.reservations().all()) {
    if (name == ask.spec.reservation) continue;
    const auto window = kept.window_at(now);
    if (!window) continue;
    for (const auto& task : proposal.tasks) {
      if (!kept.covers(known_.node(task.node)->name)) continue;
      const bool takes = kept.devices.empty() ||
                         std::any_of(task.devices.begin(), task.devices.end(),
                                     [&](const auto& grant) {
                                       return kept.covers_device(grant.device);
                                     });
      SIM_CHECK(!takes || window->from >= end,
                "s-{} is proposed for {} and may run into {}",
                proposal.session.value, known_.node(task.node)->name, name);
      if (takes) probes_.hit(Probe::placed_before_window);
    }
  }
}

void Judge::proposed(const std::vector<Proposal>& proposals, Time now) {
  if (proposals.empty()) return;
  Rooms left = rooms();
  for (const Proposal& proposal : proposals) {
    const std::uint64_t id = proposal.session.value;
    SIM_CHECK(!open_.contains(id), "s-{} is proposed twice", id);
    check_known(proposal, now);
    const Ask ask(known_, session(id));
    check_turn(proposal, left, now);
    for (const auto& task : proposal.tasks) {
      Room& room = left.at(task.node.value);
      room.take(ask, task.devices);
      SIM_CHECK(!room.overdrawn(), "s-{} is proposed for {}, which is full", id,
                known_.node(task.node)->name);
    }
    check_company(ask, proposal);
    check_windows(ask, proposal, now);
    open_[id] = {proposal, now};
    passing_.push_back(id);
  }
}

}  // namespace reeve::sim

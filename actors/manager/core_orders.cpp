// Orders to agents, gathered until the batch that they follow from.
#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "actors/manager/core.hpp"
#include "actors/manager/messages.hpp"

namespace reeve::manager {

using cluster::TaskPhase;

OrderStamp Core::stamp(std::string_view agent) const {
  const auto known = agents_.find(agent);
  const bool heard = known != agents_.end() && !has_lost_node(agent);
  return {state_.epoch(), state_.last_sequence(),
          heard ? known->second.heard : 0};
}

void Core::want_launch(const Session& session) {
  launches_.push_back(session.id);
}

void Core::want_stop(std::string_view agent, const schema::TaskRef& task,
                     std::uint64_t grace_ns) {
  stops_[{std::string(agent), grace_ns}].push_back(task);
}

void Core::want_stop(const Session& session) {
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    const auto& task = session.tasks[rank];
    if (task.phase == TaskPhase::exited) continue;
    want_stop(state_.node(task.node)->agent,
              {session.id.value, session.attempt, rank},
              stopping_ ? cluster::grace_at_cell_stop(session)
                        : cluster::grace_of(session));
  }
}

// To its tasks that run. An agent passes a signal on once.
void Core::want_warning(const Session& session) {
  if (session.state != schema::SessionState::running) return;
  const std::uint8_t signal = state_.spec(session).warn_signal;
  for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
    const auto& task = session.tasks[rank];
    if (task.phase != TaskPhase::started) continue;
    signals_[{state_.node(task.node)->agent, signal}].emplace_back(
        session.id.value, session.attempt, rank);
  }
}

void Core::want_reconcile(std::string_view agent) {
  reconciles_.emplace_back(agent);
}

// All that should be on the agent now. Launches of the same batch go first,
// but may be lost or late: what has not started is listed as such.
void Core::flush_reconciles() {
  std::vector<std::string> managers;
  for (const auto& one : cluster::managers_of(state_.identities()))
    managers.push_back(one.address);
  // Of one the agent knows what it needs, maybe by another address.
  if (managers.size() == 1) managers.clear();
  for (const std::string& agent : std::exchange(reconciles_, {})) {
    std::vector<schema::TaskRef> started;
    std::vector<schema::TaskRef> unstarted;
    for (const Session* session : sessions_on(agent))
      for (std::uint32_t rank = 0; rank < session->tasks.size(); ++rank) {
        const auto& task = session->tasks[rank];
        if (task.phase == TaskPhase::exited ||
            state_.node(task.node)->agent != agent)
          continue;
        auto& list = task.phase == TaskPhase::started ? started : unstarted;
        list.emplace_back(session->id.value, session->attempt, rank);
      }
    ++counters_.orders;
    gate(SendOrder{agent, encode_reconcile(stamp(agent), agents_[agent].boot,
                                           started, unstarted, managers)});
  }
}

std::vector<const cluster::Node*> Core::nodes_of(std::string_view agent) const {
  std::vector<const cluster::Node*> nodes;
  const auto known = agents_.find(agent);
  if (known == agents_.end()) return nodes;
  for (const std::uint32_t id : known->second.nodes) {
    const auto* node = state_.node(NodeId{id});
    if (node->agent == agent && !node->removed) nodes.push_back(node);
  }
  return nodes;
}

std::vector<const Session*> Core::sessions_on(std::string_view agent) const {
  std::vector<SessionId> ids;
  for (const auto* node : nodes_of(agent))
    ids.insert(ids.end(), node->holders.begin(), node->holders.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<const Session*> sessions;
  for (const SessionId id : ids) sessions.push_back(state_.session(id));
  return sessions;
}

void Core::flush_orders() {
  for (const std::string& agent : reconciles_)
    for (const Session* session : sessions_on(agent)) {
      want_launch(*session);
      if (session->warned) want_warning(*session);
    }
  flush_launches();
  flush_stops();
  flush_signals();
  flush_probes();
  flush_reconciles();
}

void Core::flush_launches() {
  std::map<std::string_view, LaunchBuilder> orders;
  std::sort(launches_.begin(), launches_.end());
  launches_.erase(std::unique(launches_.begin(), launches_.end()),
                  launches_.end());
  const auto send = [&](std::string_view agent, LaunchBuilder& order) {
    ++counters_.orders;
    gate(SendOrder{std::string(agent), order.finish(stamp(agent))});
  };
  for (const SessionId id : launches_) {
    const Session* session = state_.session(id);
    if (!session || cluster::has_ended(session->state) ||
        session->state == schema::SessionState::pending ||
        session->state == schema::SessionState::stopping)
      continue;
    const cluster::Spec spec = state_.spec(*session);
    for (std::uint32_t rank = 0; rank < session->tasks.size(); ++rank) {
      const auto& task = session->tasks[rank];
      const bool again = session->simulated && task.phase == TaskPhase::started;
      if (task.phase != TaskPhase::placed && !again) continue;
      const auto& node = *state_.node(task.node);
      // A launch tells from when on its host may be cut off.
      if (cluster::cut_off_of(*session, spec.cut_off_ns) != 0 &&
          !agents_[node.agent].known)
        continue;
      LaunchBuilder& order = orders[node.agent];
      order.add(state_, *session, spec, rank);
      if (order.tasks() >= options_.tasks_per_order_max ||
          order.bytes() >= LaunchBuilder::launch_bytes_max)
        send(node.agent, order);
    }
  }
  launches_.clear();
  for (auto& [agent, order] : orders)
    if (order.tasks() > 0) send(agent, order);
}

namespace {

// Each task once, in pieces of at most `count_max`.
template <class Send>
void in_orders(std::vector<schema::TaskRef>& tasks, std::size_t count_max,
               Send&& send) {
  const auto key = [](const schema::TaskRef& task) {
    return std::tuple(task.session(), task.attempt(), task.rank());
  };
  std::ranges::sort(tasks, {}, key);
  const auto same = std::ranges::unique(tasks, {}, key);
  tasks.erase(same.begin(), same.end());
  for (std::size_t at = 0; at < tasks.size(); at += count_max)
    send(std::span(tasks).subspan(at, std::min(count_max, tasks.size() - at)));
}

}  // namespace

void Core::flush_stops() {
  for (auto& [to, tasks] : std::exchange(stops_, {}))
    in_orders(tasks, options_.tasks_per_order_max,
              [&, &to = to](std::span<const schema::TaskRef> some) {
                ++counters_.orders;
                gate(SendOrder{to.first,
                               encode_stop(stamp(to.first), some, to.second)});
              });
}

// Each node is one message: it has few devices.
void Core::flush_probes() {
  std::sort(probes_.begin(), probes_.end());
  probes_.erase(std::unique(probes_.begin(), probes_.end()), probes_.end());
  for (const NodeId id : std::exchange(probes_, {})) {
    const auto& node = *state_.node(id);
    if (node.testing.empty() || node.lost || node.removed) continue;
    ++counters_.orders;
    gate(SendOrder{node.agent, encode_probe(stamp(node.agent), node.testing)});
  }
}

void Core::flush_signals() {
  for (auto& [to, tasks] : std::exchange(signals_, {}))
    in_orders(
        tasks, options_.tasks_per_order_max,
        [&, &to = to](std::span<const schema::TaskRef> some) {
          ++counters_.orders;
          gate(SendOrder{to.first,
                         encode_signal(stamp(to.first), some,
                                       static_cast<std::uint8_t>(to.second))});
        });
}

}  // namespace reeve::manager

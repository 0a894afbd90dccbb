// Sessions with tasks on lost nodes. A host that hears nothing of the cell ends
// the tasks that may be started again after a time that their launch told
// (cluster::cut_off_of); only when that must be over are they given up here.
#include <algorithm>

#include "actors/manager/core.hpp"
#include "cluster/plant.hpp"

namespace reeve::manager {

using schema::EndReason;
using schema::SessionState;

bool Core::on_lost_node(const Session& session) const {
  return std::any_of(session.tasks.begin(), session.tasks.end(),
                     [&](const auto& task) {
                       return task.phase != cluster::TaskPhase::exited &&
                              state_.node(task.node)->lost;
                     });
}

// `heard`: until when the host may have heard of the cell, or later.
void Core::lose_tasks(const Session& session, Time heard) {
  if (cluster::has_ended(session.state)) return;
  const auto after_ns = cluster::given_up_after(
      cluster::cut_off_of(session, state_.spec(session).cut_off_ns),
      cluster::is_tried_again(session, EndReason::node_lost),
      session.simulated);
  if (ends_for_good(session) || after_ns == 0 || planted(Plant::given_up_early))
    return give_up(session.id);
  if (!after_ns) return;
  const Time due{heard.value + *after_ns};
  Time& at = given_up_[session.id.value];
  at = std::max(at, due);
  if (next_given_up_.value == 0 || due < next_given_up_) next_given_up_ = due;
}

bool Core::ends_for_good(const Session& session) {
  return session.state == SessionState::stopping &&
         !cluster::is_tried_again(session, session.reason);
}

void Core::give_up(SessionId id) {
  given_up_.erase(id.value);
  orphaned_.push_back(id.value);
}

// A list that was made before names what is given up now.
void Core::unlist(const Session& session) {
  for (const auto& task : session.tasks) {
    const auto& node = *state_.node(task.node);
    if (task.phase == cluster::TaskPhase::exited || !node.lost) continue;
    Agent& agent = agents_[node.agent];
    agent.listed = false;
    agent.lost_at = writer_.next();
  }
}

// When it is, unless its nodes return; 0: it is not.
Time Core::given_up_at(const Session& session) const {
  const auto found = given_up_.find(session.id.value);
  return found == given_up_.end() ? Time{} : found->second;
}

void Core::postpone_giving_up(std::uint64_t by_ns) {
  for (auto& [id, at] : given_up_) at.value += by_ns;
  next_given_up_.value += given_up_.empty() ? 0 : by_ns;
}

void Core::give_up_due(Time now) {
  if (given_up_.empty() || now < next_given_up_) return;
  next_given_up_ = {};
  std::erase_if(given_up_, [&](const auto& one) {
    const Session* session = state_.session(SessionId{one.first});
    if (!session || !on_lost_node(*session)) return true;
    if (one.second <= now) {
      orphaned_.push_back(one.first);
      return true;
    }
    if (next_given_up_.value == 0 || one.second < next_given_up_)
      next_given_up_ = one.second;
    return false;
  });
}

}  // namespace reeve::manager

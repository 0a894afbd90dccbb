// Tasks as the nodes run them.
#include "tests/sim/oracle.hpp"

namespace reeve::sim {

using cluster::SessionState;

void Oracle::task_granted(const TaskKey& key, std::vector<Grant> grants) {
  Life& life = lives_[key];
  if (!life.running) life.grants = std::move(grants);
}

void Oracle::task_started(const TaskKey& key, const std::string& node) {
  Life& life = lives_[key];
  SIM_CHECK(!life.running, "{} runs on {} and is started on {}",
            keeper::to_string(key), life.node, node);
  SIM_CHECK(life.starts == 0 || life.unwritten,
            "{} ran on {} and is started a second time, on {}",
            keeper::to_string(key), life.node, node);
  if (life.starts > 0) probes_.hit(Probe::started_again);
  ++life.starts;
  life.running = true;
  life.lost = life.unwritten = false;
  life.node = node;
  ++running_;
  check_devices(node);
  check_attempts(key);
}

// Of a session one attempt lives at a time, wherever its hosts are cut off.
void Oracle::check_attempts(const TaskKey& key) const {
  const TaskKey first{key.session, 0, 0};
  for (auto it = lives_.lower_bound(first);
       it != lives_.end() && it->first.session == key.session; ++it) {
    const auto& [other, life] = *it;
    SIM_CHECK(!life.running || life.stuck || other.attempt == key.attempt,
              "{} starts on {} and {} lives on {} still",
              keeper::to_string(key), lives_.at(key).node,
              keeper::to_string(other), life.node);
  }
}

void Oracle::task_stuck(const TaskKey& key) {
  lives_[key].stuck = true;
}

// The manager gave it up, drained its node for it, and said so: whoever resumes
// the node while it is there has decided that it may share.
bool Oracle::given_up(const TaskKey& key) const {
  const auto* session = truth_.session(SessionId{key.session});
  return session && session->state == SessionState::lost &&
         session->attempt == key.attempt;
}

void Oracle::check_devices(const std::string& node) const {
  std::map<std::uint32_t, std::uint32_t> used;
  std::map<std::uint32_t, std::string> users;
  for (const auto& [key, life] : lives_) {
    if (!life.running || life.node != node || given_up(key)) continue;
    for (const Grant& grant : life.grants) {
      used[grant.device] += grant.milli;
      users[grant.device] += " " + keeper::to_string(key);
    }
  }
  for (const auto& [device, milli] : used)
    SIM_CHECK(milli <= milli_per_device,
              "device {} of {} serves {} thousandths to{}", device, node, milli,
              users[device]);
}

void Oracle::task_ended(const TaskKey& key) {
  Life& life = lives_[key];
  if (!std::exchange(life.running, false)) return;
  --running_;
}

void Oracle::task_lost(const TaskKey& key) {
  task_ended(key);
  lives_[key].lost = true;
}

void Oracle::task_unwritten(const TaskKey& key) {
  task_ended(key);
  lives_[key].lost = lives_[key].unwritten = true;
}

// Nothing that is wanted may be told to end.
void Oracle::stop_heard(const TaskKey& key) const {
  const auto* session = truth_.session(SessionId{key.session});
  if (!session || session->attempt != key.attempt) return;
  const bool wanted =
      (session->state == SessionState::placed ||
       session->state == SessionState::starting ||
       session->state == SessionState::running) &&
      session->tasks[key.rank].phase != cluster::TaskPhase::exited;
  SIM_CHECK(!wanted, "{} is told to end, but s-{} is {}",
            keeper::to_string(key), key.session,
            schema::EnumNameSessionState(session->state));
}

// What was given up with a node has ended when the node comes back.
void Oracle::look_at_returned(const schema::NodeReturned& body) const {
  const auto& node = *truth_.node(NodeId{body.node()});
  for (const auto& [key, life] : lives_) {
    if (!life.running || life.node != node.name || given_up(key)) continue;
    const auto* session = truth_.session(SessionId{key.session});
    SIM_CHECK(session && !cluster::has_ended(session->state) &&
                  session->attempt == key.attempt &&
                  session->tasks[key.rank].phase != cluster::TaskPhase::exited,
              "{} returned and {} lives there still", node.name,
              keeper::to_string(key));
  }
}

void Oracle::look_at_exited(const schema::TaskExited& body) const {
  const TaskKey key{body.session(), body.attempt(), body.rank()};
  const auto* session = truth_.session(SessionId{key.session});
  if (body.reason() != schema::EndReason::task_lost || !session ||
      session->state == SessionState::stopping)
    return;
  const auto found = lives_.find(key);
  SIM_CHECK(found != lives_.end() && found->second.lost,
            "{} is called lost, but nothing happened to it",
            keeper::to_string(key));
}

}  // namespace reeve::sim

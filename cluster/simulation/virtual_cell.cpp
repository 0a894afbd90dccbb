#include "cluster/simulation/virtual_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <set>
#include <tuple>

#include "cluster/check.hpp"
#include "cluster/decide.hpp"
#include "cluster/limits.hpp"
#include "cluster/simulation/events.hpp"
#include "cluster/simulation/possible.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster::simulation {

namespace {

using schema::EndReason;
using schema::SessionState;
using Index = std::uint32_t;  // of a session in the workload

constexpr Time never{UINT64_MAX};
constexpr std::size_t proposals_per_pass = 4096;
constexpr std::uint32_t whole_session = UINT32_MAX;
// When nothing has happened for so long, nothing will: the real cell lets
// nobody wait for longer, and a month of a quota is over.
constexpr std::uint64_t quiet_ns_max =
    pending_ns_max + 2 * 24 * 3600 * second_ns;

Time later(Time at, std::uint64_t duration_ns) {
  return Time{at.value > UINT64_MAX - duration_ns ? UINT64_MAX
                                                  : at.value + duration_ns};
}

// A task's exit, or the end of a session after all of them.
struct Due {
  Time at;
  Index session = 0;
  std::uint32_t rank = whole_session;
  std::uint32_t attempt = 0;
  bool operator>(const Due& other) const {
    return std::tie(at, session, rank) >
           std::tie(other.at, other.session, other.rank);
  }
};

}  // namespace

struct VirtualCell::Core {
  Core(const Workload& given, const CellOptions& chosen, Tell listener)
      : work(given),
        options(chosen),
        tell(std::move(listener)),
        possible(given) {
    outcomes.resize(work.sessions.size());
    on_nodes.resize(work.sessions.size());
    evicted.resize(work.sessions.size());
    leaves.resize(work.sessions.size());
    lost.resize(work.sessions.size());
    for (Index i = 0; i < work.sessions.size(); ++i) {
      index_of.emplace(work.sessions[i].id.value, i);
      still_open += work.sessions[i].counted;
    }
    now = work.from;
  }

  // What goes on from before the window holds its place before anything else
  // may take it.
  void begin() {
    begun = true;
    collect_groups();
    impose_policy();
    change_accounts();
    change_nodes();
    for (Index i = 0; i < work.sessions.size(); ++i) {
      const Session& session = work.sessions[i];
      if (!session.running_before) continue;
      submit(i);
      if (!session.placed_before.empty() &&
          outcomes[i].fate == Outcome::Fate::waiting)
        place({session.id, 1, session.placed_before});
      if (session.leaves_at > now && outcomes[i].fate == Outcome::Fate::running)
        leave(i, SessionId{}, session.leaves_at);
    }
    end_what_is_due();
    pass();
  }

  bool step() {
    if (!begun) {
      begin();
      return true;
    }
    const Time next = next_moment();
    if (next == never) return false;
    REEVE_CHECK(next >= now,
                fmt::format("from {} back to {}", now.value, next.value));
    now = next;
    end_what_is_due();
    change_accounts();
    change_nodes();
    arrive();
    const Time wakeup = scheduler.next_wakeup();
    if (wakeup.value > 0 && wakeup <= now) to_pass = true;
    if (to_pass && pass_at() <= now) pass();
    return true;
  }

  Time next_moment() const {
    Time next = never;
    const auto consider = [&](Time at) {
      next = std::min(next, std::max(at, now));
    };
    if (!due.empty()) consider(due.top().at);
    if (next_change < work.changes.size())
      consider(work.changes[next_change].at);
    if (next_account < work.accounts.size())
      consider(work.accounts[next_account].at);
    if (!evictions.empty()) consider(evictions.begin()->first);
    if (!losses.empty()) consider(losses.begin()->first);
    for (Index i = next_arrival; i < work.sessions.size(); ++i) {
      if (work.sessions[i].running_before) continue;
      consider(work.sessions[i].submitted_at);
      break;
    }
    const Time wakeup = scheduler.next_wakeup();
    if (wakeup > now && wakeup <= wakes_until) consider(wakeup);
    if (to_pass) consider(pass_at());
    return next;
  }

  // The first moment from now on at which the scheduler may look.
  Time pass_at() const {
    if (options.round_ns == 0) return now;
    const std::uint64_t since = now.value - work.from.value;
    const std::uint64_t rounds =
        since / options.round_ns + (since % options.round_ns != 0);
    return later(work.from, rounds * options.round_ns);
  }

  void happened(const schema::Event& event) { happened(event, events.bytes()); }
  void happened(const schema::Event& event, std::span<const std::byte> bytes) {
    scheduler.apply(event);
    if (tell) tell(event, bytes);
    to_pass = true;
    wakes_until = std::max(wakes_until, later(now, quiet_ns_max));
  }
  // Somebody waits for this moment.
  void expect(Time at) { wakes_until = std::max(wakes_until, at); }

  // -- accounts ---------------------------------------------------------------

  void change_accounts() {
    bool any = false;
    for (; next_account < work.accounts.size(); ++next_account) {
      const AccountEvent& account = work.accounts[next_account];
      if (account.at > now) break;
      const schema::Event& event = schema::event_of(account.bytes);
      happened(event, account.bytes);
      if (const auto* set = event.body_as_ReservationSet())
        expect(Time{set->reservation()->to_at()});
      if (reservations.apply(event)) end_unreserved();
      any = true;
    }
    if (any) impose_policy();
  }

  bool lost_reservation(Index i) const {
    const std::string& name =
        work.requests[work.sessions[i].request].reservation;
    return outcomes[i].fate == Outcome::Fate::waiting && !name.empty() &&
           !reservations.find(name);
  }

  // As the real cell does: who waits for one that is gone waits no more.
  void end_unreserved() {
    for (Index i = 0; i < next_arrival; ++i)
      if (lost_reservation(i))
        end(i, SessionState::cancelled, EndReason::reservation_gone);
  }

  // What was asked for goes before what the accounts say.
  void impose_policy() {
    if (!options.policy) return;
    for (const auto& group : groups)
      scheduler.set_policy(group, *options.policy);
  }

  void collect_groups() {
    groups.emplace(default_group);
    for (const auto& request : work.requests.all())
      groups.insert(request.group);
    for (const auto& node : work.inventories)
      if (!node.group.empty()) groups.insert(node.group);
  }

  // -- sessions ---------------------------------------------------------------

  void arrive() {
    for (; next_arrival < work.sessions.size(); ++next_arrival) {
      const Session& session = work.sessions[next_arrival];
      if (session.running_before) continue;
      if (session.submitted_at > now) break;
      submit(next_arrival);
      // One at a time, so that each is tried with those before it in place.
      if (options.unplaced == Unplaced::is_refused) try_once(next_arrival);
    }
  }

  void submit(Index i) {
    const Session& session = work.sessions[i];
    Outcome& outcome = outcomes[i];
    outcome.attempts = 1;
    expect(session.not_before);
    std::vector<schema::Dependency> open;
    const bool in_vain = !find_open_dependencies(session, open);
    happened(events.submitted(session, work, open, now,
                              options.estimates == Estimates::exact
                                  ? session.duration_ns
                                  : session.time_limit_ns));
    if (in_vain || !possible(session.request))
      return end(i, SessionState::cancelled, EndReason::none);
    for (const auto& dependency : open)
      dependents[index_of.at(dependency.session())].push_back(
          {i, dependency.kind()});
  }

  // False: one of them has ended otherwise.
  bool find_open_dependencies(const Session& session,
                              std::vector<schema::Dependency>& open) const {
    for (const auto& dependency : session.after) {
      const auto other = index_of.find(dependency.session());
      if (other == index_of.end()) continue;
      const auto ended = end_state.find(other->second);
      if (ended == end_state.end())
        open.push_back(dependency);
      else if (!satisfied(dependency.kind(), ended->second))
        return false;
    }
    return true;
  }

  void try_once(Index i) {
    pass();
    const Outcome& outcome = outcomes[i];
    if (outcome.fate == Outcome::Fate::waiting)
      end(i, SessionState::cancelled, EndReason::none);
  }

  void pass() {
    to_pass = false;
    for (;;) {
      const auto proposals = scheduler.propose(now, proposals_per_pass);
      for (const auto& proposal : proposals) place(proposal);
      if (proposals.size() < proposals_per_pass) break;
    }
    to_pass = false;  // what was placed asks for no other look
    if (options.unplaced == Unplaced::waits) make_room();
  }

  // As the manager takes it: one that runs still, for one that waits still.
  void make_room() {
    for (const auto& one : scheduler.preempt(now)) {
      const Index i = index_of.at(one.session.value);
      const Index head = index_of.at(one.for_session.value);
      if (outcomes[i].fate == Outcome::Fate::running && !leaves[i] &&
          outcomes[i].attempts == one.attempt &&
          outcomes[head].fate == Outcome::Fate::waiting)
        leave(i, one.for_session, later(now, work.sessions[i].leaving_ns));
    }
  }

  void leave(Index i, SessionId for_session, Time at) {
    leaves[i] = true;
    happened(events.stopping(work.sessions[i].id, outcomes[i].attempts,
                             for_session, now));
    due.push({at, i, whole_session, outcomes[i].attempts});
  }

  // What it held is free. Such an attempt counts for nothing.
  void give_room(Index i) {
    const Session& session = work.sessions[i];
    if (session.on_preempt == schema::OnPreempt::end)
      return end(i, SessionState::failed, EndReason::preempted);
    ++evicted[i];
    requeue(i, EndReason::preempted, Time{});
  }

  void requeue(Index i, EndReason reason, Time not_before) {
    Outcome& outcome = outcomes[i];
    ++outcome.attempts;
    outcome.fate = Outcome::Fate::waiting;
    forget(i);
    expect(not_before);
    happened(events.requeued(work.sessions[i].id, outcome.attempts, reason,
                             not_before, now));
    if (lost_reservation(i))
      end(i, SessionState::cancelled, EndReason::reservation_gone);
  }

  void place(const Proposal& proposal) {
    const Index i = index_of.at(proposal.session.value);
    const Session& session = work.sessions[i];
    happened(events.placed(proposal, now));
    ++placements;
    Outcome& outcome = outcomes[i];
    outcome.fate = Outcome::Fate::running;
    if (outcome.started_at.value == 0) outcome.started_at = now;
    for (const auto& task : proposal.tasks) on_nodes[i].push_back(task.node);
    for (std::uint32_t rank = 0; rank < session.task_ns.size(); ++rank)
      if (session.task_ns[rank] < session.duration_ns)
        due.push(
            {later(now, session.task_ns[rank]), i, rank, outcome.attempts});
    if (session.duration_ns != for_ever_ns)
      due.push({later(now, session.duration_ns), i, whole_session,
                outcome.attempts});
  }

  void end_what_is_due() {
    while (!due.empty() && due.top().at <= now) {
      const Due one = due.top();
      due.pop();
      const Outcome& outcome = outcomes[one.session];
      if (outcome.fate != Outcome::Fate::running ||
          outcome.attempts != one.attempt || lost[one.session])
        continue;
      const Session& session = work.sessions[one.session];
      if (one.rank != whole_session) {
        happened(events.exited(session.id, one.attempt, one.rank,
                               EndReason::exited, now));
        continue;
      }
      if (leaves[one.session]) {
        give_room(one.session);
        continue;
      }
      end(one.session,
          session.succeeds ? SessionState::succeeded : SessionState::failed,
          EndReason::exited);
    }
  }

  void end(Index i, SessionState state, EndReason reason) {
    Outcome& outcome = outcomes[i];
    outcome.fate = outcome.started_at.value > 0 ? Outcome::Fate::ended
                                                : Outcome::Fate::refused;
    if (outcome.fate == Outcome::Fate::ended) outcome.ended_at = now;
    forget(i);
    end_state.emplace(i, state);
    ++settled;
    still_open -= work.sessions[i].counted;
    happened(events.ended(work.sessions[i].id, outcome.attempts, state, reason,
                          now));
    end_dependents(i, state);
  }

  // Those that waited for another end than this one.
  void end_dependents(Index i, SessionState state) {
    const auto found = dependents.find(i);
    if (found == dependents.end()) return;
    const auto waiting = std::move(found->second);
    dependents.erase(found);
    for (const auto& [other, kind] : waiting)
      if (!satisfied(kind, state) && !end_state.contains(other))
        end(other, SessionState::cancelled, EndReason::dependency_failed);
  }

  // -- nodes ------------------------------------------------------------------

  void change_nodes() {
    for (; next_change < work.changes.size(); ++next_change) {
      const NodeChange& change = work.changes[next_change];
      if (change.at > now) break;
      happened(events.changed(change, work.inventories[change.inventory]));
      follow(change);
    }
    while (!evictions.empty() && evictions.begin()->first <= now) {
      const auto [at, node] = *evictions.begin();
      evictions.erase(evictions.begin());
      for (const Index i : sessions_on(NodeId{node})) vacate(i);
    }
    while (!losses.empty() && losses.begin()->first <= now)
      give_up(losses.begin()->second);
  }

  void follow(const NodeChange& change) {
    using Kind = NodeChange::Kind;
    const std::uint32_t node = change.node.value;
    switch (change.kind) {
      case Kind::lost:
        for (const Index i : sessions_on(change.node)) lose(i);
        break;
      case Kind::returned:
      case Kind::removed:
        for (const Index i : sessions_on(change.node))
          if (lost[i]) give_up(i);
        break;
      case Kind::drained:
      case Kind::resumed:
        std::erase_if(evictions,
                      [&](const auto& one) { return one.second == node; });
        if (change.kind == Kind::drained && change.deadline.value > 0)
          evictions.emplace(change.deadline, node);
        break;
      default: break;
    }
  }

  std::vector<Index> sessions_on(NodeId node) const {
    std::vector<Index> there;
    for (Index i = 0; i < on_nodes.size(); ++i)
      if (std::find(on_nodes[i].begin(), on_nodes[i].end(), node) !=
          on_nodes[i].end())
        there.push_back(i);
    return there;
  }

  // Its node's drain is over. One that leaves may take its time.
  void vacate(Index i) {
    if (!leaves[i])
      end_or_requeue(i, SessionState::failed, EndReason::node_drained);
  }

  // With a node of it, which is taken for dead. The cell cannot know that, and
  // starts it elsewhere only when its tasks must have been ended there.
  void lose(Index i) {
    if (lost[i]) return;
    const Session& session = work.sessions[i];
    const bool again = leaves[i]
                           ? session.on_preempt == schema::OnPreempt::requeue
                           : may_requeue(counted(i), session.requeue_max,
                                         EndReason::node_lost);
    const auto after_ns = given_up_after(
        cut_off_of(counted(i), session.requeue_max, session.cut_off_ns), again,
        work.requests[session.request].simulated);
    if ((leaves[i] && !again) || after_ns == 0) return give_up(i);
    lost[i] = true;
    if (after_ns)
      losses.emplace(later(now, *after_ns - node_lost_after_ns_default), i);
  }

  void give_up(Index i) {
    if (leaves[i]) return give_room(i);
    end_or_requeue(i, SessionState::lost, EndReason::node_lost);
  }

  // The attempt is over.
  void forget(Index i) {
    on_nodes[i].clear();
    leaves[i] = false;
    if (!lost[i]) return;
    lost[i] = false;
    std::erase_if(losses, [&](const auto& one) { return one.second == i; });
  }

  // Attempts but for those that made room.
  std::uint32_t counted(Index i) const {
    return outcomes[i].attempts - evicted[i];
  }

  void end_or_requeue(Index i, SessionState state, EndReason reason) {
    if (!may_requeue(counted(i), work.sessions[i].requeue_max, reason))
      return end(i, state, reason);
    requeue(i, reason, later(now, requeue_delay(counted(i))));
  }

  const Workload& work;
  CellOptions options;
  Tell tell;
  Scheduler scheduler;
  EventMaker events;
  Possible possible;
  Reservations reservations;

  Time now;
  bool begun = false;
  bool to_pass = false;  // something happened since the last pass
  Time wakes_until;      // what the scheduler would wake for later is in vain
  Index next_arrival = 0;
  std::size_t next_change = 0;
  std::size_t next_account = 0;
  std::set<std::string> groups;
  std::priority_queue<Due, std::vector<Due>, std::greater<Due>> due;
  std::set<std::pair<Time, std::uint32_t>> evictions;  // when, node
  std::set<std::pair<Time, Index>> losses;             // when given up, session

  boost::unordered_flat_map<std::uint64_t, Index> index_of;
  std::vector<Outcome> outcomes;
  std::vector<std::vector<NodeId>> on_nodes;
  std::vector<std::uint32_t> evicted;  // attempts that made room
  std::vector<bool> leaves;            // it was told to make room
  std::vector<bool> lost;              // it waits to be given up
  boost::unordered_flat_map<Index, SessionState> end_state;
  boost::unordered_flat_map<
      Index, std::vector<std::pair<Index, schema::DependencyKind>>>
      dependents;
  std::size_t settled = 0;
  std::size_t still_open = 0;
  std::uint64_t placements = 0;
};

VirtualCell::VirtualCell(const Workload& work, const CellOptions& options,
                         Tell tell)
    : core_(std::make_unique<Core>(work, options, std::move(tell))) {}
VirtualCell::~VirtualCell() = default;

bool VirtualCell::step() {
  return core_->step();
}
Time VirtualCell::moment() const {
  return core_->now;
}
const std::vector<Outcome>& VirtualCell::outcomes() const {
  return core_->outcomes;
}
std::size_t VirtualCell::settled() const {
  return core_->settled;
}
std::size_t VirtualCell::open() const {
  return core_->still_open;
}
std::uint64_t VirtualCell::placements() const {
  return core_->placements;
}

}  // namespace reeve::cluster::simulation

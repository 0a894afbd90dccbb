// Quotas: sessions whose account has no room stand in its line until it has.
// Within an account they come in the order of the queue.
#include "cluster/scheduling/core.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

using namespace scheduling;

Amounts Scheduler::Core::wanted_by(const Session& session) const {
  const auto& need = classes[session.request_class].need;
  const std::uint64_t tasks = classes[session.request_class].request.tasks;
  return {1, 0, tasks * need.cpu_milli, tasks * need.memory_bytes,
          tasks * need.gpus * need.gpu_milli};
}

namespace {

Amounts task_amounts(const Need& need, const TaskProposal& task) {
  Amounts out{0, 0, need.cpu_milli, need.memory_bytes, 0};
  for (const DeviceGrant& grant : task.devices) out.gpu_milli += grant.milli;
  return out;
}

constexpr Amounts one_session{1, 0, 0, 0, 0};

}  // namespace

void Scheduler::Core::charge(const Session& session, const Tasks& tasks) {
  const auto& own = classes[session.request_class];
  auto& held = pools[own.pool].held[session.owners.user];
  accounts.add(session.owners, one_session);
  for (const auto& task : tasks) {
    const auto amounts = task_amounts(own.need, task);
    accounts.add(session.owners, amounts);
    held += amounts;
  }
}

void Scheduler::Core::discharge(const Session& session,
                                const Holding& holding) {
  const auto& own = classes[session.request_class];
  const auto amounts = task_amounts(own.need, holding.task);
  accounts.remove(session.owners, amounts);
  auto& pool = pools[own.pool];
  auto& held = pool.held[session.owners.user];
  held -= amounts;
  if (held == Amounts{}) pool.held.erase(session.owners.user);
  pool.ranks_eased = true;
  ease(session.owners);
}

void Scheduler::Core::discharge_session(const Session& session) {
  accounts.remove(session.owners, one_session);
  ease(session.owners);
}

// Out of the queue and into the line of the account that has no room for it;
// false: all have.
bool Scheduler::Core::hold_back(Session& session) {
  session.let_in_again = false;
  const auto found =
      accounts.excess(session.owners, wanted_by(session), pass_at);
  if (!found) return false;
  dequeue(session);
  set_standing(session, Session::Standing::over_quota);
  join_quota_line(session, *found);
  return true;
}

void Scheduler::Core::join_quota_line(Session& session,
                                      const QuotaExcess& excess) {
  session.held_back_by = excess.account;
  over_quota[excess.account].insert(session.key);
  if (excess.renewed_at.value != 0)
    renewals.emplace(excess.renewed_at, excess.account);
}

// Into the line of its array or of an account, when that is full.
bool Scheduler::Core::stands_back(Session& session) {
  if (!array_is_full(session)) return hold_back(session);
  join_array_line(session);
  return true;
}

// Since the first of the queue were refused, others may have taken what their
// accounts and arrays may hold: then it is not their turn.
void Scheduler::Core::settle(const Pool& pool, std::size_t count) {
  if (count == 1) {
    for (auto head = head_of(pool); head; head = head_of(pool))
      if (!stands_back(sessions.at(head->first.session))) return;
    return;
  }
  for (bool again = true; again;) {
    again = false;
    for (const auto& [key, id] : first_waiting(pool, count))
      again |= stands_back(sessions.at(key.session));
  }
}

void Scheduler::Core::leave_quota_line(Session& session) {
  const auto line = over_quota.find(session.held_back_by);
  line->second.erase(session.key);
  if (line->second.empty()) over_quota.erase(line);
  session.held_back_by = no_account;
}

void Scheduler::Core::ease(const Owners& owners) {
  if (over_quota.empty()) return;
  const auto look = [this](AccountIndex index) {
    if (over_quota.contains(index)) eased.insert(index);
  };
  look(owners.user);
  look(owners.group);
  for (auto at = owners.project; at != no_account; at = accounts.at(at).parent)
    look(at);
}

void Scheduler::Core::ease_all() {
  for (const auto& [account, line] : over_quota) eased.insert(account);
}

// Those at the front of the line that the quotas have room for together.
void Scheduler::Core::let_in_of(AccountIndex account) {
  Amounts together;
  while (true) {
    const auto line = over_quota.find(account);
    if (line == over_quota.end()) return;
    auto& session = sessions.at(line->second.begin()->session);
    const auto wanted = wanted_by(session);
    const auto alone = accounts.excess(session.owners, wanted, pass_at);
    if (alone && alone->account != account) {
      leave_quota_line(session);
      join_quota_line(session, *alone);
      continue;
    }
    // It joined for another reason, perhaps, or the period is another one.
    if (alone && alone->renewed_at.value != 0)
      renewals.emplace(alone->renewed_at, account);
    together += wanted;
    if (accounts.excess(session.owners, together, pass_at)) return;
    leave_quota_line(session);
    session.let_in_again = true;
    enqueue(session);
  }
}

void Scheduler::Core::let_in(Time at) {
  pass_at = at;
  while (!renewals.empty() && renewals.begin()->first <= pass_at) {
    eased.insert(renewals.begin()->second);
    renewals.erase(renewals.begin());
  }
  while (!eased.empty()) {
    const auto account = *eased.begin();
    eased.erase(eased.begin());
    let_in_of(account);
  }
}

// The manager lets in no policy that does not parse. One that a later program
// wrote leaves the group with the one it has.
void Scheduler::Core::group_changed(const schema::AccountSpec& group) {
  const std::string_view text =
      group.policy() ? group.policy()->string_view() : "";
  const auto policy =
      text.empty() ? Expected<Policy>(Policy{}) : parse_policy(text);
  const auto name = group.name()->str();
  if (policy) set_policy(name, *policy);
  for (const bool simulated : {false, true})
    change_sharing(pool_of(name, simulated), group.gpu_sharing());
}

void Scheduler::Core::account_changed(const schema::Event& event) {
  accounts.apply(event);
  if (const auto* changed = event.body_as_AccountChanged())
    if (changed->account()->kind() == AccountKind::group)
      group_changed(*changed->account());
  ease_all();
}

}  // namespace reeve::cluster

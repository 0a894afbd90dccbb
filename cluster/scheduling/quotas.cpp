// Quotas: sessions whose account has no room stand in its line until it has.
// Within an account they come in the order of the queue, but for those that no
// end of what it holds lets in: they stand aside, and others pass them.
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
  const auto lasting = lasting_excess(session);
  join_quota_line(session, lasting ? *lasting : *found, lasting.has_value());
  return true;
}

std::optional<QuotaExcess> Scheduler::Core::lasting_excess(
    const Session& session) const {
  return accounts.lasting_excess(session.owners, wanted_by(session), pass_at);
}

// Of several the one that keeps it for longer.
std::optional<QuotaExcess> Scheduler::Core::excess_of(
    const Session& session) const {
  if (auto lasting = lasting_excess(session)) return lasting;
  return accounts.excess(session.owners, wanted_by(session), pass_at);
}

void Scheduler::Core::join_quota_line(Session& session,
                                      const QuotaExcess& excess, bool lasting) {
  session.held_back_by = excess.account;
  auto& line = over_quota[excess.account];
  (lasting ? line.aside : line.next).insert(session.key);
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
  const auto found = over_quota.find(session.held_back_by);
  auto& line = found->second;
  line.next.erase(session.key);
  line.aside.erase(session.key);
  if (line.next.empty() && line.aside.empty()) over_quota.erase(found);
  session.held_back_by = no_account;
}

// The first in the line that it stands in; 0: it is that itself.
SessionId Scheduler::Core::before_in_line(const Session& session) const {
  const auto& next = over_quota.at(session.held_back_by).next;
  if (next.empty() || !(*next.begin() < session.key)) return {};
  return SessionId(next.begin()->session);
}

// Of one that no quota keeps from a start any more.
WaitReason Scheduler::Core::reason_in_line(const Session& session) const {
  return before_in_line(session).value == 0 ? WaitReason::queued
                                            : WaitReason::quota_line;
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

// Also those aside.
void Scheduler::Core::ease_whole(AccountIndex account) {
  const auto line = over_quota.find(account);
  if (line == over_quota.end()) return;
  line->second.next.merge(line->second.aside);
  eased.insert(account);
}

// Those at the front of the line that the quotas have room for together. Who
// goes aside is not looked at again before something else changes, so a long
// line is not walked at each end.
void Scheduler::Core::let_in_of(AccountIndex account) {
  Amounts together;
  while (true) {
    const auto line = over_quota.find(account);
    if (line == over_quota.end() || line->second.next.empty()) return;
    auto& session = sessions.at(line->second.next.begin()->session);
    const auto wanted = wanted_by(session);
    if (const auto alone = accounts.excess(session.owners, wanted, pass_at)) {
      const auto lasting = lasting_excess(session);
      if (!lasting && alone->account == account) return;
      leave_quota_line(session);
      join_quota_line(session, lasting ? *lasting : *alone,
                      lasting.has_value());
      continue;
    }
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
    ease_whole(renewals.begin()->second);
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
  const auto* changed = event.body_as_AccountChanged();
  if (changed && changed->account()->kind() == AccountKind::group)
    group_changed(*changed->account());
  // What an account may hold follows from quotas and the tree of projects.
  const bool other_limits =
      event.body_type() == schema::EventBody::QuotaSet ||
      event.body_type() == schema::EventBody::QuotaRemoved ||
      (changed && changed->account()->kind() == AccountKind::project);
  for (auto& [account, line] : over_quota) {
    if (other_limits) line.next.merge(line.aside);
    eased.insert(account);
  }
}

}  // namespace reeve::cluster

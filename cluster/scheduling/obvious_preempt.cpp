// Who may be told to make room: all sets of sessions are tried.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "cluster/scheduling/obvious_scheduler.hpp"

namespace reeve::cluster {

namespace {

constexpr std::uint64_t retry_ns = 60 * second_ns;

bool cheaper(const auto& a, const auto& b) {
  if (a.priority != b.priority) return a.priority < b.priority;
  return a.lost < b.lost - 1e-6;
}

}  // namespace

// Whether it would not fit if all nodes were idle.
bool ObviousScheduler::stuck(const Session& session) const {
  NaiveCell idle = cell;
  for (auto& [id, other] : idle.sessions) idle.free_all(other);
  return !idle.fits(session);
}

// The head, or the first of a few behind it that is not stuck; null: the rules
// do not tell who that is.
const NaiveCell::Session* ObviousScheduler::hopeful() const {
  const auto* first = head();
  if (!first || policy.backfill == Backfill::none || !stuck(*first))
    return first;
  const auto order = queue();
  if (!order) return nullptr;
  constexpr std::size_t few = 8;
  for (std::size_t i = 0; i < std::min(few, order->size()); ++i) {
    const auto* session = order->at(i);
    if (excused(*session) || in_company(*session)) return nullptr;
    if (!stuck(*session)) return session;
  }
  return first;
}

bool ObviousScheduler::may_go(const Session& victim,
                              const Session& head) const {
  if (victim.standing != Standing::placed) return false;
  if (now.value - victim.started_at.value < policy.preempt_after_ns)
    return false;
  if (victim.asked_at.value != 0 &&
      now.value - victim.asked_at.value < retry_ns)
    return false;
  if (victim.spec.priority != head.spec.priority)
    return victim.spec.priority < head.spec.priority;
  return policy.preemption == MakeRoom::fair;
}

// Whether the head fits without them, and each of its own priority is of a user
// who still holds more than its user then.
bool ObviousScheduler::works(const std::vector<const Session*>& gone,
                             const Session& head) const {
  ObviousScheduler then = *this;
  for (const auto* one : gone)
    then.cell.free_all(then.cell.sessions.at(one->id));
  if (!then.cell.fits(head)) return false;
  const auto gains = then.dominant_share(head.spec.user, nullptr, &head);
  return std::all_of(gone.begin(), gone.end(), [&](const auto* one) {
    return one->spec.priority != head.spec.priority ||
           then.dominant_share(one->spec.user, nullptr, nullptr) > gains;
  });
}

ObviousScheduler::Cost ObviousScheduler::cost(
    const std::vector<const Session*>& gone) const {
  Cost sum;
  for (const auto* one : gone) {
    const auto& spec = one->spec;
    const double size =
        spec.tasks *
        std::max(spec.gpus * spec.gpu_milli / 1000.0, spec.cpu_milli / 16000.0);
    sum.priority = std::max(sum.priority, spec.priority);
    sum.lost += size * static_cast<double>(now.value - one->started_at.value) /
                static_cast<double>(second_ns);
  }
  return sum;
}

// Whether no other set is cheaper, of all that there are.
std::string ObviousScheduler::cheapest(const std::vector<const Session*>& gone,
                                       const Session& head) const {
  std::vector<const Session*> may;
  for (const auto& [id, session] : cell.sessions)
    if (may_go(session, head)) may.push_back(&session);
  for (const auto* one : gone)
    if (std::find(may.begin(), may.end(), one) == may.end())
      return one->name + " may not be asked";
  if (!gone.empty() && !works(gone, head))
    return head.name + " may still not start";
  std::optional<Cost> best;
  std::vector<const Session*> best_set;
  for (std::uint32_t set = 1; set < (1U << may.size()); ++set) {
    std::vector<const Session*> some;
    for (std::size_t i = 0; i < may.size(); ++i)
      if (set >> i & 1) some.push_back(may[i]);
    const auto of = cost(some);
    if (best && !cheaper(of, *best)) continue;
    if (!works(some, head)) continue;
    best = of;
    best_set = some;
  }
  std::string names;
  for (const auto* one : best_set) names += " " + one->name;
  if (!gone.empty() && (!best || cheaper(*best, cost(gone))))
    return fmt::format("for {} it is cheaper that{} go", head.name, names);
  if (gone.empty() && best && !cell.fits(head))
    return fmt::format("for {} these should go:{}", head.name, names);
  return "";
}

std::string ObviousScheduler::check_victims(
    const std::vector<Preemption>& told) {
  std::vector<const Session*> gone;
  for (const auto& one : told)
    gone.push_back(&cell.sessions.at(one.session.value));
  const auto* first = head();
  const bool asked_just_now = first && asked_for_ == first->id &&
                              now.value - asked_at_.value < retry_ns;
  if (policy.preemption == MakeRoom::off || asked_just_now)
    return told.empty() ? "" : "nobody should make room";
  if (first) {
    asked_for_ = first->id;
    asked_at_ = now;
  }
  if (const auto* one = hopeful(); one && !in_company(*one)) {
    auto wrong = cheapest(gone, *one);
    if (!wrong.empty()) return wrong;
  }
  for (const auto* one : gone) cell.sessions.at(one->id).asked_at = now;
  if (!told.empty()) kept_for_ = told[0].for_session.value;
  return "";
}

}  // namespace reeve::cluster

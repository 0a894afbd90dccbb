#include "cluster/scheduling/obvious_scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace reeve::cluster {

namespace {

constexpr std::uint64_t overdue_ns = 60 * second_ns;
constexpr std::uint64_t no_length = UINT64_MAX;

const std::string& name(const NaiveCell::Session& session) {
  return session.name;
}

}  // namespace

// ---- what happens

void ObviousScheduler::submit(std::uint64_t id, const TestSession& spec) {
  cell.submit(id, spec);
  auto& session = cell.sessions.at(id);
  session.submitted_at = now;
  estimate(session);
}

// Of sessions without a name those of one user are alike.
void ObviousScheduler::estimate(Session& session) const {
  const auto& spec = session.spec;
  session.length_ns = spec.time_limit_ns == 0 ? no_length : spec.time_limit_ns;
  const auto it = lengths_.find(spec.user);
  if (policy.estimates != EstimateSource::history || it == lengths_.end())
    return;
  const auto& took = it->second;
  const auto last = took.back();
  const auto other = took.size() > 1 ? took[took.size() - 2] : last;
  session.length_ns = std::min(session.length_ns, last / 2 + other / 2);
}

void ObviousScheduler::exit(std::uint64_t id, std::uint32_t rank) {
  auto& session = cell.sessions.at(id);
  const auto& spec = session.spec;
  if (!session.exited[rank])
    used_.push_back({spec.user, spec.project, weighted(spec) / spec.tasks,
                     session.started_at, now});
  cell.free_task(session, rank);
}

void ObviousScheduler::requeue(std::uint64_t id) {
  auto& session = cell.sessions.at(id);
  for (std::uint32_t i = 0; i < session.tasks.size(); ++i) exit(id, i);
  session.tasks.clear();
  session.exited.clear();
  session.standing = Standing::waiting;
  session.asked_at = {};
  ++session.attempt;
  estimate(session);
}

void ObviousScheduler::end(std::uint64_t id, bool succeeded) {
  auto& session = cell.sessions.at(id);
  if (succeeded && !session.tasks.empty() && now > session.started_at)
    lengths_[session.spec.user].push_back(now.value - session.started_at.value);
  requeue(id);
  cell.sessions.erase(id);
}

// ---- questions

std::vector<const NaiveCell::Session*> ObviousScheduler::waiting() const {
  std::vector<const Session*> found;
  for (const auto& [id, session] : cell.sessions)
    if (session.standing == Standing::waiting) found.push_back(&session);
  return found;
}

std::optional<std::vector<const NaiveCell::Session*>> ObviousScheduler::queue()
    const {
  std::vector<const Session*> left;
  for (const auto* session : waiting())
    if (may_start(*session)) left.push_back(session);
  std::vector<const Session*> order;
  while (!left.empty()) {
    const auto first =
        std::find_if(left.begin(), left.end(), [&](const auto* one) {
          return std::all_of(left.begin(), left.end(), [&](const auto* other) {
            return one == other || before(*one, *other);
          });
        });
    if (first == left.end()) return std::nullopt;
    order.push_back(*first);
    left.erase(first);
  }
  return order;
}

const NaiveCell::Session* ObviousScheduler::head() const {
  const Session* found = nullptr;
  for (const auto* session : waiting()) {
    if (!may_start(*session)) continue;
    if (!found || before(*session, *found)) found = session;
  }
  if (!found || excused(*found)) return nullptr;
  for (const auto* session : waiting())
    if (session != found && may_start(*session) && !before(*found, *session))
      return nullptr;
  return found;
}

// What runs longer than estimated is expected to end in a minute.
Time ObviousScheduler::end_of(const Session& session) const {
  if (session.length_ns == no_length) return Time{no_length};
  const Time at{session.started_at.value + session.length_ns};
  return at < now ? Time{now.value + overdue_ns} : at;
}

bool ObviousScheduler::overdue() const {
  return std::any_of(
      cell.sessions.begin(), cell.sessions.end(), [this](const auto& one) {
        const auto& session = one.second;
        return !session.tasks.empty() && session.length_ns != no_length &&
               session.started_at.value + session.length_ns < now.value;
      });
}

// The cell when what runs has ended as estimated.
NaiveCell ObviousScheduler::at(Time time) const {
  NaiveCell then = cell;
  for (auto& [id, session] : then.sessions)
    if (!session.tasks.empty() && end_of(session) <= time)
      then.free_all(session);
  return then;
}

Time ObviousScheduler::earliest(const Session& session) const {
  std::set<Time> ends;
  for (const auto& [id, other] : cell.sessions)
    if (!other.tasks.empty() && end_of(other).value != no_length)
      ends.insert(end_of(other));
  for (const auto end : ends)
    if (at(end).fits(session)) return end;
  return Time{};
}

std::vector<std::pair<std::uint64_t, Time>> ObviousScheduler::profile() const {
  struct Block {
    Time from;
    Time to;
    std::uint32_t cpu_milli = 0;
    std::uint64_t memory_bytes = 0;
  };
  std::vector<Block> blocks;
  const auto block = [&](const Session& session, Time from, Time to) {
    const auto& spec = session.spec;
    for (std::uint32_t i = 0; i < spec.tasks; ++i)
      if (session.tasks.empty() || !session.exited[i])
        blocks.push_back({from, to, spec.cpu_milli, spec.memory_bytes});
  };
  for (const auto& [id, session] : cell.sessions)
    if (!session.tasks.empty()) block(session, now, end_of(session));
  const auto& node = cell.nodes.begin()->second.spec;
  const auto room_at = [&](Time time, const TestSession& spec) {
    std::uint64_t cpu = std::uint64_t{spec.tasks} * spec.cpu_milli;
    std::uint64_t memory = spec.tasks * spec.memory_bytes;
    for (const auto& one : blocks)
      if (one.from <= time && time < one.to) {
        cpu += one.cpu_milli;
        memory += one.memory_bytes;
      }
    return cpu <= node.cpu_milli && memory <= node.memory_bytes;
  };
  std::vector<std::pair<std::uint64_t, Time>> starts;
  for (const auto* session : queue().value_or(std::vector<const Session*>{})) {
    std::set<Time> moments;
    for (const auto& one : blocks) moments.insert({one.from, one.to});
    moments.erase(Time{no_length});
    const auto fits_from = [&](Time from) {
      if (!room_at(from, session->spec)) return false;
      const auto to = session->length_ns == no_length
                          ? no_length
                          : from.value + session->length_ns;
      return std::all_of(moments.begin(), moments.end(), [&](Time moment) {
        return moment <= from || moment.value >= to ||
               room_at(moment, session->spec);
      });
    };
    const auto found = std::find_if(moments.begin(), moments.end(), fits_from);
    if (found == moments.end()) break;
    starts.emplace_back(session->id, *found);
    block(*session, *found,
          Time{session->length_ns == no_length
                   ? no_length
                   : found->value + session->length_ns});
  }
  return starts;
}

// ---- passes

// The head may have waited so long that nodes are kept for it.
bool ObviousScheduler::patience_over() const {
  for (const auto* session : waiting())
    if (now.value - session->submitted_at.value >= head_patience_ns)
      return true;
  return false;
}

// Whether the head's place at `start` stays, wherever it is, when the session
// starts now. Only asked where all free devices are alike.
bool ObviousScheduler::fits_beside(const Session& session, const Session& head,
                                   Time start) const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, node] : cell.nodes)
    if (NaiveCell::usable(node, head.spec)) numbers.push_back(number);
  const auto then = at(start);
  std::vector<std::uint32_t> counts(numbers.size());
  const auto takes = [&](NaiveCell from) {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      for (std::uint32_t k = 0; k < counts[i]; ++k)
        if (!NaiveCell::put(from.nodes.at(numbers[i]), head.spec)) return false;
    return true;
  };
  const auto beside = [&] {
    for (const auto& [number, node] : cell.nodes) {
      if (!cell.allowed(node, session)) continue;
      if (cell.room(node, session.spec) == 0) continue;
      auto later = then;
      if (NaiveCell::put(later.nodes.at(number), session.spec) && takes(later))
        return true;
    }
    return false;
  };
  const auto whole = [&] {
    std::uint32_t sum = 0;
    std::uint32_t used = 0;
    std::uint32_t most = 0;
    std::uint32_t least = UINT32_MAX;
    for (const auto count : counts) {
      sum += count;
      if (count == 0) continue;
      ++used;
      most = std::max(most, count);
      least = std::min(least, count);
    }
    if (sum != head.spec.tasks) return false;
    return head.spec.nodes == 0 ||
           (used == head.spec.nodes && most - least <= 1);
  };
  // All ways to part the tasks among the nodes.
  while (true) {
    if (whole() && takes(then) && !beside()) return false;
    std::size_t i = 0;
    while (i < counts.size() && counts[i] == head.spec.tasks) counts[i++] = 0;
    if (i == counts.size()) return true;
    ++counts[i];
  }
}

// Whether nothing that is promised to others can keep it from starting now.
bool ObviousScheduler::must_start(const Session& session) const {
  if (!may_start(session) || excused(session) || !cell.fits(session))
    return false;
  if (kept_for_ != 0 && kept_for_ != session.id) return false;
  const auto* first = head();
  if (policy.backfill == Backfill::none) return first == &session;
  if (first == &session) return true;
  if (policy.backfill == Backfill::greedy) return !patience_over();
  if (!first) return false;
  const auto end = session.length_ns == no_length
                       ? Time{no_length}
                       : Time{now.value + session.length_ns};
  const auto start = earliest(*first);
  if (start.value == 0) return false;
  if (policy.backfill == Backfill::conservative) {
    // No place is kept before something ends.
    Time next{no_length};
    for (const auto& [id, other] : cell.sessions)
      if (!other.tasks.empty()) next = std::min(next, end_of(other));
    return next.value != no_length && end <= next;
  }
  if (end <= start) return true;
  const auto plain = [](const TestSession& spec) {
    return spec.gpu_models.empty() &&
           (spec.gpus == 0 || spec.gpu_milli == 1000);
  };
  return plain(session.spec) && plain(first->spec) && session.spec.tasks == 1 &&
         first->spec.within.empty() && fits_beside(session, *first, start);
}

// Who should have come before the one that starts next.
std::string ObviousScheduler::should_be_first(const Session& started) const {
  // Nodes kept out of patience, and what is kept for one whose account became
  // full in this pass, stay so until its end.
  if (policy.planned() && patience_over()) return "";
  for (const auto id : could_start_)
    if (cell.sessions.at(id).standing == Standing::waiting &&
        !may_start(cell.sessions.at(id)) && policy.planned())
      return "";
  for (const auto* other : waiting()) {
    if (other == &started || !may_start(*other) || excused(*other)) continue;
    if (!before(*other, started)) continue;
    if (policy.backfill == Backfill::none)
      return fmt::format("{} passes {}", name(started), name(*other));
    if (must_start(*other))
      return fmt::format("{} starts before {}, which fits", name(started),
                         name(*other));
  }
  return "";
}

std::string ObviousScheduler::should_have_started() const {
  for (const auto* session : waiting())
    if (must_start(*session))
      return fmt::format("{} fits and does not start", name(*session));
  return "";
}

std::string ObviousScheduler::start(const Proposal& proposal) {
  const auto it = cell.sessions.find(proposal.session.value);
  if (it == cell.sessions.end()) return "it is not there";
  auto& session = it->second;
  if (session.standing != Standing::waiting) return "it does not wait";
  if (over_quota(session)) return "it is over its quota";
  if (array_full(session)) return "its array is full";
  if (auto wrong = should_be_first(session); !wrong.empty()) return wrong;
  if (auto wrong = check_place(proposal); !wrong.empty()) return wrong;
  const auto* first = head();
  const bool passes = policy.planned() && first && first != &session &&
                      !in_company(*first) && session.spec.reservation.empty();
  const auto promised = passes ? earliest(*first) : Time{};
  if (auto wrong = cell.take(proposal); !wrong.empty()) return wrong;
  session.started_at = now;
  if (session.id == kept_for_) kept_for_ = 0;
  if (promised.value == 0) return "";
  const auto delayed = earliest(*first);
  if (delayed.value != 0 && delayed <= promised) return "";
  return fmt::format("it makes {} later", name(*first));
}

std::string ObviousScheduler::check_pass(
    const std::vector<Proposal>& proposals) {
  if (!cell.sessions.contains(kept_for_)) kept_for_ = 0;
  could_start_.clear();
  for (const auto* session : waiting())
    if (may_start(*session)) could_start_.push_back(session->id);
  for (const auto& proposal : proposals) {
    const auto wrong = start(proposal);
    if (!wrong.empty())
      return fmt::format("{} starts: {}",
                         name(cell.sessions.at(proposal.session.value)), wrong);
  }
  return should_have_started();
}

// ---- promises

// A plan for many is made again only after several changes; until then it may
// be later than need be.
bool ObviousScheduler::may_be_old() const {
  constexpr std::size_t few = 4;
  return policy.backfill == Backfill::conservative && waiting().size() > few;
}

// The first in the queue starts as early as anything could be.
std::string ObviousScheduler::check_earliest(const Told& told) const {
  const auto* first = head();
  if (!first || cell.fits(*first) || in_company(*first)) return "";
  const auto expected = earliest(*first);
  const auto start = told(first->id);
  if (expected == start || (may_be_old() && start > expected)) return "";
  return fmt::format("{} is to start at {}, it could at {}", name(*first),
                     start.value / second_ns, expected.value / second_ns);
}

// On one node the places of all that wait follow from their order.
std::string ObviousScheduler::check_profile(const Told& told) const {
  if (policy.backfill != Backfill::conservative || cell.nodes.size() != 1 ||
      !cell.nodes.begin()->second.devices.empty() ||
      cell.nodes.begin()->second.away)
    return "";
  for (const auto* session : waiting())
    if (!may_start(*session) || excused(*session) || session->spec.nodes > 1 ||
        session->spec.gpus > 0 || in_company(*session) ||
        !NaiveCell::usable(cell.nodes.begin()->second, session->spec))
      return "";
  std::size_t place = 0;
  for (const auto& [id, expected] : profile()) {
    if (++place > policy.depth) break;
    const auto start = told(id);
    if (start != expected && !(may_be_old() && start > expected))
      return fmt::format("{} is to start at {}, it could at {}",
                         name(cell.sessions.at(id)), start.value / second_ns,
                         expected.value / second_ns);
  }
  return "";
}

// What came behind it makes nobody later.
std::string ObviousScheduler::check_kept(const Told& told) const {
  for (const auto& [id, before_it] : promised_) {
    const auto it = cell.sessions.find(id);
    if (it == cell.sessions.end() || it->second.standing != Standing::waiting)
      continue;
    const auto& session = it->second;
    // What came behind may have taken what its account may hold.
    if (!may_start(session) || in_company(session)) continue;
    const bool overtaken = std::any_of(
        cell.sessions.begin(), cell.sessions.end(), [&](const auto& one) {
          return one.first > promised_id_ && !before(session, one.second);
        });
    if (overtaken) continue;
    const auto start = told(id);
    if (start.value == 0 || start > before_it)
      return fmt::format("{} was to start at {}, now at {}", name(session),
                         before_it.value / second_ns, start.value / second_ns);
  }
  return "";
}

std::string ObviousScheduler::check_promises(const Told& told) {
  if (overdue() || kept_for_ != 0) {
    promised_.clear();
    return "";
  }
  auto wrong = check_earliest(told);
  if (wrong.empty()) wrong = check_profile(told);
  if (wrong.empty() && !policy.by_account()) wrong = check_kept(told);
  if (!wrong.empty()) return wrong;
  promised_.clear();
  for (const auto* session : waiting())
    if (const auto start = told(session->id); start.value != 0)
      promised_[session->id] = start;
  promised_id_ = cell.sessions.empty() ? 0 : cell.sessions.rbegin()->first;
  return "";
}

}  // namespace reeve::cluster

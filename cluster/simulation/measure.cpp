#include "cluster/simulation/measure.hpp"

#include <algorithm>

namespace reeve::cluster::simulation {

namespace {

// Shorter sessions count as if they had run so long: a wait of a second before
// a run of a millisecond is no thousandfold slowdown (Feitelson et al.,
// "Theory and practice in parallel job scheduling", 1997).
constexpr std::uint64_t short_run_ns = 10 * second_ns;

std::uint64_t between(Time from, Time to) {
  return to > from ? to.value - from.value : 0;
}

double slowdown_of(std::uint64_t wait_ns, std::uint64_t run_ns) {
  const auto whole = static_cast<double>(wait_ns) + static_cast<double>(run_ns);
  return std::max(1.0,
                  whole / static_cast<double>(std::max(run_ns, short_run_ns)));
}

// (sum x)^2 / (n sum x^2): 1 when all are equal, 1/n when one has it all
// (Jain, Chiu, Hawe, 1984).
double jain(const std::vector<UserFigures>& users) {
  double sum = 0, squares = 0, count = 0;
  for (const auto& user : users) {
    if (user.slowdown == 0) continue;
    sum += user.slowdown;
    squares += user.slowdown * user.slowdown;
    ++count;
  }
  return squares > 0 ? sum * sum / (count * squares) : 1;
}

struct Gathered {
  std::vector<std::uint64_t> waits;
  std::vector<std::uint64_t> completions;
  double slowdowns = 0;
  std::uint64_t slowdown_count = 0;
  std::uint64_t sessions = 0;

  double slowdown() const {
    return slowdown_count == 0
               ? 0
               : slowdowns / static_cast<double>(slowdown_count);
  }
};

Distribution of_largest_gangs(const Workload& work,
                              const std::vector<std::uint64_t>& waited) {
  std::vector<std::pair<std::uint64_t, std::size_t>> gangs;
  for (std::size_t i = 0; i < waited.size(); ++i) {
    const Request& request = work.requests[work.sessions[i].request];
    if (waited[i] == not_counted || request.tasks < 2) continue;
    const std::uint64_t size =
        request.gpus > 0
            ? std::uint64_t{request.gpus} * request.gpu_milli * request.tasks
            : std::uint64_t{request.cpu_milli} * request.tasks;
    gangs.emplace_back(size, i);
  }
  std::sort(gangs.begin(), gangs.end(), [](const auto& a, const auto& b) {
    return std::pair(b.first, a.second) < std::pair(a.first, b.second);
  });
  gangs.resize((gangs.size() + 9) / 10);
  std::vector<std::uint64_t> of_gangs;
  for (const auto& [size, i] : gangs) of_gangs.push_back(waited[i]);
  return distribution_of(std::move(of_gangs));
}

}  // namespace

Distribution distribution_of(std::vector<std::uint64_t> values) {
  Distribution out;
  out.count = values.size();
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const auto value : values) sum += static_cast<double>(value);
  out.mean_ns = sum / static_cast<double>(values.size());
  const auto at = [&](std::uint64_t hundredths) {
    return values[(values.size() * hundredths + 99) / 100 - 1];
  };
  out.p50_ns = at(50);
  out.p95_ns = at(95);
  out.p99_ns = at(99);
  out.max_ns = values.back();
  return out;
}

std::vector<Time> eligible_times(const Workload& work,
                                 const std::vector<Outcome>& outcomes) {
  const bool any_waits =
      std::any_of(work.sessions.begin(), work.sessions.end(),
                  [](const Session& one) { return !one.after.empty(); });
  boost::unordered_flat_map<std::uint64_t, std::size_t> place;
  for (std::size_t i = 0; any_waits && i < work.sessions.size(); ++i)
    place.emplace(work.sessions[i].id.value, i);
  std::vector<Time> out;
  out.reserve(work.sessions.size());
  for (const Session& session : work.sessions) {
    Time at = std::max(session.submitted_at, session.not_before);
    for (const auto& dependency : session.after) {
      const auto other = place.find(dependency.session());
      if (other == place.end()) continue;
      const Time ended = outcomes[other->second].ended_at;
      if (ended.value == 0) {
        at = Time{};
        break;
      }
      at = std::max(at, ended);
    }
    out.push_back(at);
  }
  return out;
}

std::vector<std::uint64_t> waits(const Workload& work,
                                 const std::vector<Outcome>& outcomes,
                                 Time until) {
  const auto eligible = eligible_times(work, outcomes);
  std::vector<std::uint64_t> out(work.sessions.size(), not_counted);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    if (!work.sessions[i].counted || eligible[i].value == 0 ||
        outcome.fate == Outcome::Fate::refused)
      continue;
    const bool started = outcome.started_at.value > 0;
    if (!started && eligible[i] > until) continue;
    out[i] = between(eligible[i], started ? outcome.started_at : until);
  }
  return out;
}

std::vector<double> waiting_series(const Workload& work,
                                   const std::vector<Outcome>& outcomes,
                                   Time until, std::uint64_t piece_ns) {
  const std::uint64_t length = between(work.from, until);
  std::vector<double> out((length + piece_ns - 1) / piece_ns);
  const auto eligible = eligible_times(work, outcomes);
  const auto waited = waits(work, outcomes, until);
  for (std::size_t i = 0; i < waited.size(); ++i) {
    if (waited[i] == not_counted) continue;
    std::uint64_t at = between(work.from, eligible[i]);
    const std::uint64_t end = std::min(
        length, between(work.from, Time{eligible[i].value + waited[i]}));
    while (at < end) {
      const std::uint64_t piece = at / piece_ns;
      const std::uint64_t until_ns = std::min(end, (piece + 1) * piece_ns);
      out[piece] +=
          static_cast<double>(until_ns - at) / static_cast<double>(piece_ns);
      at = until_ns;
    }
  }
  return out;
}

Figures measure(const Workload& work, const std::vector<Outcome>& outcomes,
                Time until) {
  Figures out;
  Gathered all;
  std::vector<Gathered> by_user(work.users.all().size());
  const auto waited = waits(work, outcomes, until);
  for (std::size_t i = 0; i < waited.size(); ++i) {
    const Session& session = work.sessions[i];
    const Outcome& outcome = outcomes[i];
    if (!session.counted) continue;
    out.last_end = std::max(out.last_end, outcome.ended_at);
    ++out.sessions;
    out.started += outcome.started_at.value > 0;
    out.ended += outcome.fate == Outcome::Fate::ended;
    out.refused += outcome.fate == Outcome::Fate::refused;
    out.requeues += outcome.attempts > 1 ? outcome.attempts - 1 : 0;
    Gathered& user = by_user[session.user];
    ++user.sessions;
    if (waited[i] == not_counted) continue;
    out.waiting_still += outcome.started_at.value == 0;
    for (Gathered* to : {&all, &user}) {
      to->waits.push_back(waited[i]);
      if (outcome.fate != Outcome::Fate::ended || session.cut) continue;
      to->completions.push_back(
          between(session.submitted_at, outcome.ended_at));
      to->slowdowns += slowdown_of(waited[i], session.duration_ns);
      ++to->slowdown_count;
    }
  }
  out.waiting = distribution_of(std::move(all.waits));
  out.completion = distribution_of(std::move(all.completions));
  out.slowdown = all.slowdown();
  out.gang_waiting = of_largest_gangs(work, waited);
  for (std::uint32_t user = 0; user < by_user.size(); ++user) {
    Gathered& one = by_user[user];
    if (one.sessions == 0) continue;
    out.users.push_back(
        {user, one.sessions, distribution_of(std::move(one.waits)),
         distribution_of(std::move(one.completions)), one.slowdown()});
  }
  out.fairness = jain(out.users);
  return out;
}

}  // namespace reeve::cluster::simulation

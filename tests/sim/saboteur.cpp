// How proposals break a rule.
#include "tests/sim/saboteur.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "cluster/limits.hpp"

namespace reeve::sim {

using cluster::Preemption;
using cluster::Proposal;
using cluster::State;

namespace {

// What the manager refuses by itself, and words of its refusal.
struct Rule {
  Bug bug;
  const char* words;
};
constexpr Rule rules[] = {
    {Bug::constraint_ignored, "does not satisfy"},
    {Bug::within_ignored, "is not within one"},
    {Bug::reservation_ignored, "keeps node"},
    {Bug::reservation_left, "in its reservation"},
    {Bug::quota_ignored, "may have"},
    {Bug::gpu_time_ignored, "may use"},
    {Bug::full_ignored, "has no"},
    {Bug::gone_ignored, "is not offered"},
    {Bug::wait_ignored, "may not start yet"},
    {Bug::after_ignored, "has not ended so"},
    {Bug::gang_cut, "are wanted"},
};

// Of those that wait so many are looked at.
constexpr std::size_t looks_max = 20;

std::string text_of(const cluster::Rejection& rejection) {
  return std::string(rejection.rule) + ": " + rejection.text;
}

// Of the manager; empty: it sees nothing.
std::string refusal(const State& known, Time now, const Proposal& proposal) {
  cluster::EventWriter writer(Sequence{1}, Epoch{1});
  const auto decision =
      cluster::decide_place_checked(known, proposal, {now, {}, {}}, writer);
  return decision ? std::string() : text_of(decision.error());
}

bool contains(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

bool proposes(const std::vector<Proposal>& proposals, SessionId session) {
  return std::any_of(
      proposals.begin(), proposals.end(),
      [&](const Proposal& one) { return one.session == session; });
}

// A place for all tasks where there is room, from this node on; none: nothing
// fits.
Proposal fill(const State& known, const Ask& ask, std::size_t from,
              const std::vector<Proposal>& beside) {
  Rooms rooms = rooms_of(known);
  for (const Proposal& one : beside) {
    const Ask other(known, *known.session(one.session));
    for (const auto& task : one.tasks) {
      Room& room = rooms.at(task.node.value);
      // Some are for devices that are not there: they will be refused.
      const bool there = std::all_of(
          task.devices.begin(), task.devices.end(), [&](const auto& grant) {
            return grant.device < room.devices.size();
          });
      if (there) room.take(other, task.devices);
    }
  }
  Proposal proposal{ask.session->id, ask.session->attempt, {}};
  const std::size_t nodes = known.nodes().size();
  for (std::size_t i = 0; i < nodes; ++i) {
    const auto& node = known.nodes()[(from + i) % nodes];
    if (!node.offered() || node.simulated != ask.session->simulated) continue;
    while (proposal.tasks.size() < ask.session->tasks_wanted) {
      auto devices = rooms.at(node.id.value).put(ask);
      if (!devices) break;
      proposal.tasks.push_back({node.id, std::move(*devices)});
    }
  }
  if (proposal.tasks.size() < ask.session->tasks_wanted) proposal.tasks = {};
  return proposal;
}

bool holds(const cluster::Session& session) {
  return session.state != cluster::SessionState::pending &&
         !cluster::has_ended(session.state);
}

// Waits and may start, as far as the session alone tells.
bool may_start(const cluster::Session& session, Time now) {
  return session.state == cluster::SessionState::pending && !session.depends &&
         session.not_before <= now;
}

// How many of the tasks are on nodes of others with the same word; nothing:
// there are no others, or no word of nodes.
std::optional<std::size_t> in_company(
    const State& known, const Proposal& proposal,
    std::string_view cluster::Spec::*word_of) {
  const auto spec = known.spec(*known.session(proposal.session));
  const std::string_view word = spec.*word_of;
  if (word.empty() || word.find('@') != word.npos) return std::nullopt;
  std::set<NodeId> nodes;
  known.visit_sessions(SessionId{}, [&](const cluster::Session& other) {
    if (!holds(other) || known.spec(other).*word_of != word) return true;
    for (const auto& task : other.tasks)
      if (task.phase != cluster::TaskPhase::exited) nodes.insert(task.node);
    return true;
  });
  if (nodes.empty()) return std::nullopt;
  return static_cast<std::size_t>(std::count_if(
      proposal.tasks.begin(), proposal.tasks.end(),
      [&](const auto& task) { return nodes.contains(task.node); }));
}

bool is_with_others(const State& known, const Proposal& proposal) {
  const auto count = in_company(known, proposal, &cluster::Spec::apart);
  return count && *count > 0;
}

bool is_without_others(const State& known, const Proposal& proposal) {
  const auto count = in_company(known, proposal, &cluster::Spec::together);
  return count && *count < proposal.tasks.size();
}

bool is_elsewhere(const State& known, const Proposal& proposal) {
  const auto spec = known.spec(*known.session(proposal.session));
  return !spec.on_node.empty() &&
         known.node(proposal.tasks.back().node)->name != spec.on_node;
}

bool overruns_array(const State& known, const Proposal& proposal) {
  const auto spec = known.spec(*known.session(proposal.session));
  if (spec.array_running_max == 0) return false;
  std::uint32_t holding = 0;
  known.visit_sessions(
      SessionId{spec.array_session}, [&](const cluster::Session& other) {
        if (known.spec(other).array_session != spec.array_session) return false;
        holding += holds(other) ? 1 : 0;
        return true;
      });
  return holding >= spec.array_running_max;
}

// It lasts until a reservation of all of a node begins.
bool ignores_window(const State& known, Time now, const Proposal& proposal) {
  const auto& session = *known.session(proposal.session);
  if (session.time_limit_ns != 0) return false;
  for (const auto& [name, kept] : known.reservations().all()) {
    const auto window = kept.window_at(now);
    if (!window || window->from <= now || !kept.devices.empty() ||
        window->from.value > now.value + cluster::running_ns_max ||
        known.spec(session).reservation == name)
      continue;
    for (const auto& task : proposal.tasks)
      if (kept.covers(known.node(task.node)->name)) return true;
  }
  return false;
}

}  // namespace

Saboteur::Saboteur(const PlantedBug& planted)
    : planted_(planted), refused_(std::size(rules)) {}

bool Saboteur::refuses(const cluster::Rejection& rejection) {
  for (std::size_t i = 0; i < std::size(rules); ++i) {
    if (!contains(text_of(rejection), rules[i].words)) continue;
    ++refused_[i];
    if (planted_.unchecked && planted_.bug == rules[i].bug) return false;
  }
  return true;
}

std::string Saboteur::unrefused() const {
  std::string words;
  for (std::size_t i = 0; i < std::size(rules); ++i)
    if (refused_[i] == 0) words += std::string(" '") + rules[i].words + "'";
  return words;
}

// ---- proposals

bool Saboteur::keeps_shape(const State& known, const Proposal& proposal) const {
  const auto spec = known.spec(*known.session(proposal.session));
  std::set<NodeId> nodes;
  for (const auto& task : proposal.tasks) {
    nodes.insert(task.node);
    if (!is(Bug::node_ignored) && !spec.on_node.empty() &&
        known.node(task.node)->name != spec.on_node)
      return false;
  }
  // Those over several nodes: as many as tasks, so that they are even.
  return spec.nodes == 0 || (nodes.size() == spec.nodes &&
                             (spec.nodes == 1 || spec.nodes == spec.tasks));
}

Saboteur::Wrong Saboteur::breaks(const State& known, Time now,
                                 const char* rule) const {
  return [this, &known, now, rule](const Proposal& proposal) {
    return keeps_shape(known, proposal) &&
           contains(refusal(known, now, proposal), rule);
  };
}

Saboteur::Wrong Saboteur::passes(const State& known, Time now,
                                 Wrong test) const {
  return [this, &known, now, test = std::move(test)](const Proposal& one) {
    return keeps_shape(known, one) && test(one) &&
           refusal(known, now, one).empty();
  };
}

bool Saboteur::break_rule(const State& known, Time now, Bug bug,
                          const char* words, Proposals& proposals) {
  if (bug == Bug::gang_cut) return cut_gang(proposals);
  const Wrong wrong = breaks(known, now, words);
  return move_one(known, wrong, proposals) || add_one(known, wrong, proposals);
}

// The one that was refused the least, or else the next.
void Saboteur::break_any(const State& known, Time now, Proposals& proposals) {
  const auto least = std::min_element(refused_.begin(), refused_.end());
  for (const auto at : {static_cast<std::size_t>(least - refused_.begin()),
                        ++passes_ % std::size(rules)})
    if (break_rule(known, now, rules[at].bug, rules[at].words, proposals))
      return;
}

// One task of a proposal to another node.
bool Saboteur::move_one(const State& known, const Wrong& wrong,
                        Proposals& proposals) {
  for (Proposal& proposal : proposals) {
    if (!known.session(proposal.session)) continue;
    for (const auto& node : known.nodes()) {
      Proposal moved = proposal;
      moved.tasks.back().node = node.id;
      if (!wrong(moved)) continue;
      proposal = std::move(moved);
      return true;
    }
  }
  return false;
}

// A place for one that is to wait.
bool Saboteur::add_one(const State& known, const Wrong& wrong,
                       Proposals& proposals) {
  bool added = false;
  std::size_t looks = 0;
  const Proposals others = beside(proposals);
  known.visit_sessions(SessionId{}, [&](const Session& session) {
    if (session.state != cluster::SessionState::pending ||
        proposes(others, session.id))
      return true;
    const Ask ask(known, session);
    for (std::size_t from = 0; from < known.nodes().size(); ++from) {
      Proposal proposal = fill(known, ask, from, others);
      if (proposal.tasks.empty()) break;
      if (!wrong(proposal)) continue;
      proposals.push_back(std::move(proposal));
      added = true;
      break;
    }
    return !added && ++looks < looks_max;
  });
  return added;
}

bool Saboteur::cut_gang(Proposals& proposals) {
  for (Proposal& proposal : proposals) {
    if (proposal.tasks.size() == 1) continue;
    proposal.tasks.pop_back();
    return true;
  }
  return false;
}

void Saboteur::gather_gang(const State& known, Time now,
                           Proposals& proposals) const {
  if (!known.reservations().all().empty()) return;
  for (Proposal& proposal : proposals) {
    const auto* session = known.session(proposal.session);
    if (!session || known.spec(*session).nodes < 2) continue;
    const Ask ask(known, *session);
    if (ask.is_tied()) continue;
    Proposals others = beside(proposals);
    std::erase_if(others, [&](const Proposal& other) {
      return other.session == session->id;
    });
    for (std::size_t from = 0; from < known.nodes().size(); ++from) {
      auto filled = fill(known, ask, from, others);
      if (filled.tasks.empty()) break;
      const bool gathered = std::all_of(
          filled.tasks.begin(), filled.tasks.end(), [&](const auto& task) {
            return task.node == filled.tasks.front().node;
          });
      if (!gathered || !refusal(known, now, filled).empty()) continue;
      proposal = std::move(filled);
      return;
    }
  }
}

// It stays proposed for ever.
void Saboteur::forget(Proposals& proposals) {
  std::erase_if(proposals, [](const Proposal& proposal) {
    return proposal.session.value % 4 == 0;
  });
}

void Saboteur::cut_devices(Proposals& proposals) {
  for (Proposal& proposal : proposals)
    if (auto& devices = proposal.tasks.back().devices; !devices.empty())
      return devices.pop_back();
}

// Those at the end of the queue start wherever there is room.
void Saboteur::pass_first(const State& known, Time now,
                          Proposals& proposals) const {
  if (!known.reservations().all().empty()) return;
  std::vector<const Session*> queue;
  known.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!may_start(session, now) || proposes(beside(proposals), session.id))
      return true;
    const Ask ask(known, session);
    if (!ask.is_tied() && ask.spec.array_running_max == 0)
      queue.push_back(&session);
    return true;
  });
  std::stable_sort(
      queue.begin(), queue.end(),
      [](const auto* a, const auto* b) { return a->priority > b->priority; });
  for (std::size_t i = queue.size(); i-- > 1;) {
    if (queue[i]->simulated != queue[0]->simulated) continue;
    auto proposal = fill(known, Ask(known, *queue[i]), 0, beside(proposals));
    if (proposal.tasks.empty() || !keeps_shape(known, proposal) ||
        !refusal(known, now, proposal).empty())
      continue;
    proposals.push_back(std::move(proposal));
    if (!is(Bug::patience_ignored)) return;
  }
}

// One in the place of the first, which waits.
void Saboteur::take_turn(const State& known, Time now,
                         Proposals& proposals) const {
  if (proposals.empty()) return;
  Proposals others(proposals.begin() + 1, proposals.end());
  pass_first(known, now, others);
  if (others.size() < proposals.size()) return;
  proposals = {std::move(others.back())};
}

// ---- what is on its way

void Saboteur::forget_decided(const State& known, Time now) {
  std::erase_if(open_, [&](const Open& open) {
    const auto* session = known.session(open.proposal.session);
    return !session || session->attempt != open.proposal.attempt ||
           session->state != cluster::SessionState::pending ||
           open.at.value + 60 * second_ns < now.value;
  });
}

bool Saboteur::is_open(SessionId session) const {
  return std::any_of(open_.begin(), open_.end(), [&](const Open& open) {
    return open.proposal.session == session;
  });
}

// These and what was proposed before.
Saboteur::Proposals Saboteur::beside(const Proposals& proposals) const {
  Proposals all = proposals;
  for (const Open& open : open_) all.push_back(open.proposal);
  return all;
}

void Saboteur::alter(const State& known, Time now,
                     std::vector<Proposal>& proposals) {
  forget_decided(known, now);
  const auto policy = policy_of(known, cluster::default_group);
  using Test = bool (*)(const State&, const Proposal&);
  const auto wrong = [&](Test test) {
    return passes(known, now, [&known, test](const Proposal& one) {
      return test(known, one);
    });
  };
  switch (planted_.bug) {
    case Bug::any_refused: break_any(known, now, proposals); break;
    case Bug::gang_cut: cut_gang(proposals); break;
    case Bug::gang_gathered: gather_gang(known, now, proposals); break;
    case Bug::device_ignored: cut_devices(proposals); break;
    case Bug::first_forgotten: forget(proposals); break;
    case Bug::turn_ignored: take_turn(known, now, proposals); break;
    case Bug::none_passed:
      if (policy.backfill == cluster::Backfill::none)
        pass_first(known, now, proposals);
      break;
    case Bug::head_delayed:
      if (policy.planned()) pass_first(known, now, proposals);
      break;
    case Bug::patience_ignored:
      if (policy.backfill == cluster::Backfill::greedy &&
          policy.preemption == cluster::MakeRoom::off)
        pass_first(known, now, proposals);
      break;
    case Bug::apart_ignored:
      add_one(known, wrong(is_with_others), proposals);
      break;
    case Bug::together_ignored:
      if (!move_one(known, wrong(is_without_others), proposals))
        add_one(known, wrong(is_without_others), proposals);
      break;
    case Bug::node_ignored:
      move_one(known, wrong(is_elsewhere), proposals);
      break;
    case Bug::array_overrun:
      add_one(known, wrong(overruns_array), proposals);
      break;
    case Bug::window_ignored:
      add_one(known,
              passes(known, now,
                     [&](const Proposal& one) {
                       return ignores_window(known, now, one);
                     }),
              proposals);
      break;
    default:
      for (const Rule& rule : rules)
        if (is(rule.bug))
          break_rule(known, now, rule.bug, rule.words, proposals);
  }
  for (const Proposal& one : proposals) open_.push_back({one, now});
}

}  // namespace reeve::sim

// Agents: their nodes, what they report, and when they fall silent.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/manager/core.hpp"
#include "actors/manager/messages.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {

namespace {

// Heartbeats come each second. One that comes later than this was late, and
// counts less with each that follows: a third after so many.
constexpr std::uint64_t late_ns_min = 2 * second_ns;
constexpr std::uint64_t late_fades_in = 30;
// A clock that was set by less may have things given up so much too early:
// there is time to spare for that.
constexpr std::uint64_t clock_gap_ns = cluster::cut_off_spare_ns / 2;

}  // namespace

using cluster::Decision;
using cluster::Rejection;

// Whoever reconciled with a list from before one of its nodes was lost, or
// something was given up there, or from another manager, may still run that. A
// list may have been asked for again since, and not have arrived.
bool Core::is_reconciled(const schema::RegisterNodes& command) const {
  const auto agent = agents_.find(schema::text(command.agent()));
  if (!command.reconciled() || !command.boot() || agent == agents_.end())
    return false;
  const schema::Id128& asked = agent->second.boot;
  const bool answers = agent->second.listed &&
                       command.boot()->high() == asked.high() &&
                       command.boot()->low() == asked.low();
  const bool newest = command.newest_epoch() == state_.epoch().value &&
                      command.list() >= agent->second.lost_at.value;
  const bool told = command.list() != 0;
  return answers && (newest || !told);
}

// Where an agent was told more than the log knows, an older copy of the log was
// put in place. Its owner wants it to count, so it is made the newest: the next
// epoch is above all that were obeyed, and no session gets a number that a task
// out there has. What runs and is not in the log ends with the list.
std::optional<Rejection> Core::catch_up(const schema::RegisterNodes& command,
                                        const Origin& origin) {
  const std::uint64_t epoch = state_.epoch().value;
  const std::uint64_t session = state_.next_session().value - 1;
  if (command.newest_epoch() <= epoch && command.newest_session() <= session)
    return std::nullopt;
  // Whoever they follow now may be why.
  if (may_lead_no_more())
    return Rejection{
        schema::RejectCode::try_again, "managers_away",
        fmt::format("agent {} knows of epoch {}, this log ends at epoch {}, "
                    "and {}",
                    schema::text(command.agent()), command.newest_epoch(),
                    epoch, alone_ ? why_alone() : "another manager may lead"),
        0, 0};
  const auto knows = fmt::format(
      "agent {} knows of epoch {} and session s-{}, this log ends "
      "at epoch {} and s-{}: an older copy of it was put in place",
      schema::text(command.agent()), command.newest_epoch(),
      command.newest_session(), epoch, session);
  const std::uint64_t newest_epoch = std::max(command.newest_epoch(), epoch);
  const std::uint64_t newest_session =
      std::max(command.newest_session(), session);
  const std::uint64_t ahead =
      std::max(newest_epoch - epoch, newest_session - session);
  if (ahead > seen_ahead_max)
    return Rejection{schema::RejectCode::over_limit, "seen_ahead_max",
                     knows + ", too old to go on with: restore a newer one",
                     seen_ahead_max, ahead};
  writer_.set_epoch(Epoch{newest_epoch + 1});
  cluster::decide_epoch(manager_, origin, writer_,
                        SessionId{newest_session + 1});
  absorb();
  messages_.push_back(fmt::format(
      "{}. It goes on as epoch {} with s-{}; sessions that only the newer log "
      "knew are gone, and what runs of them is stopped",
      knows, newest_epoch + 1, newest_session + 1));
  return std::nullopt;
}

// Nothing new starts there, and what runs goes on: its end is told when the
// agent is one that is understood. Until then it asks again.
std::optional<Rejection> Core::refuse_agent(
    const schema::RegisterNodes& command, const schema::Protocol* told,
    const Origin& origin) {
  const std::string agent(schema::text(command.agent()));
  const schema::Protocol protocol = cluster::protocol_of(told);
  auto why = cluster::why_apart(options_.program, "agent " + agent,
                                schema::text(command.version()), protocol);
  if (!why) return std::nullopt;
  cluster::decide_refused(state_, agent, *why, origin, writer_);
  absorb();
  if (std::exchange(agents_[agent].refused, *why) != *why)
    messages_.push_back(*why);
  return Rejection{schema::RejectCode::wrong_state, cluster::protocol_rule,
                   *why, options_.program.protocol.number(), protocol.number()};
}

Decision Core::register_nodes(const schema::RegisterNodes& command,
                              const schema::Protocol* told,
                              std::string_view principal, Time now) {
  const std::string agent(schema::text(command.agent()));
  if (principal != "agent-" + agent && principal != state_.owner())
    return tl::unexpected(Rejection{
        schema::RejectCode::forbidden, "agent_foreign",
        std::string(principal) + " does not speak for agent " + agent, 0, 0});
  if (command.nodes()->size() > cluster::nodes_per_command_max)
    return tl::unexpected(
        Rejection{schema::RejectCode::over_limit, "nodes_per_command_max",
                  "too many nodes in one command",
                  cluster::nodes_per_command_max, command.nodes()->size()});
  if (!cluster::valid_version(schema::text(command.version())))
    return tl::unexpected(Rejection{
        schema::RejectCode::malformed, "version_bytes_max",
        fmt::format("a version has at most {} letters, digits, dots, "
                    "pluses, tildes and dashes",
                    cluster::version_bytes_max),
        cluster::version_bytes_max, schema::text(command.version()).size()});
  if (auto no = refuse_agent(command, told, origin(now, principal)))
    return tl::unexpected(std::move(*no));
  const bool reconciled = is_reconciled(command);
  // A simulated node is no program's.
  const auto program_of = [&](const schema::NodeSpec& spec) {
    return spec.simulated() || !told
               ? cluster::AgentProgram{}
               : cluster::AgentProgram{schema::text(command.version()),
                                       told->number()};
  };
  // Tried first, each alone: with a rejection nothing changes.
  for (const auto* spec : *command.nodes()) {
    cluster::EventWriter unused(writer_.next(), writer_.epoch());
    const Decision one = cluster::decide_register(
        state_, agent, *spec, reconciled, origin(now, principal), unused,
        program_of(*spec));
    if (!one) return one;
  }
  if (auto no = catch_up(command, origin(now, principal)))
    return tl::unexpected(std::move(*no));
  cluster::Accepted accepted{state_.last_sequence(), {}};
  bool first = true;
  for (const auto* spec : *command.nodes()) {
    const Decision one = cluster::decide_register(
        state_, agent, *spec, reconciled, origin(now, principal), writer_,
        program_of(*spec));
    if (!one) return one;
    if (std::exchange(first, false)) accepted = *one;
    absorb();
    const auto* node = state_.node(schema::text(spec->name()));
    if (!node || !reconciled) continue;
    cluster::decide_own_tests(*node,
                              {command.test_new(), command.test_quarantined()},
                              origin(now, principal), writer_);
    absorb();
  }
  Agent& known = agents_[agent];
  known.seen = now;
  known.known = true;
  if (command.sent() != 0) known.heard = command.sent();
  known.refused.clear();
  if (!reconciled) {
    if (command.boot()) known.boot = *command.boot();
    known.listed = true;
    want_reconcile(agent);
  }
  return accepted;
}

Decision Core::report_facts(const schema::ReportFacts& command,
                            std::string_view principal, Time now) {
  const std::string_view agent = schema::text(command.agent());
  if (principal != "agent-" + std::string(agent))
    return tl::unexpected(
        Rejection{schema::RejectCode::forbidden, "agent_foreign",
                  std::string(principal) + " does not speak for agent " +
                      std::string(agent),
                  0, 0});
  for (const auto* fact : *command.facts()) {
    ++counters_.facts;
    const auto outcome = cluster::decide_fact(state_, agent, *fact,
                                              origin(now, principal), writer_);
    absorb();
    if (outcome != cluster::FactOutcome::foreign) continue;
    ++counters_.facts_foreign;
    if (fact->kind() == schema::FactKind::started)
      want_stop(agent, {fact->session(), fact->attempt(), fact->rank()},
                cluster::stop_grace_ns);
  }
  hear(agent);
  return cluster::Accepted{state_.last_sequence(), {}};
}

void Core::on_heartbeat(std::string_view agent, Time now, const Beat& beat) {
  now_ = clock_.at(now);
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return;
  Agent& known = found->second;
  if (known.stranger) {
    // It is of another epoch to the agent, which registers for that.
    if (known.doubted && beat.by_leader) tell_heard(found->first, known, 0);
    return;
  }
  const std::uint64_t gap_ns = std::min(
      now_.value - std::min(known.seen, now_).value, options_.heartbeat_ns_max);
  known.late_ns -= known.late_ns / late_fades_in;
  if (known.known && gap_ns > late_ns_min)
    known.late_ns = std::max(known.late_ns, gap_ns);
  if (!std::exchange(known.known, true))
    for (const Session* session : sessions_on(agent)) want_launch(*session);
  hear(agent);
  known.heard = beat.sent;
  if (!started_) return;
  // What was given up with its node must end there, and be known to have: a
  // new list tells it. Until then it is cut off still.
  if (has_lost_node(agent)) {
    if (known.boot.low() != 0 && !std::exchange(known.listed, true))
      want_reconcile(agent);
  } else if (beat.by_leader && beat.tasks > 0) {
    tell_heard(found->first, known, known.heard);
  }
}

// At once: it says nothing of the log, and is needed most while that stands
// still. It names no event and no epoch that could yet be set aside.
void Core::tell_heard(std::string_view name, Agent& agent,
                      std::uint64_t heard) {
  if (durable_ < epoch_at_ || now_ < Time{agent.told.value + heard_order_ns})
    return;
  agent.told = now_;
  ++counters_.orders;
  effects_.push_back(SendOrder{
      std::string(name), encode_heard({state_.epoch(), durable_, heard})});
}

// The longer, the later its heartbeats came of late.
std::uint64_t Core::silence_of(const Agent& agent) const {
  return options_.heartbeat_ns_max +
         std::min(agent.late_ns, options_.heartbeat_ns_max);
}

void Core::hear(std::string_view agent) {
  const auto found = agents_.find(agent);
  if (found != agents_.end()) found->second.seen = now_;
}

// A heartbeat does not tell whose daemon sent it: its agent is judged by its
// commands, one of which comes each minute.
void Core::set_stranger(std::string_view principal, bool stranger) {
  const auto agent = cluster::agent_of(principal);
  if (!agent) return;
  const auto found = agents_.find(*agent);
  if (found == agents_.end()) return;
  found->second.stranger = stranger;
  found->second.doubted = false;
}

// The log does not remember who was removed, nor the names that the settings of
// other managers' hosts give their agents: whose command tells it is heard.
bool Core::is_doubtful(const cluster::Node& node) const {
  return !node.simulated &&
         cluster::check_principal(
             state_,
             cluster::principal_of(cluster::IdentityRole::agent, node.agent),
             options_.local_agents)
             .has_value();
}

bool Core::has_lost_node(std::string_view agent) const {
  const auto nodes = nodes_of(agent);
  return std::any_of(nodes.begin(), nodes.end(), [](const auto* node) {
    return node->lost && !node->simulated;
  });
}

void Core::check_agents(Time now) {
  // Whoever did not listen must not say that others were silent.
  const std::uint64_t gap_ns = now.value - checked_at_.value;
  const bool gap =
      gap_ns > std::min(options_.heartbeat_ns_max / 2, clock_gap_ns);
  const bool deaf = deaf_ || gap;
  // The clock may have been set: what others are sure to have done by then is
  // counted by what has passed for certain.
  if (gap) postpone_giving_up(gap_ns);
  checked_at_ = now;
  for (auto& [name, agent] : agents_) {
    if (deaf) agent.seen = now;
    const std::uint64_t silent_ns =
        now.value > agent.seen.value ? now.value - agent.seen.value : 0;
    const bool silent = silent_ns > silence_of(agent);
    if (silent && !agent.lost) lose_nodes(name, silent_ns, now);
    if (!silent && agent.lost && agent.known) return_simulated(name, now);
    if (silent || agent.known) agent.lost = silent;
  }
}

void Core::lose_nodes(std::string_view agent, std::uint64_t silent_ns,
                      Time now) {
  for (const auto* node : nodes_of(agent)) {
    if (node->lost) continue;
    cluster::decide_node_lost(state_, *node, silent_ns, origin(now), writer_);
    absorb();
  }
}

// On a simulated node nothing is left to reconcile; no agent declares it.
void Core::return_simulated(std::string_view agent, Time now) {
  for (const auto* node : nodes_of(agent)) {
    if (!node->lost || !node->simulated) continue;
    cluster::decide_node_returned(*node, origin(now), writer_);
    absorb();
  }
}

}  // namespace reeve::manager

#include "cluster/project.hpp"

#include <algorithm>

#include "cluster/event_writer.hpp"
#include "cluster/node_spec.hpp"

namespace reeve::cluster {
namespace {

class Teller {
 public:
  Teller(const State& state, const TellBytes& tell)
      : state_(state), tell_(tell), writer_(Sequence{1}, state.epoch()) {}

  void cell() {
    if (state_.cell().empty()) return;
    auto& builder = writer_.builder();
    const auto name = builder.CreateString(state_.cell());
    const auto owner = builder.CreateString(state_.owner());
    say(schema::CreateCellCreated(builder, name, owner), state_.last_time());
  }

  void account(const Account& account) {
    auto& builder = writer_.builder();
    const auto spec = build_account(builder, state_.accounts(), account, true);
    say(schema::CreateAccountChanged(builder, spec), state_.last_time());
    if (!account.quota) return;
    const auto name = builder.CreateString(account.name);
    const auto limits = build_quota(builder, *account.quota);
    say(schema::CreateQuotaSet(builder, account.kind, name, limits,
                               account.used_milli_ms, account.counted_at.value),
        state_.last_time());
  }

  void node(const Node& node) {
    auto& builder = writer_.builder();
    const auto agent = builder.CreateString(node.agent);
    const auto spec = build_node(builder, node);
    say(schema::CreateNodeRegistered(builder, node.id.value, agent, spec),
        state_.last_time());
    if (node.removed)
      say(schema::CreateNodeRemoved(builder, node.id.value),
          state_.last_time());
    if (node.lost)
      say(schema::CreateNodeLost(builder, node.id.value), state_.last_time());
    if (node.draining)
      say(schema::CreateNodeDrained(builder, node.id.value),
          state_.last_time());
    for (const auto& [uuid, one] : node.quarantined) {
      const auto text = builder.CreateString(uuid);
      const auto reason = build_text(builder, one.reason);
      say(schema::CreateDeviceQuarantined(builder, node.id.value, one.device,
                                          text, reason, one.by_agent),
          one.since);
    }
    // Which are slow; the rest of their tests concerns nobody here.
    for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
      if (!node.devices[i].slow) continue;
      const auto text = builder.CreateString(node.devices[i].uuid);
      say(schema::CreateDeviceTested(builder, node.id.value, i, text, 0, false,
                                     DeviceVerdict::slow),
          state_.last_time());
    }
  }

  void reservation(const Reservation& reservation) {
    auto& builder = writer_.builder();
    say(schema::CreateReservationSet(builder,
                                     build_reservation(builder, reservation)),
        state_.last_time());
  }

  void session(const Session& session) {
    auto& builder = writer_.builder();
    const auto spec = build_spec(builder, state_.spec(session));
    say(schema::CreateSessionSubmitted(builder, session.id.value, spec),
        session.submitted_at);
    if (session.attempt > 1)
      say(schema::CreateSessionRequeued(builder, session.id.value,
                                        session.attempt, session.reason,
                                        session.not_before.value),
          session.state_at);
    if (session.state == SessionState::pending) return;
    std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
    for (const Task& task : session.tasks) {
      const auto devices = builder.CreateVectorOfStructs(task.devices);
      tasks.push_back(
          schema::CreateTaskPlacement(builder, task.node.value, devices));
    }
    const auto list = builder.CreateVector(tasks);
    say(schema::CreateSessionPlaced(builder, session.id.value, session.attempt,
                                    list),
        session.placed_at);
    for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
      const Task& task = session.tasks[rank];
      if (task.facts.started_at() != 0)
        say(schema::CreateTaskStarted(builder, session.id.value,
                                      session.attempt, rank, task.pid,
                                      task.facts.started_at()),
            session.started_at);
      if (task.phase == TaskPhase::exited)
        say(schema::CreateTaskExited(builder, session.id.value, session.attempt,
                                     rank, task.reason),
            session.state_at);
    }
    if (session.state == SessionState::stopping)
      say(schema::CreateSessionStopping(builder, session.id.value,
                                        session.attempt, session.reason, 0,
                                        session.stopping_for.value),
          session.state_at);
  }

 private:
  template <class Body>
  void say(flatbuffers::Offset<Body> body, Time at) {
    writer_.set_time_floor(Time{});
    writer_.begin({at, {}, {}});
    writer_.add(body, Sequence{});
    tell_(writer_.last(), writer_.bytes());
    writer_.take();
  }

  const State& state_;
  const TellBytes& tell_;
  EventWriter writer_;
};

}  // namespace

void tell_as_events(const State& state,
                    const std::function<void(const schema::Event&)>& tell) {
  tell_as_events(state,
                 TellBytes([&](const schema::Event& event,
                               std::span<const std::byte>) { tell(event); }));
}

void tell_as_events(const State& state, const TellBytes& tell) {
  Teller teller(state, tell);
  teller.cell();
  for (const Account& account : state.accounts().all())
    if (!account.removed) teller.account(account);
  for (const Node& node : state.nodes()) teller.node(node);
  for (const auto& [name, reservation] : state.reservations().all())
    teller.reservation(reservation);
  state.visit_sessions(SessionId{}, [&](const Session& session) {
    if (!has_ended(session.state)) teller.session(session);
    return true;
  });
}

}  // namespace reeve::cluster

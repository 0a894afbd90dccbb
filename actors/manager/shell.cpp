#include "actors/manager/shell.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/system/clock.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "schema/wire.hpp"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Peers)

namespace reeve::actors {
namespace {

using namespace std::chrono_literals;

// How late a deadline may be noticed.
constexpr auto tick_interval = 200ms;

class ManagerShell : public TracedActor {
 public:
  ManagerShell(caf::actor_config& config, ManagerOptions options)
      : TracedActor(config),
        options_(std::move(options)),
        core_(options_.core) {}

  const char* name() const override { return "manager"; }

 protected:
  caf::behavior make_behavior() override {
    return {
        [this](const Peers& peers) {
          peers_ = peers;
          delayed_send(this, tick_interval, tick_atom::value);
          pump();
        },
        [this](const FromBus& input) {
          on_bus(input);
          pump();
        },
        [this](const Committed& committed) {
          core_->set_admission(committed.admission_open, committed.room);
          if (committed.alone)
            core_->set_alone(committed.no_room);
          else
            core_->set_no_room(committed.no_room);
          core_->committed(Sequence{committed.sequence});
          note_begun();
          if (committed.sequence >= in_flight_) in_flight_ = 0;
          pump();
        },
        [this](const CommitFailed& failed) {
          options_.on_fatal(failed.text);
          quit(caf::exit_reason::user_shutdown);
        },
        [this](const Proposals& proposals) {
          if (handing_over_)
            kept_proposals_.push_back(proposals);
          else
            on_proposals(proposals);
          pump();
        },
        [this](const Preemptions& preemptions) {
          if (handing_over_)
            kept_preemptions_.push_back(preemptions);
          else
            core_->on_preemptions(*preemptions.list, wall_time());
          pump();
        },
        [this](const MembershipIs& membership) {
          core_->set_membership(*membership.now);
        },
        [this](const HandOverSays& said) {
          core_->answer_hand_over(*said.to, said.reply_to);
          pump();
        },
        [this](const Admission& admission) { on_admission(admission.open); },
        [this](const SchedulerSays& said) {
          core_->on_scheduler(*said.question, *said.answer, said.reply_to);
          pump();
        },
        [this](const Reported& figure) {
          core_->set_counter(figure.name, figure.value);
        },
        [this](wake_atom) { pump_now(); },
        [this](tick_atom) {
          core_->set_counter("quarantined", options_.quarantine->count());
          core_->set_counter("log_reads_dropped",
                             options_.log_reads->dropped());
          core_->set_deaf(!options_.answers->connected());
          core_->set_leads(leads_for_sure());
          if (!handing_over_) core_->on_tick(wall_time());
          tell_schedulers(TimeIs{core_->now()});
          pump();
          delayed_send(this, tick_interval, tick_atom::value);
        },
        [this](drain_atom) {
          core_->stop_all(wall_time());
          pump();
        },
    };
  }

  void on_exit() override { peers_ = Peers{}; }

 private:
  void on_proposals(const Proposals& proposals) {
    auto refused = core_->on_proposals(*proposals.list, wall_time());
    if (!refused.empty())
      tell_schedulers(
          Refused{std::make_shared<decltype(refused)>(std::move(refused))});
  }

  // While it hands over nothing is decided: commands go unheard and come
  // again, to the next leader; what schedulers proposed is for when the
  // hand-over is given up.
  void on_admission(bool open) {
    handing_over_ = !open;
    drained_ = false;
    if (open) {
      for (const Proposals& one : std::exchange(kept_proposals_, {}))
        on_proposals(one);
      for (const Preemptions& one : std::exchange(kept_preemptions_, {}))
        core_->on_preemptions(*one.list, wall_time());
    }
    pump();
  }

  // A manager whose schedulers are told nothing new proposes a bounded number
  // of times.
  void tell_when_drained() {
    if (!handing_over_ || in_flight_ != 0 || std::exchange(drained_, true))
      return;
    if (options_.on_drained) options_.on_drained();
  }

  bool leads_for_sure() const { return !options_.leads || options_.leads(); }

  void on_bus(const FromBus& input) {
    if (handing_over_ && input.kind == FromBus::Kind::command) return;
    const auto bytes = input.message.data;
    switch (input.kind) {
      case FromBus::Kind::command:
        if (const auto* command = schema::verified<schema::Command>(bytes)) {
          core_->set_leads(leads_for_sure());
          core_->on_command(*command, input.principal, input.message.reply,
                            wall_time());
        }
        break;
      case FromBus::Kind::query:
        if (const auto* query = schema::verified<schema::Query>(bytes)) {
          if (options_.bus_pid) core_->set_bus_pid(options_.bus_pid());
          if (auto question =
                  core_->on_query(*query, input.principal, input.message.reply))
            tell_schedulers(AskScheduler{
                std::make_shared<manager::ForScheduler>(std::move(*question)),
                std::string(input.message.reply)});
        }
        break;
      case FromBus::Kind::heartbeat:
        if (const auto* beat = schema::verified<schema::Heartbeat>(bytes))
          core_->on_heartbeat(schema::text(beat->agent()), wall_time(),
                              {beat->tasks(), beat->sent(), leads_for_sure()});
        break;
      case FromBus::Kind::log_read: break;
    }
  }

  // All are told all: what is not for one of them, it leaves alone.
  template <class Message>
  void tell_schedulers(const Message& message) {
    for (const auto& scheduler : peers_.schedulers) send(scheduler, message);
  }

  // All real tasks have ended, and that is on disk.
  void end_when_stopped() {
    if (core_->real_tasks() > 0 || in_flight_ != 0) return;
    if (std::exchange(ended_, true)) return;
    options_.on_stopped();
  }

  void note_begun() {
    const Epoch begun = core_->begun();
    if (!options_.on_begun || begun == Epoch{} || begun == begun_) return;
    if (options_.on_begun(begun)) begun_ = begun;
  }

  // Behind all that waits in the mailbox: what it leads to is one commit and
  // one write.
  void pump() {
    if (std::exchange(pump_waits_, true)) return;
    send(this, wake_atom::value);
  }

  // One commit is under way at most: what is decided meanwhile is the next.
  void pump_now() {
    pump_waits_ = false;
    if (in_flight_ == 0 && peers_.committer) {
      auto batch = std::make_shared<manager::Batch>(core_->take_batch());
      if (batch->count > 0) {
        in_flight_ = batch->first.value + batch->count - 1;
        send(peers_.committer, Decided{batch});
        tell_schedulers(Decided{batch});
      }
    }
    for (const std::string& message : core_->take_messages())
      spdlog::warn("manager: {}", message);
    // A tick looks again.
    if (options_.may_answer && !options_.may_answer()) return;
    for (const manager::Effect& effect : core_->take_effects())
      std::visit([this](const auto& one) { perform(one); }, effect);
    options_.answers->send();
    options_.orders->send();
    if (core_->stopping()) end_when_stopped();
    tell_when_drained();
  }

  void perform(const manager::SendReply& reply) {
    if (auto sent = options_.answers->queue(reply.reply_to, reply.bytes); !sent)
      spdlog::warn("answer not sent: {}", sent.error().text);
  }

  void perform(const manager::SendOrder& order) {
    const auto subject = options_.subjects->agent(order.agent, "order");
    if (auto sent = options_.orders->queue(subject, order.bytes); !sent)
      spdlog::warn("order to {} not sent: {}", order.agent, sent.error().text);
  }

  void perform(const manager::SetBusIdentities& identities) {
    if (options_.on_identities) options_.on_identities(identities);
  }

  void perform(const manager::HandOver& asked) {
    if (!options_.on_hand_over) return;
    options_.on_hand_over(asked.to, [to = caf::actor_cast<caf::actor>(this),
                                     reply_to = asked.reply_to](
                                        Expected<std::string> said) {
      caf::anon_send(
          to, HandOverSays{reply_to, std::make_shared<Expected<std::string>>(
                                         std::move(said))});
    });
  }

  ManagerOptions options_;
  std::shared_ptr<manager::Core> core_;
  Peers peers_;
  std::uint64_t in_flight_ = 0;
  Epoch begun_;  // that was noted
  bool pump_waits_ = false;
  bool ended_ = false;
  bool handing_over_ = false;
  bool drained_ = false;
  std::vector<Proposals> kept_proposals_;
  std::vector<Preemptions> kept_preemptions_;
};

}  // namespace

caf::actor spawn_manager(caf::actor_system& system, ManagerOptions options) {
  return spawn_shell<ManagerShell>(
      system, "manager", std::source_location::current(), std::move(options));
}

void introduce(const caf::actor& manager, Peers peers) {
  caf::anon_send(manager, std::move(peers));
}

}  // namespace reeve::actors

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
          core_->set_admission(committed.admission_open);
          core_->set_no_room(committed.no_room);
          core_->committed(Sequence{committed.sequence});
          if (committed.sequence >= in_flight_) in_flight_ = 0;
          pump();
        },
        [this](const CommitFailed& failed) {
          options_.on_fatal(failed.text);
          quit(caf::exit_reason::user_shutdown);
        },
        [this](const Proposals& proposals) {
          auto refused = core_->on_proposals(*proposals.list, wall_time());
          if (!refused.empty())
            tell_schedulers(Refused{
                std::make_shared<decltype(refused)>(std::move(refused))});
          pump();
        },
        [this](const Preemptions& preemptions) {
          core_->on_preemptions(*preemptions.list, wall_time());
          pump();
        },
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
          core_->on_tick(wall_time());
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
  void on_bus(const FromBus& input) {
    const auto bytes = input.message.data;
    switch (input.kind) {
      case FromBus::Kind::command:
        if (const auto* command = schema::verified<schema::Command>(bytes))
          core_->on_command(*command, input.principal, input.message.reply,
                            wall_time());
        break;
      case FromBus::Kind::query:
        if (const auto* query = schema::verified<schema::Query>(bytes))
          if (auto question =
                  core_->on_query(*query, input.principal, input.message.reply))
            tell_schedulers(AskScheduler{
                std::make_shared<manager::ForScheduler>(std::move(*question)),
                std::string(input.message.reply)});
        break;
      case FromBus::Kind::heartbeat:
        if (const auto* beat = schema::verified<schema::Heartbeat>(bytes))
          core_->on_heartbeat(schema::text(beat->agent()), wall_time());
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
    for (const manager::Effect& effect : core_->take_effects())
      std::visit([this](const auto& one) { perform(one); }, effect);
    options_.answers->send();
    options_.orders->send();
    if (core_->stopping()) end_when_stopped();
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

  ManagerOptions options_;
  std::shared_ptr<manager::Core> core_;
  Peers peers_;
  std::uint64_t in_flight_ = 0;
  bool pump_waits_ = false;
  bool ended_ = false;
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

#include "actors/scheduler/shell.hpp"

#include <caf/actor_system.hpp>

#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::actors {
namespace {

class SchedulerShell : public TracedActor {
 public:
  SchedulerShell(caf::actor_config& config,
                 std::shared_ptr<cluster::Scheduler> core, Time now,
                 caf::actor manager)
      : TracedActor(config),
        core_(std::move(core)),
        now_(now),
        manager_(std::move(manager)) {}

  const char* name() const override { return "scheduler"; }

 protected:
  caf::behavior make_behavior() override {
    send(this, wake_atom::value);
    return {
        [this](const Decided& decided) {
          const Status walked = store::for_each_event(
              decided.batch->events, [this](std::span<const std::byte> bytes) {
                const schema::Event& event = schema::event_of(bytes);
                now_ = std::max(now_, Time{event.time_at()});
                core_->apply(event);
              });
          REEVE_CHECK(walked.has_value(), walked.error().text);
          propose();
        },
        [this](const Refused& refused) {
          for (const auto& [session, attempt] : *refused.list)
            core_->refused(session, attempt);
          again_ = true;
        },
        [this](const TimeIs& time) {
          now_ = std::max(now_, time.now);
          const Time next = core_->next_wakeup();
          if (again_ || (next.value != 0 && next <= now_)) propose();
        },
        [this](const AskScheduler& ask) {
          auto said = manager::ask_scheduler(*core_, *ask.question, now_);
          if (!said) return;
          send(manager_, SchedulerSays{ask.question, ask.reply_to,
                                       std::make_shared<manager::FromScheduler>(
                                           std::move(*said))});
        },
        [this](wake_atom) { propose(); },
        [this](drain_atom) {
          manager_ = nullptr;
          quit();
        },
    };
  }

 private:
  void propose() {
    again_ = false;
    while (true) {
      auto list = std::make_shared<std::vector<cluster::Proposal>>(
          core_->propose(now_, proposals_per_message_max));
      const std::size_t count = list->size();
      if (count > 0) send(manager_, Proposals{std::move(list)});
      if (count < proposals_per_message_max) break;
    }
    auto room = std::make_shared<std::vector<cluster::Preemption>>(
        core_->preempt(now_));
    if (!room->empty()) send(manager_, Preemptions{std::move(room)});
  }

  std::shared_ptr<cluster::Scheduler> core_;
  // The manager's time, as far as it was told: with a clock of its own it
  // would propose what the manager finds too early.
  Time now_;
  // What was refused is proposed again when more is known: with the next
  // events, at the latest with the manager's next tick.
  bool again_ = false;
  caf::actor manager_;
};

}  // namespace

caf::actor spawn_scheduler(caf::actor_system& system,
                           std::shared_ptr<cluster::Scheduler> scheduler,
                           Time now, caf::actor manager) {
  return spawn_shell<SchedulerShell>(
      system, "scheduler", std::source_location::current(),
      std::move(scheduler), now, std::move(manager));
}

}  // namespace reeve::actors

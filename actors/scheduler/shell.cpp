#include "actors/scheduler/shell.hpp"

#include <caf/actor_system.hpp>
#include <caf/after.hpp>

#include "actors/system/clock.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::actors {
namespace {

class SchedulerShell : public TracedActor {
 public:
  SchedulerShell(caf::actor_config& config,
                 std::shared_ptr<cluster::Scheduler> core, caf::actor manager)
      : TracedActor(config),
        core_(std::move(core)),
        manager_(std::move(manager)) {}

  const char* name() const override { return "scheduler"; }

 protected:
  caf::behavior make_behavior() override {
    send(this, wake_atom::value);
    return {
        [this](const Decided& decided) {
          const Status walked = store::for_each_event(
              decided.batch->events, [this](std::span<const std::byte> bytes) {
                core_->apply(schema::event_of(bytes));
              });
          REEVE_CHECK(walked.has_value(), walked.error().text);
          propose();
        },
        [this](const Refused& refused) {
          for (const auto& [session, attempt] : *refused.list)
            core_->refused(session, attempt);
          propose();
        },
        [this](const AskWhy& ask) {
          send(manager_, WhyAnswered{ask.session, ask.reply_to,
                                     std::make_shared<cluster::Why>(
                                         core_->why(ask.session))});
        },
        [this](wake_atom) {
          wake_at_ = Time{};
          propose();
        },
        [this](drain_atom) {
          manager_ = nullptr;
          quit();
        },
    };
  }

 private:
  void propose() {
    while (true) {
      auto list = std::make_shared<std::vector<cluster::Proposal>>(
          core_->propose(wall_time(), proposals_per_message_max));
      const std::size_t count = list->size();
      if (count > 0) send(manager_, Proposals{std::move(list)});
      if (count < proposals_per_message_max) break;
    }
    arm();
  }

  // One wake-up is under way at most, unless an earlier one is needed.
  void arm() {
    const Time next = core_->next_wakeup();
    if (next.value == 0) return;
    if (wake_at_.value != 0 && wake_at_ <= next) return;
    wake_at_ = next;
    const Time now = wall_time();
    const std::uint64_t wait_ns =
        next > now ? next.value - now.value : 1'000'000;
    delayed_send(this, std::chrono::nanoseconds(wait_ns), wake_atom::value);
  }

  std::shared_ptr<cluster::Scheduler> core_;
  caf::actor manager_;
  Time wake_at_;
};

}  // namespace

caf::actor spawn_scheduler(caf::actor_system& system,
                           std::shared_ptr<cluster::Scheduler> scheduler,
                           caf::actor manager) {
  return spawn_shell<SchedulerShell>(system, "scheduler",
                                     std::source_location::current(),
                                     std::move(scheduler), std::move(manager));
}

}  // namespace reeve::actors

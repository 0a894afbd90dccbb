#include "actors/journal/shell.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <chrono>
#include <utility>

#include "actors/journal/core_reading.hpp"
#include "actors/journal/snapshotter.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "schema/wire.hpp"

namespace reeve::actors {
namespace {

using namespace std::chrono_literals;

// How often the free space is looked at while nothing is committed.
constexpr auto space_check_interval = 500ms;
// Between tries to write on a disk that has no room left at all.
constexpr auto full_disk_wait = 200ms;

class Committer : public TracedActor {
 public:
  Committer(caf::actor_config& config, JournalOptions options,
            caf::actor manager)
      : TracedActor(config),
        options_(std::move(options)),
        manager_(std::move(manager)),
        snapshots_(options_.snapshots, options_.newest_snapshot) {}

  const char* name() const override { return "journal"; }

 protected:
  caf::behavior make_behavior() override {
    delayed_send(this, space_check_interval, tick_atom::value);
    // What an earlier process left to do.
    if (!start_for_archives() && snapshots_.start_other())
      start_upkeep(Upkeep::without_snapshot);
    return {
        [this](const Decided& decided) { commit(decided.batch); },
        [this](wake_atom) {
          if (held_) commit(held_);
        },
        [this](tick_atom) {
          send(manager_, committed());
          if (++ticks_ % journal::archive_check_ticks == 0)
            start_for_archives();
          delayed_send(this, space_check_interval, tick_atom::value);
        },
        [this](const UpkeepDone& upkeep) {
          if (upkeep.work == Upkeep::with_snapshot)
            snapshots_.finished(upkeep.snapshot, options_.log->head().sequence);
          else
            snapshots_.finished_other();
        },
        [this](drain_atom) { quit(); },
    };
  }

  void on_exit() override { manager_ = nullptr; }

 private:
  Committed committed() const {
    return {options_.log->head().sequence, options_.log->admission_open(),
            no_room_};
  }

  // Without any room nothing is written: hold on until there is some. The
  // manager gathers meanwhile, and tells whoever asks that it cannot keep it.
  void commit(std::shared_ptr<const manager::Batch> batch) {
    const Expected<store::Head> head = append(*batch);
    if (!head && head.error().code == Errc::no_space) {
      if (!held_) spdlog::error("the log has no room: {}", head.error().text);
      held_ = std::move(batch);
      no_room_ = head.error().text;
      send(manager_, committed());
      delayed_send(this, full_disk_wait, wake_atom::value);
      return;
    }
    if (std::exchange(held_, nullptr) && head)
      spdlog::info("the log has room again");
    no_room_.clear();
    if (!head) {
      send(manager_, CommitFailed{head.error().text});
      return;
    }
    send(manager_, committed());
    publish(*batch);
    if (snapshots_.due(head->sequence)) start_upkeep(Upkeep::with_snapshot);
  }

  void start_upkeep(Upkeep work) {
    spawn_snapshotter(system(), options_.log->reader(), options_.log,
                      options_.snapshots.every_events, work,
                      caf::actor_cast<caf::actor>(this));
  }

  // Archives are made by other programs, beside this one. With a snapshot
  // behind them, a start needs none of them.
  bool start_for_archives() {
    if (!options_.log->archives_pending() || !snapshots_.start_other())
      return false;
    start_upkeep(Upkeep::with_snapshot);
    return true;
  }

  Expected<store::Head> append(const manager::Batch& batch) {
    return options_.log->append(batch.epoch.value, batch.count, batch.events);
  }

  void publish(const manager::Batch& batch) {
    const Status walked = store::for_each_event(
        batch.events, [this](std::span<const std::byte> bytes) {
          const auto subject =
              options_.subjects->event(schema::event_of(bytes));
          // A subscriber that misses one sees the gap and asks for it.
          if (auto sent = options_.events->queue(subject, bytes); !sent)
            spdlog::warn("event not published: {}", sent.error().text);
        });
    REEVE_CHECK(walked.has_value(), walked.error().text);
    options_.events->send();
  }

  JournalOptions options_;
  caf::actor manager_;
  journal::SnapshotClock snapshots_;
  std::uint64_t ticks_ = 0;
  std::shared_ptr<const manager::Batch> held_;  // waits for room
  std::string no_room_;                         // why, meanwhile
};

class Reader : public TracedActor {
 public:
  Reader(caf::actor_config& config, JournalOptions options)
      : TracedActor(config),
        options_(std::move(options)),
        reader_(options_.log->reader()) {}

  const char* name() const override { return "journal-reader"; }

 protected:
  caf::behavior make_behavior() override {
    return {
        [this](const FromBus& request) {
          const auto* read =
              schema::verified<schema::LogRead>(request.message.data);
          if (read) answer(*read, request.message.reply);
          options_.log_reads->leave();
        },
        [this](drain_atom) { quit(); },
    };
  }

 private:
  void answer(const schema::LogRead& read, std::string_view reply_to) {
    const auto bytes =
        journal::answer_read(*reader_, read, options_.log->head().sequence);
    if (auto sent = options_.answers->publish(reply_to, bytes); !sent)
      spdlog::warn("log.read not answered: {}", sent.error().text);
  }

  JournalOptions options_;
  std::unique_ptr<store::LogReader> reader_;
};

}  // namespace

Journal spawn_journal(caf::actor_system& system, JournalOptions options,
                      caf::actor manager) {
  Journal journal;
  journal.committer = spawn_shell<Committer, caf::detached>(
      system, "journal", std::source_location::current(), options,
      std::move(manager));
  journal.reader = spawn_shell<Reader, caf::detached>(
      system, "journal-reader", std::source_location::current(), options);
  return journal;
}

}  // namespace reeve::actors

#include "actors/journal/shell.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "actors/journal/core_reading.hpp"
#include "actors/journal/snapshotter.hpp"
#include "actors/system/clock.hpp"
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

// How long to wait for the stream at a time.
constexpr auto stream_wait = 1'000ms;

std::uint64_t known_to_all(const JournalOptions& options) {
  return options.stream ? options.shared->load() : options.log->head().sequence;
}

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
        [this](const Decided& decided) {
          if (options_.stream)
            share(decided.batch);
          else
            commit(decided.batch);
        },
        [this](wake_atom) {
          if (under_way_)
            go_on();
          else if (held_)
            commit(held_);
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
  Committed committed() {
    const bool open = options_.log->admission_open();
    std::string room;
    if (!open || !admits_) room = options_.log->room();
    tell_admission(open, room);
    return {known_to_all(options_), open, no_room_, alone_,
            open ? std::string() : std::move(room)};
  }

  // Once at each change.
  void tell_admission(bool open, const std::string& room) {
    if (std::exchange(admits_, open) == open) return;
    if (open)
      spdlog::info("admission is open again: {}", room);
    else
      spdlog::warn("admission is closed: {}", room);
  }

  // ---- one commit of several managers: in the log here and in the stream,
  // both under way together. It counts when both have it.

  void share(std::shared_ptr<const manager::Batch> batch) {
    under_way_.emplace();
    under_way_->batch = std::move(batch);
    under_way_->sent_at = monotonic();
    go_on();
  }

  void go_on() {
    if (under_way_->here || keep_here())
      if (under_way_->there || keep_there()) kept_by_all();
  }

  // False: not now; a wake follows, or it is over.
  bool keep_here() {
    const manager::Batch& batch = *under_way_->batch;
    auto prepared =
        options_.log->prepare(batch.epoch.value, batch.count, batch.events);
    if (!prepared) return give_up(prepared.error().text);
    // Prepared once more after a full disk it is the same bytes.
    if (!std::exchange(under_way_->sent, true)) {
      const bus::RecordId id{batch.epoch.value, prepared->head().sequence};
      if (auto sent = options_.stream->begin(id, prepared->value()); !sent)
        return give_up(sent.error().text);
    }
    const auto head = options_.log->commit(*prepared);
    if (!head && head.error().code == Errc::no_space) {
      if (no_room_ != head.error().text)
        spdlog::error("the log has no room: {}", head.error().text);
      if (!std::exchange(waits_for_room_, true)) options_.on_room(false);
      hold(head.error().text, false);
      delayed_send(this, full_disk_wait, wake_atom::value);
      return false;
    }
    if (!head) return give_up(head.error().text);
    if (std::exchange(waits_for_room_, false)) options_.on_room(true);
    under_way_->here = true;
    return true;
  }

  bool keep_there() {
    using Kind = bus::StreamOutcome::Kind;
    const auto outcome = options_.stream->wait(stream_wait);
    switch (outcome.kind) {
      case Kind::stored: return under_way_->there = true;
      case Kind::fenced:
      case Kind::shortened:
        under_way_.reset();
        options_.on_fenced(outcome);
        quit();
        return false;
      case Kind::unknown: break;
    }
    if (journal::is_alone(under_way_->sent_at, monotonic())) {
      if (!alone_) spdlog::error("{}", outcome.error.text);
      hold("the other managers do not answer, and " + options_.majority +
               " is needed: see which are away (reeve members), and start "
               "them",
           true);
    }
    send(this, wake_atom::value);
    return false;
  }

  void set_alone(bool alone) {
    if (std::exchange(alone_, alone) != alone) options_.on_alone(alone);
  }

  void hold(std::string why, bool alone) {
    no_room_ = std::move(why);
    set_alone(alone);
    send(manager_, committed());
  }

  bool give_up(const std::string& why) {
    under_way_.reset();
    send(manager_, CommitFailed{why});
    return false;
  }

  void kept_by_all() {
    if (!no_room_.empty()) spdlog::info("commits are kept again");
    no_room_.clear();
    set_alone(false);
    const auto batch = std::exchange(under_way_, std::nullopt)->batch;
    const std::uint64_t last = batch->first.value + batch->count - 1;
    options_.shared->store(last);
    send(manager_, committed());
    publish(*batch);
    if (snapshots_.due(last)) start_upkeep(Upkeep::with_snapshot);
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
  bool alone_ = false;                          // for want of other managers
  bool admits_ = true;                          // new sessions, as last told
  bool waits_for_room_ = false;                 // `under_way_`
  struct UnderWay {
    std::shared_ptr<const manager::Batch> batch;
    Time sent_at;
    bool sent = false;   // to the stream
    bool here = false;   // in the log
    bool there = false;  // in the stream
  };
  std::optional<UnderWay> under_way_;  // of several managers
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
        journal::answer_read(*reader_, read, known_to_all(options_));
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

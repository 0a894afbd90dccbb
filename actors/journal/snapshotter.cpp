#include "actors/journal/snapshotter.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>

#include "actors/journal/entities.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "cluster/proved_snapshot.hpp"
#include "schema/wire.hpp"

namespace reeve::actors {
namespace {

class Snapshotter : public TracedActor {
 public:
  Snapshotter(caf::actor_config& config,
              std::shared_ptr<store::LogReader> reader,
              std::shared_ptr<store::Log> log, std::uint64_t index_every,
              Upkeep work, caf::actor committer)
      : TracedActor(config),
        reader_(std::move(reader)),
        log_(std::move(log)),
        index_every_(index_every),
        work_(work),
        committer_(std::move(committer)) {}

  const char* name() const override { return "snapshotter"; }

 protected:
  caf::behavior make_behavior() override {
    send(this, wake_atom::value);
    return {[this](wake_atom) {
      const std::uint64_t kept = snapshot();
      tidy();
      send(committer_, UpkeepDone{work_, kept});
      quit();
    }};
  }

  void on_exit() override {
    reader_.reset();
    log_.reset();
    committer_ = nullptr;
  }

 private:
  // 0 when there is none.
  std::uint64_t snapshot() {
    if (work_ == Upkeep::without_snapshot) return 0;
    const Expected<std::uint64_t> kept = make();
    if (!kept) spdlog::error("no snapshot: {}", kept.error().text);
    return kept.value_or(0);
  }

  // Neither is needed for the log itself: what fails is told and left.
  void tidy() {
    if (auto indexed = log_->extend_index(index_every_, journal::find_entities);
        !indexed)
      spdlog::error("the log is not indexed: {}", indexed.error().text);
    if (!log_->archives_pending()) return;
    const auto removed = log_->drop_archived();
    if (!removed)
      spdlog::error("archived events stay in the database: {}",
                    removed.error().text);
    else if (*removed != 0)
      spdlog::info("events up to {} are in archives alone now", *removed);
  }

  Expected<std::uint64_t> make() {
    const auto state = fold_log(*reader_);
    if (!state) return tl::unexpected(state.error());
    const auto bytes = state->encode_snapshot();
    const std::uint64_t sequence = state->last_sequence().value;
    if (auto put = log_->put_snapshot(sequence,
                                      cluster::State::digest_of(bytes), bytes);
        !put)
      return tl::unexpected(put.error());
    spdlog::info("snapshot at {} kept: {} bytes", sequence, bytes.size());
    return sequence;
  }

  std::shared_ptr<store::LogReader> reader_;
  std::shared_ptr<store::Log> log_;
  std::uint64_t index_every_;
  Upkeep work_;
  caf::actor committer_;
};

}  // namespace

Expected<cluster::State> fold_log(store::LogReader& reader,
                                  std::uint64_t* from_snapshot) {
  cluster::State state;
  const std::uint64_t head = reader.head().sequence;
  const auto snapshot = reader.snapshot_at(head);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (from_snapshot) *from_snapshot = 0;
  if (*snapshot) {
    auto decoded = cluster::decode_proved((*snapshot)->bytes);
    if (decoded && decoded->last_sequence().value == (*snapshot)->sequence) {
      state = std::move(*decoded);
      if (from_snapshot) *from_snapshot = (*snapshot)->sequence;
    } else {
      // A cache that this program cannot read: the log has it all.
      spdlog::warn(
          "the snapshot at {} is not usable: {}", (*snapshot)->sequence,
          decoded ? "it is of another sequence" : decoded.error().text);
    }
  }
  Status applied;
  const std::uint64_t after = state.last_sequence().value;
  if (after >= head) return state;
  const Status scanned =
      reader.scan(after + 1, head, [&](const store::Record& record) {
        store::EventCursor cursor(record.events);
        while (auto bytes = cursor.next()) {
          const schema::Event* event = schema::verified_event(*bytes);
          if (!event)
            applied = fail(Errc::damaged, "an event is no event of ours");
          else if (event->seq() > state.last_sequence().value)
            applied = state.apply(*event);
          if (!applied) return false;
        }
        return true;
      });
  if (!applied) return tl::unexpected(applied.error());
  if (!scanned) return tl::unexpected(scanned.error());
  return state;
}

caf::actor spawn_snapshotter(caf::actor_system& system,
                             std::unique_ptr<store::LogReader> reader,
                             std::shared_ptr<store::Log> log,
                             std::uint64_t index_every, Upkeep work,
                             caf::actor committer) {
  return spawn_shell<Snapshotter, caf::detached>(
      system, "snapshotter", std::source_location::current(),
      std::shared_ptr<store::LogReader>(std::move(reader)), std::move(log),
      index_every, work, std::move(committer));
}

}  // namespace reeve::actors

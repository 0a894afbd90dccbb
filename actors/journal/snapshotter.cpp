#include "actors/journal/snapshotter.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>

#include "actors/journal/core_recovery.hpp"
#include "actors/journal/entities.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "cluster/check.hpp"

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
    const auto taken = journal::take_snapshot(*state);
    REEVE_CHECK(taken.has_value(), taken.error().text);
    if (auto put =
            log_->put_snapshot(taken->sequence, taken->digest, taken->bytes);
        !put)
      return tl::unexpected(put.error());
    spdlog::info("snapshot at {} kept: {} bytes", taken->sequence,
                 taken->bytes.size());
    return taken->sequence;
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
  auto folded = journal::fold_log(reader);
  if (!folded) return tl::unexpected(folded.error());
  if (!folded->unusable.empty()) spdlog::warn("{}", folded->unusable);
  if (from_snapshot) *from_snapshot = folded->from_snapshot;
  return std::move(folded->state);
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

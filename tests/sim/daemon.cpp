#include "tests/sim/daemon.hpp"

#include <utility>

#include "actors/journal/core_recovery.hpp"
#include "tests/sim/daemon_process.hpp"

namespace reeve::sim {

Daemon::Daemon(World& world)
    : world_(world),
      clock_(world.loop),
      disk_(world.random, world.probes, world.loop) {
  world.daemon = world.network.attach("daemon", [this](const Packet& packet) {
    if (leader_) leader_->receive(packet);
  });
}

Daemon::~Daemon() = default;

const cluster::State* Daemon::state() const {
  return leader_ ? &leader_->core().state() : nullptr;
}

// As Daemon::start in tools/daemon/daemon.cpp.
void Daemon::start() {
  starting_ = false;
  if (leader_) return;
  disk_.fail_syncs(world_.faults ? world_.plan.sync_fails_ppm : 0);
  auto log = Log::open(disk_, world_.probes);
  if (!log) {
    SIM_CHECK(log.error().code == Errc::io, "the log does not open: {}",
              log.error().text);
    return restart_soon();
  }
  auto folded = journal::fold_log(*log);
  SIM_CHECK(folded, "the log cannot be folded: {}", folded.error().text);
  SIM_CHECK(folded->unusable.empty(), "{}", folded->unusable);
  world_.probes.hit(folded->from_snapshot != 0 ? Probe::start_from_snapshot
                                               : Probe::start_without_snapshot);
  world_.loop.note("daemon: begins at event {} from a snapshot at {}",
                   log->head().sequence, folded->from_snapshot);
  world_.oracle.recovered(*log, folded->state);
  leader_ = std::make_shared<DaemonProcess>(world_, *this, std::move(*log),
                                            std::move(folded->state),
                                            folded->from_snapshot);
  leader_->begin();
}

void Daemon::restart_soon() {
  if (std::exchange(starting_, true)) return;
  world_.loop.after(world_.random.spread(50 * ms_ns, minute_ns),
                    [this] { start(); });
}

void Daemon::end_process() {
  if (!leader_) return;
  leader_->die();
  leader_.reset();
  restart_soon();
}

void Daemon::crash() {
  if (!leader_) return;
  world_.probes.hit(Probe::daemon_crashed);
  world_.loop.note("daemon: dies");
  end_process();
}

void Daemon::lose_power() {
  world_.probes.hit(Probe::daemon_lost_power);
  world_.loop.note("daemon: power is lost");
  disk_.lose_power();
  for (const auto& old : std::exchange(deposed_, {})) old->die();
  end_process();
  restart_soon();
}

void Daemon::depose() {
  if (!leader_) return;
  world_.probes.hit(Probe::leader_deposed);
  world_.loop.note("daemon: another process takes the lead");
  leader_->depose();
  deposed_.push_back(std::exchange(leader_, nullptr));
  world_.loop.after(world_.random.spread(second_ns, 2 * minute_ns),
                    [old = std::weak_ptr(deposed_.back())] {
                      if (const auto process = old.lock()) process->die();
                    });
  restart_soon();
}

void Daemon::stall(std::uint64_t duration_ns) {
  if (!leader_) return;
  world_.probes.hit(Probe::process_stalled);
  world_.loop.note("daemon: stands still for {} ms", duration_ns / ms_ns);
  leader_->stall(Time{world_.loop.now().value + duration_ns});
}

void Daemon::fill_disk(Disk::Room room) {
  disk_.set_room(room);
  disk_.fail_syncs(world_.faults ? world_.plan.sync_fails_ppm : 0);
  if (room == Disk::Room::enough) return;
  world_.probes.hit(room == Disk::Room::low ? Probe::disk_low
                                            : Probe::disk_filled);
  world_.loop.note("daemon: the disk is {}",
                   room == Disk::Room::low ? "below its floor" : "full");
}

std::string Daemon::disorder() const {
  if (!leader_) return "there is no leader";
  for (const auto& node : leader_->core().state().nodes())
    if (!node.removed && !node.offered())
      return fmt::format("node {} is {}", node.name,
                         node.lost ? "lost" : "drained");
  return {};
}

std::string Daemon::unrest() const {
  if (auto why = disorder(); !why.empty()) return why;
  const manager::Core& core = leader_->core();
  if (core.decided() != world_.oracle.truth().last_sequence())
    return "the manager has decided what is not durable";
  if (const std::uint64_t live = core.state().live_sessions(); live != 0)
    return fmt::format("{} sessions live", live);
  for (const auto& node : core.state().nodes())
    if (!node.holders.empty())
      return fmt::format("node {} is held by s-{}", node.name,
                         node.holders.front().value);
  const cluster::SchedulerSizes sizes = leader_->scheduler().sizes();
  if (sizes.sessions != 0)
    return fmt::format("the scheduler knows {} sessions", sizes.sessions);
  return {};
}

void Daemon::check_log() {
  world_.oracle.compare(leader_->core().state());
  leader_->die();
  leader_.reset();
  disk_.lose_power();
  disk_.fail_syncs(0);
  auto log = Log::open(disk_, world_.probes);
  SIM_CHECK(log, "the log does not open: {}", log.error().text);
  const auto folded = journal::fold_log(*log);
  SIM_CHECK(folded, "the log cannot be folded: {}", folded.error().text);
  world_.oracle.recovered(*log, folded->state);
  world_.oracle.finish(*log);
}

}  // namespace reeve::sim

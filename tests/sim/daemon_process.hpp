// What the shells of manager, scheduler and journal do around their cores, in
// one process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "actors/journal/core.hpp"
#include "actors/manager/core.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "tests/sim/daemon.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/log.hpp"

namespace reeve::sim {

class DaemonProcess : public Process {
 public:
  DaemonProcess(World& world, Daemon& daemon, Log log, cluster::State state,
                std::uint64_t newest_snapshot);

  void begin();
  void receive(const Packet& packet);
  // Another process has taken the lead: it keeps nothing and hears nothing
  // any more, but does not know it.
  void depose() { deposed_ = true; }

  const manager::Core& core() const { return core_; }
  const cluster::Scheduler& scheduler() const { return scheduler_; }
  bool quiet() const { return in_flight_ == 0; }

 private:
  using Batch = std::shared_ptr<const manager::Batch>;
  Time now() const { return daemon_.clock_.now(); }

  // the manager's shell
  void on_packet(const Packet& packet);
  void tick();
  void pump();
  void pump_now();
  void perform(const manager::SendReply& reply);
  void perform(const manager::SendOrder& order);
  // This bus lets everybody in.
  void perform(const manager::SetBusIdentities&) {}
  void perform(const manager::HandOver&) {}
  void publish(End to, Packet::Kind kind, std::span<const std::byte> bytes);
  void on_committed(std::uint64_t sequence, bool open, const std::string& why);

  // the scheduler's
  void schedule(const Batch& batch);
  void propose();
  // What the scheduler has been told, if somebody looks at it; or newer.
  const cluster::State& known() const {
    return judge_ ? judge_->known() : core_.state();
  }
  bool propose_some();
  void make_room();
  void take(const std::vector<cluster::Proposal>& list);

  // the journal's
  void commit(Batch batch);
  void sync(const Batch& batch);
  void tell_committed();
  void watch_space();
  void take_snapshot();
  void fatal();

  World& world_;
  Daemon& daemon_;
  Log log_;
  manager::Core core_;
  cluster::Scheduler scheduler_;
  std::optional<Judge> judge_;
  Time scheduler_now_;
  bool propose_again_ = false;
  journal::SnapshotClock snapshots_;
  bool deposed_ = false;
  std::uint64_t in_flight_ = 0;
  bool pump_waits_ = false;
  bool room_ = true;        // for commits, as the manager was told
  bool reads_wait_ = true;  // for the commit: all since there was room
  Batch held_;
  std::string no_room_;
};

}  // namespace reeve::sim

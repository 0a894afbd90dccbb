// The host of the daemon: its disk, its clock, and one process after another
// with the real manager, scheduler and journal cores. An older process may
// live on for a while, as a leader that does not know of the next.
#pragma once

#include <memory>
#include <vector>

#include "cluster/state.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

class DaemonProcess;

class Daemon {
 public:
  explicit Daemon(World& world);
  ~Daemon();

  void start();
  void crash();
  void lose_power();
  void depose();
  void stall(std::uint64_t duration_ns);
  void fill_disk(Disk::Room room);

  HostClock& clock() { return clock_; }
  // The state that the leader has decided; null while there is none.
  const cluster::State* state() const;
  // Why nobody leads or a node is not offered; empty: all is well.
  std::string disorder() const;
  // Why there is still something to do; empty: there is not.
  std::string unrest() const;
  // The log as it is on disk, whole and compared with all that is known.
  void check_log();

 private:
  friend class DaemonProcess;
  void end_process();
  void restart_soon();

  World& world_;
  HostClock clock_;
  Disk disk_;
  std::shared_ptr<DaemonProcess> leader_;
  std::vector<std::shared_ptr<DaemonProcess>> deposed_;
  bool starting_ = false;
};

}  // namespace reeve::sim

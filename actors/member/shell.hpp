// One manager among several: drives member::Core with the lease, the stream,
// pings and beats. While another leads it follows the log, answers questions
// and makes snapshots; when it is to lead, it hands the stream and the state
// over to whoever runs the cell.
//
// Threads: its own one for the core; one that follows the stream and one for
// the lease, as those calls block.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/journal/core.hpp"
#include "actors/manager/core.hpp"
#include "bus/connection.hpp"
#include "bus/credentials.hpp"
#include "bus/quarantine.hpp"
#include "bus/stream.hpp"
#include "bus/subject.hpp"
#include "store/log.hpp"

namespace reeve::actors {

// What a manager leads with.
struct Lead {
  std::shared_ptr<bus::Stream> stream;  // behind the beginning of its epoch
  // The newest event that the log and the stream have: the journal's to raise.
  std::shared_ptr<std::atomic<std::uint64_t>> shared;
  std::uint64_t newest_snapshot = 0;
};

struct MemberOptions {
  std::string cell;
  std::string name;
  // All managers of the cell, as far as is known at the start.
  std::vector<cluster::ManagerIdentity> managers;
  // The token by which this one joined; 0: it was there from the start. Who
  // joined does not lead before its log says that it did.
  std::uint64_t joined_by = 0;
  // Whether its log names it; nothing: it names no managers.
  std::optional<bool> listed;
  std::string owner;
  std::uint32_t owner_uid = 0;
  std::string principal;  // of its own connections
  cluster::Program program = {};

  std::shared_ptr<store::Log> log;
  // Of the log's end. Until `on_lead` it is the runner's.
  std::shared_ptr<manager::Core> core;
  journal::SnapshotPolicy snapshots;
  std::uint64_t newest_snapshot = 0;
  // What was set aside last; `other_epoch` is found out here.
  std::optional<cluster::Healing> set_aside;

  // By these the leader tells the bus servers which of them are gone.
  bus::Credentials system;

  // Its own, with handlers on threads of their own: only such a connection is
  // told that nobody listens.
  std::unique_ptr<bus::Connection> connection;
  // Outlive it.
  bus::Quarantine* quarantine = nullptr;
  const bus::Subjects* subjects = nullptr;

  // Of the bus server here, from any thread.
  std::function<int()> bus_pid;

  // Starts the bus server here anew; from any thread.
  std::function<void()> start_bus_anew;

  // All are called from threads of the runner's.
  // It leads: `core` is at the beginning of its epoch, which is in its log.
  std::function<void(Lead)> on_lead;
  // While it leads.
  std::function<void(manager::Membership)> on_membership;
  std::function<void(const std::string& principal, bus::Message)> on_query;
  std::function<void(bool open)> on_admission;
  // While it follows.
  std::function<void(const manager::SetBusIdentities&)> on_identities;
  // It was taken out of the cell: it has read all that the leader has, and is
  // no manager any more.
  std::function<void(const std::string& why)> on_expelled;
  // What is in the log from this event on is to be set aside; then, as after
  // on_step_down, the process starts anew. They do not return.
  std::function<void(std::uint64_t from, const std::string& why)> on_diverged;
  std::function<void(const std::string& why)> on_step_down;
  // The log here is empty and is to be made anew with this id; then the same.
  std::function<void(const store::LogId& id)> on_log_id;
};

class MemberRunner {
 public:
  explicit MemberRunner(MemberOptions options);
  // Stops.
  ~MemberRunner();
  MemberRunner(const MemberRunner&) = delete;
  MemberRunner& operator=(const MemberRunner&) = delete;

  // Subscribes and begins.
  Status start();
  // Ends its threads; what it is told from now on is for nobody.
  void stop();

  // From any thread.
  // Whether this one, which leads, may answer now: see Core::answers_until.
  bool may_answer() const;
  // Whether it is sure that nobody else leads: see Core::leads_until.
  bool leads() const;
  // The journal: another's record is where the next one had to be, or the
  // stream was shortened.
  void fenced(const bus::StreamOutcome& outcome);
  // The journal: whether there is room for what is to be kept.
  void set_room(bool room);
  // And whether it waits for the servers of the stream, for long.
  void set_alone(bool alone);
  // The manager: all is kept and answered, up to this event.
  void drained();
  // The managers that the log has now; none: as it was.
  void set_managers(std::vector<cluster::ManagerIdentity> managers);
  // To that one, or to the one with the longest log (empty). `answer` gets its
  // name, or why not, from a thread of the runner's.
  void hand_over(std::string to,
                 std::function<void(Expected<std::string>)> answer);
  // This manager ends: one that leads hands over first, if there is to whom and
  // it does not take too long. `done` is called once, instead of on_step_down.
  void leave(std::function<void()> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "a majority of the cell's managers m1, m2 and m3", or of one "m1".
std::string majority_text(
    const std::vector<cluster::ManagerIdentity>& managers);

}  // namespace reeve::actors

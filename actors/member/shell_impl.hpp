// What a MemberRunner is inside, shared by its sources: shell.cpp has the
// core's thread, shell_threads.cpp those that block: the stream's, the lease's
// and that of the upkeep of the bus servers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/journal/core_recovery.hpp"
#include "actors/member/age.hpp"
#include "actors/member/copy.hpp"
#include "actors/member/core.hpp"
#include "actors/member/core_healings.hpp"
#include "actors/member/jobs.hpp"
#include "actors/member/shell.hpp"
#include "actors/system/clock.hpp"
#include "bus/backoff.hpp"
#include "bus/lease.hpp"

namespace reeve::actors {

inline member::Position position_of(const store::Head& head) {
  return {Epoch{head.epoch}, Sequence{head.sequence}};
}

struct MemberRunner::Impl {
  explicit Impl(MemberOptions given)
      : options(std::move(given)),
        core(options.name, position_of(options.log->head()),
             bus::random_jitter() % second_ns, monotonic(), options.program),
        majority(majority_text(options.managers)),
        replicas(member::replicas_of(options.managers.size())),
        managers(options.managers),
        listed(options.listed),
        snapshots(options.snapshots, options.newest_snapshot),
        newest_snapshot(options.newest_snapshot) {}

  // What uses the connection goes before it; its handlers, which use the rest,
  // run until it is gone.
  ~Impl() {
    lease.reset();
    stream.reset();
    kept_lease.reset();
    kept_stream.reset();
    options.connection.reset();
  }

  Status subscribe();
  void run();
  void run_lease();
  void run_stream();
  void run_upkeep();

  // ---- the core's thread
  void take_managers(std::vector<cluster::ManagerIdentity> present);
  void tell_listed();
  bool barred() const;
  bool is_expelled();
  void tend_servers(Time now);
  void perform(const member::ReadLease&);
  void perform(const member::WriteLease& write);
  void perform(const member::Ping& ping);
  void perform(const member::ReadStream&) { read_wanted = true; }
  void perform(const member::Lead& lead);
  void perform(const member::EndAdmission&) { options.on_admission(false); }
  void perform(const member::Admit&) {
    if (!leaving) options.on_admission(true);
  }
  void perform(const member::StepDown& step);
  void perform(const member::Report& report) { to_tell(report.healing); }
  void perform(const member::Say& say) { spdlog::info("{}", say.text); }
  // Of a leader, what the others have, too.
  member::Position shared_position() const {
    return {core.log().epoch, Sequence{shared->load()}};
  }
  void publish_deadlines();
  void tell_others(Time now);
  void hear(const schema::MemberBeat& beat);
  void hear_agent(const bus::Message& message);
  member::Age state_age(Time now);
  manager::Membership membership(Time now);
  void answer(const std::string& principal, const bus::Message& message);
  void tend_follower();
  void to_tell(cluster::Healing healing);
  void find_set_aside();
  void report_healings(Time now);

  // ---- the lease's thread
  bool open_lease();

  // ---- the thread of the upkeep
  void keep_servers(int wanted, const std::vector<std::string>& servers,
                    const std::string& own);
  Status copy_to(int wanted);
  Status forget_others(const std::vector<std::string>& servers);
  Status lead_elsewhere(const std::string& own);

  // ---- the stream's thread
  bool open_stream();
  void follow();
  bool perform_wanted(member::LogCopy& copy);
  void read_to_end(member::LogCopy& copy);
  bool lead(member::LogCopy& copy, Epoch epoch);
  void keep_snapshot();
  void complain(const Error& error);

  MemberOptions options;
  member::Core core;
  Jobs inputs;
  Jobs lease_jobs;
  std::unique_ptr<bus::Lease> lease;

  std::shared_ptr<bus::Stream> stream;
  std::atomic<bool> read_wanted{false};
  std::atomic<std::uint64_t> lead_wanted{0};  // with this epoch; 0: not
  std::string complaint;

  const std::string majority;  // of those that there were at the start
  const int replicas;          // of a stream that is not there yet
  // The core's thread alone.
  std::vector<cluster::ManagerIdentity> managers;
  std::optional<bool> listed;  // see MemberOptions
  bool expelled = false;
  Time upkeep_due;
  std::atomic<bool> upkeep_busy{false};
  Jobs upkeep_jobs;
  std::unique_ptr<bus::Connection> system;  // of the upkeep's thread
  // Of the upkeep's thread; there once they have as many copies as they can.
  std::unique_ptr<bus::Stream> kept_stream;
  std::unique_ptr<bus::Lease> kept_lease;
  int copies = 0;                   // that the servers were told last
  std::set<std::string> strangers;  // that were there last
  std::string upkeep_complaint;

  std::mutex core_mutex;      // guards *options.core until it leads
  bool leads = false;         // the core's thread alone
  bool commit_waits = false;  // for room; the core's thread alone
  bool commit_alone =
      false;  // for the servers of the stream, for long; so is it
  std::atomic<bool> following_done{false};  // it leads
  std::atomic<std::uint64_t> answers_until{0};
  std::atomic<std::uint64_t> leads_until{0};
  std::atomic<std::uint64_t> extends_until{0};
  std::shared_ptr<std::atomic<std::uint64_t>> shared;  // see Lead
  journal::SnapshotClock snapshots;
  std::uint64_t newest_snapshot = 0;

  std::function<void()> leaving;  // done with that
  Time leave_due;
  std::optional<std::string> ping_reply;  // of the one that is under way
  member::HealingReports reports;
  std::optional<std::string> report_reply;  // of those that were sent last
  std::vector<cluster::Healing> untold;     // before `lead_wanted` is set
  Time beat_due;
  bool told_hears_leader = false;
  member::StateAge age;

  std::atomic<bool> stop{false};
  std::mutex pause_mutex;
  std::condition_variable stopped;
  // As long, or until the end.
  void pause(std::chrono::milliseconds longest) {
    std::unique_lock lock(pause_mutex);
    stopped.wait_for(lock, longest, [this] { return stop.load(); });
  }
  std::vector<std::thread> threads;
};

}  // namespace reeve::actors

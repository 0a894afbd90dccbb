// The tasks of a node: starts them, watches them, ends them, remembers them.
// Single-threaded; the server calls in when a descriptor or a timer is due.
#pragma once

#include <sys/resource.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/agent/keeper/cgroup.hpp"
#include "actors/agent/keeper/journal.hpp"
#include "actors/agent/keeper/kept_output.hpp"
#include "actors/agent/keeper/launch.hpp"
#include "actors/agent/keeper/output.hpp"
#include "actors/agent/keeper/privilege.hpp"
#include "actors/agent/keeper/protocol.hpp"
#include "actors/agent/keeper/sandbox.hpp"
#include "cluster/limits.hpp"

namespace reeve::keeper {

// Records kept, living and ended, until they are forgotten.
inline constexpr std::size_t tasks_max = 20'000;
// Tasks that run at one time; fewer where descriptors are scarce.
inline constexpr std::size_t live_tasks_max = 4096;
// Inits that wait for an order: so many starts in a row are quick.
inline constexpr std::size_t spare_inits_max = 4;
// Descriptors of one living task: two pipes, two files, a pidfd.
inline constexpr std::size_t descriptors_per_task = 5;
// Descriptors that do not belong to any task.
inline constexpr std::size_t descriptors_reserved = 256;
constexpr std::size_t live_tasks_of(std::size_t descriptors) {
  if (descriptors <= descriptors_reserved) return live_tasks_max;
  const std::size_t room =
      (descriptors - descriptors_reserved) / descriptors_per_task;
  return room < live_tasks_max ? room : live_tasks_max;
}
// Between the two signals to one that is cut off for too long: see
// cluster::cut_off_grace_ns.
inline constexpr std::uint32_t cut_off_grace_ms =
    cluster::cut_off_grace_ns / 1'000'000;
// Bytes taken from one stream at a time, so that none starves the others.
inline constexpr std::size_t pump_bytes_max = 64u << 10;

struct SupervisorPlaces {
  std::string directory;            // absolute, exists
  std::vector<std::string> hidden;  // further directories tasks must not see
  int daemon_pid = 0;
};

class Supervisor {
 public:
  using Emit = std::function<void(const Message&)>;
  // Asks to be told when `fd` has bytes: on_output(task id, stream).
  using Watch = std::function<void(int fd, std::uint32_t id, Stream stream)>;

  static Expected<std::unique_ptr<Supervisor>> open(SupervisorPlaces places,
                                                    Privilege privilege,
                                                    Emit emit, Watch watch);
  ~Supervisor();

  void handle(Launch order);
  void handle(const Stop& order);
  void handle(const Signal& order);
  void handle(const Forget& order);
  void handle(const KeepOutput& order);
  void handle(const Heard& news);
  std::vector<TaskStatus> statuses() const;
  Welcome welcome() const;
  // Of all tasks ever ordered.
  std::uint64_t newest_session() const { return newest_session_; }

  int report_fd() const { return report_read_.get(); }
  void on_reports();
  void on_children();
  void on_output(std::uint32_t id, Stream stream);
  // Ends what is cut off for too long, kills what has outlived its grace.
  void on_time(std::uint64_t now_ns);
  // Milliseconds until on_time has something to do; -1: never.
  int wait_ms(std::uint64_t now_ns) const;
  // Starts what waits, puts the journal on disk. At the end of each round,
  // before anything is said to anybody.
  void end_round();
  // Whether an init should be made ready for the next order, as soon as there
  // is nothing else to do.
  bool wants_spare() const;
  void make_spare();

  bool idle() const { return live_ == 0 && waiting_.empty(); }
  void stop_all(std::uint32_t grace_ms);

 private:
  struct Task;
  explicit Supervisor(SupervisorPlaces places, Privilege privilege, Emit emit,
                      Watch watch);
  Status prepare();
  Status adopt(Journal journal, JournalState state);
  void bury(JournalTask& task, const JournalState& state);

  Status admit(const TaskSpec& spec) const;
  Status admit_identity(const TaskSpec& spec) const;
  void repeat(const Task& task);
  void start_waiting();
  Status find_root();
  Expected<Init> new_init(const CgroupLimits& limits);
  Expected<Init> take_spare(const CgroupLimits& limits);
  void dismiss(Init init);
  void reaped(int pid);
  void start(Task& task);
  void run(Task& task, Init init);
  void fail_start(Task& task, std::string error);
  bool is_cut_off(const TaskSpec& spec, std::uint64_t now_ns) const;
  void end_cut_off(std::uint64_t now_ns);
  void write_note(Task& task);
  struct Ending;
  void finish(Task& task, const Ending& ending);
  ExitFacts facts_of(const Task& task, const Ending& ending);
  void pump(Task& task, Stream stream, bool to_the_end);
  void let_go(Task& task);
  void remove_scratch(const TaskKey& key);
  JournalState journal_state() const;
  TaskStatus status_of(const Task& task) const;
  Task* find(const TaskKey& key);

  SupervisorPlaces places_;
  Privilege privilege_;
  Emit emit_;
  Watch watch_;
  std::string boot_id_;
  std::string output_directory_;
  KeptOutput kept_output_;
  std::uint64_t newest_epoch_ = 0;
  std::uint64_t newest_session_ = 0;
  Forgotten forgotten_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<CgroupPool> groups_;
  std::unique_ptr<RootTemplate> root_;
  LaunchSetting setting_;
  Fd null_;
  Fd report_read_;
  Fd report_write_;
  std::unordered_map<TaskKey, std::unique_ptr<Task>, TaskKeyHash> tasks_;
  std::vector<Task*> by_id_;  // living tasks; null where free
  std::vector<std::uint32_t> free_ids_;
  std::unordered_map<int, Task*> by_pid_;
  std::deque<Init> spares_;
  bool spares_wanted_ = true;
  CgroupLimits spare_limits_;  // those of the last start
  // Each init of ours until it is waited for; only then is its group empty.
  std::unordered_map<int, int> group_of_;
  std::deque<TaskKey> waiting_;
  std::multimap<std::uint64_t, TaskKey> deadlines_;  // boot clock
  // When the cell is known to have heard of this host, by the boot clock; 0:
  // never. Living tasks by how long they may run on after it.
  std::uint64_t heard_ns_ = 0;
  std::set<std::pair<std::uint64_t, TaskKey>> cut_offs_;
  std::size_t live_ = 0;
  std::size_t live_max_ = live_tasks_max;
  std::size_t starting_ = 0;
  std::size_t starting_max_ = 4;
  std::string pump_buffer_;
};

}  // namespace reeve::keeper

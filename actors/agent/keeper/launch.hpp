// Starts one task: a small init as process 1 of its own namespaces, and the
// command as its child. The init passes signals on, reaps, and tells how the
// command ended; killing it ends the whole tree.
//
// An init is made before its order is known and waits for it inside its control
// group: entering that takes 10 to 20 ms on an idle machine (the kernel lets a
// grace period of RCU pass), the rest of a start about one.
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/protocol.hpp"
#include "actors/agent/keeper/step.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// What an init writes to the keeper's report pipe; small enough to be atomic.
struct Report {
  enum class Kind : std::uint32_t { started, failed, exited };
  TaskKey key;
  Kind kind = Kind::started;
  // started: 1 when the task runs in its private directory instead;
  // failed: the Step; exited: the wait status. Of the task's processes only
  // the init itself is left then.
  std::int32_t value = 0;
  std::int32_t error = 0;  // failed: errno; started: why not in its workdir
  // exited, of the whole tree:
  std::uint64_t cpu_ns = 0;
  std::uint64_t peak_process_bytes = 0;  // of the largest process
};

// What stays the same from task to task.
struct LaunchSetting {
  int null_fd = -1;
  int report_fd = -1;      // the write end, blocking
  int mounts_fd = -1;      // the prepared root (RootTemplate)
  bool user_mode = false;  // an ordinary user: one uid only, no groups
  bool reset_oom_score = false;
  rlimit open_files{};  // for tasks that ask for no limit of their own
  std::vector<std::string> hidden;  // host paths that no task may see
  std::vector<sock_filter> filter;
};

// Memory that an init shares with the keeper: where its order is written. Only
// the pages that are written cost anything.
class OrderPage {
 public:
  static constexpr std::size_t bytes_max = frame_bytes_max + (64u << 10);
  OrderPage() = default;
  OrderPage(OrderPage&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)) {}
  OrderPage& operator=(OrderPage&& other) noexcept;
  ~OrderPage();
  static Expected<OrderPage> make();
  // To the children made from now on it does not exist.
  void keep_from_children() const;
  char* data() const { return data_; }

 private:
  char* data_ = nullptr;
};

// An init, before its order and after. It ends when `order` is closed without
// one, and when the keeper ends.
struct Init {
  int pid = 0;
  int group = -1;             // of CgroupPool; the caller's
  std::uint64_t boot_ns = 0;  // when it was made
  Fd process;                 // pidfd
  Fd out;                     // read ends, non-blocking
  Fd err;
  Fd order;  // gets the order's size; closed once that is given
  OrderPage page;
};

// Where the private directory appears in a task.
inline constexpr const char* scratch_path = "/tmp/work";
// The name of an init in the process table.
inline constexpr const char* init_name = "reeve-init";

// Blocks only for the clone itself. The init enters the groups by these files
// and waits; what goes wrong there is told when it has its order.
Expected<Init> make_init(const LaunchSetting& setting,
                         const std::vector<std::string>& cgroup_entries);

// Never blocks; how it goes on is told through the report pipe. An error
// means that this init is dead and nothing was started.
Status give_order(Init& init, const LaunchOrder& order);

// Asks the init to pass `signo` to the command's process group.
Status pass_signal(int process_fd, int signo);

}  // namespace reeve::keeper

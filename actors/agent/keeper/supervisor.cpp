#include "actors/agent/keeper/supervisor.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/seccomp.hpp"
#include "actors/agent/keeper/supervisor_task.hpp"
#include "cluster/check.hpp"

namespace reeve::keeper {
namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;

// A stable name for the groups of one directory's keeper. In a container
// another directory may have the same path.
std::string group_name(const std::string& directory) {
  std::uint64_t hash = 14695981039346656037ull;
  const auto add = [&](std::string_view bytes) {
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211ull;
  };
  add(directory);
  struct stat place {};
  if (::stat(directory.c_str(), &place) == 0) {
    add(std::to_string(place.st_dev) + "." + std::to_string(place.st_ino));
  }
  char text[24];
  std::snprintf(text, sizeof text, "reeve-%08x",
                static_cast<unsigned>(hash ^ hash >> 32));
  return text;
}

}  // namespace

std::string cut_off_text(const TaskSpec& spec) {
  constexpr std::uint64_t ns_per_s = 1'000'000'000;
  return "this host has heard nothing of the cell for " +
         std::to_string(spec.cut_off_ns / ns_per_s) +
         " s, longer than its session allows";
}

Supervisor::Supervisor(SupervisorPlaces places, Privilege privilege, Emit emit,
                       Watch watch)
    : places_(std::move(places)),
      privilege_(std::move(privilege)),
      emit_(std::move(emit)),
      watch_(std::move(watch)),
      output_directory_(places_.directory + "/output"),
      kept_output_(output_directory_),
      pump_buffer_(pump_bytes_max, '\0') {}

Supervisor::~Supervisor() = default;

Expected<std::unique_ptr<Supervisor>> Supervisor::open(SupervisorPlaces places,
                                                       Privilege privilege,
                                                       Emit emit, Watch watch) {
  std::unique_ptr<Supervisor> self(
      new Supervisor(std::move(places), std::move(privilege), std::move(emit),
                     std::move(watch)));
  if (auto ready = self->prepare(); !ready) {
    return tl::unexpected(ready.error());
  }
  return self;
}

Status Supervisor::prepare() {
  ::mkdir(output_directory_.c_str(), 0700);
  JournalState state;
  auto journal = Journal::open(places_.directory + "/tasks.journal", state);
  if (!journal) return tl::unexpected(journal.error());
  boot_id_ = read_file("/proc/sys/kernel/random/boot_id").value_or("unknown");
  auto layout = find_cgroups(read_file("/proc/self/mountinfo").value_or(""),
                             read_file("/proc/self/cgroup").value_or(""));
  // Kills what an earlier keeper left in its groups.
  groups_ = std::make_unique<CgroupPool>(layout, group_name(places_.directory),
                                         places_.daemon_pid);
  if (auto adopted = adopt(std::move(*journal), std::move(state)); !adopted) {
    return adopted;
  }
  auto hidden = places_.hidden;
  hidden.push_back(places_.directory);
  setting_.hidden = hidden;
  root_ = std::make_unique<RootTemplate>(hidden);
  if (auto mounts = root_->current(); !mounts) {
    return tl::unexpected(mounts.error());
  }
  int report[2];
  null_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null_ || ::pipe2(report, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("opening /dev/null and a pipe", errno));
  }
  report_read_.reset(report[0]);
  report_write_.reset(report[1]);
  ::fcntl(report[0], F_SETFL, O_NONBLOCK);
  setting_.null_fd = null_.get();
  setting_.report_fd = report_write_.get();
  setting_.user_mode = privilege_.user_mode;
  setting_.reset_oom_score = privilege_.reset_oom_score;
  setting_.open_files = privilege_.open_files;
  setting_.filter = denied_calls_filter();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  live_max_ = live_tasks_of(files.rlim_cur);
  auto cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  starting_max_ = static_cast<std::size_t>(std::max(2L, 2 * cpus));
  return {};
}

Welcome Supervisor::welcome() const {
  Welcome welcome;
  welcome.pid = static_cast<std::uint32_t>(::getpid());
  welcome.newest_epoch = newest_epoch_;
  welcome.limits = privilege_.limits;
  for (const auto& limit : groups_->limits()) welcome.limits.push_back(limit);
  return welcome;
}

Supervisor::Task* Supervisor::find(const TaskKey& key) {
  auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : found->second.get();
}

Status Supervisor::admit_identity(const TaskSpec& spec) const {
  if (!privilege_.user_mode) return {};
  if (spec.uid == privilege_.uid && spec.gid == privilege_.gid) return {};
  return fail(Errc::unsupported,
              "this node's daemon is not root and runs tasks as user " +
                  std::to_string(privilege_.uid) + ", group " +
                  std::to_string(privilege_.gid) + " only, not as " +
                  std::to_string(spec.uid) + ":" + std::to_string(spec.gid));
}

Status Supervisor::admit(const TaskSpec& spec) const {
  if (spec.epoch < newest_epoch_) {
    return fail(Errc::rejected,
                "the order is of epoch " + std::to_string(spec.epoch) +
                    ", but epoch " + std::to_string(newest_epoch_) +
                    " has been seen: another manager leads");
  }
  if (forgotten_.has(spec.key)) {
    return fail(Errc::rejected, "task " + to_string(spec.key) +
                                    " has ended and was acknowledged; it is "
                                    "not started again");
  }
  if (spec.argv.empty() || spec.argv.front().empty()) {
    return fail(Errc::usage, "the order names no command");
  }
  std::size_t bytes = 0;
  for (const auto& text : spec.argv) bytes += text.size() + 1;
  for (const auto& text : spec.env) bytes += text.size() + 1;
  if (bytes > command_bytes_max) {
    return fail(Errc::usage, "arguments and environment have " +
                                 std::to_string(bytes) + " bytes; at most " +
                                 std::to_string(command_bytes_max) +
                                 " are allowed");
  }
  for (const auto& path : spec.device_paths) {
    if (!path.starts_with("/dev/") || path.find("/..") != std::string::npos) {
      return fail(Errc::usage, "a device is a path below /dev, not " + path);
    }
  }
  if (!spec.share_library.empty()) {
    if (auto wrong = gpu::share::wrong_shares(spec.gpus); !wrong.empty()) {
      return fail(Errc::usage, wrong);
    }
  }
  if (tasks_.size() >= tasks_max) {
    return fail(Errc::busy, "this node already keeps " +
                                std::to_string(tasks_max) +
                                " tasks; try again when some are "
                                "acknowledged");
  }
  return admit_identity(spec);
}

void Supervisor::handle(Launch order) {
  const auto key = order.spec.key;
  auto* known = find(key);
  if (known && order.spec.epoch >= newest_epoch_) {
    repeat(*known);
    return;
  }
  if (auto admitted = admit(order.spec); !admitted) {
    emit_(Refused{key, admitted.error().code, admitted.error().text});
    return;
  }
  if (order.spec.epoch > newest_epoch_) {
    newest_epoch_ = order.spec.epoch;
    journal_->epoch(newest_epoch_);
  }
  newest_session_ = std::max(newest_session_, key.session);
  auto task = std::make_unique<Task>(std::move(order.spec), output_directory_);
  tasks_.emplace(key, std::move(task));
  waiting_.push_back(key);
}

// Whoever orders a known task again hears how it stands.
void Supervisor::repeat(const Task& task) {
  switch (task.state) {
    case TaskState::queued: return;
    case TaskState::running:
      if (!task.told_started) return;
      emit_(Started{task.spec.key, task.pid, task.started_at, task.note});
      return;
    case TaskState::exited: emit_(Exited{task.spec.key, task.exit}); return;
    case TaskState::start_failed:
      emit_(StartFailed{task.spec.key, task.error});
      return;
  }
}

void Supervisor::handle(const Stop& order) {
  auto* task = find(order.key);
  if (!task) {
    emit_(Refused{order.key, Errc::not_found,
                  "there is no task " + to_string(order.key) + " here"});
    return;
  }
  if (task->state == TaskState::queued) {
    fail_start(*task, "stopped before it was started");
    return;
  }
  if (task->state != TaskState::running) return;
  auto deadline = boot_now_ns() + order.grace_ms * ns_per_ms;
  deadlines_.emplace(deadline, order.key);
  if (task->stopping) return;
  task->stopping = true;
  if (order.grace_ms == 0) return;
  (void)pass_signal(task->process.get(), SIGTERM);
  (void)pass_signal(task->process.get(), SIGCONT);
}

void Supervisor::handle(const Signal& order) {
  auto* task = find(order.key);
  if (!task || task->state != TaskState::running) {
    emit_(Refused{order.key, Errc::not_found,
                  "task " + to_string(order.key) + " is not running here"});
    return;
  }
  if (order.signo <= 0 || order.signo > SIGRTMAX) {
    emit_(Refused{order.key, Errc::usage,
                  "there is no signal " + std::to_string(order.signo)});
    return;
  }
  auto passed = pass_signal(task->process.get(), order.signo);
  if (!passed) emit_(Refused{order.key, Errc::io, passed.error().text});
}

void Supervisor::handle(const Forget& order) {
  auto* task = find(order.key);
  if (!task) return;  // said twice
  if (task->state == TaskState::queued || task->state == TaskState::running) {
    emit_(Refused{order.key, Errc::rejected,
                  "task " + to_string(order.key) +
                      " has not ended and cannot be forgotten"});
    return;
  }
  journal_->forgotten(order.key);
  forgotten_.add(order.key);
  if (task->in_scratch) remove_scratch(order.key);
  tasks_.erase(order.key);
  kept_output_.add(order.key);
}

void Supervisor::handle(const KeepOutput& order) {
  kept_output_.set_bytes_max(order.bytes_max);
}

void Supervisor::handle(const Heard& news) {
  heard_ns_ = std::max(heard_ns_, std::min(news.boot_ns, boot_now_ns()));
}

bool Supervisor::is_cut_off(const TaskSpec& spec, std::uint64_t now_ns) const {
  return spec.cut_off_ns != 0 && heard_ns_ != 0 &&
         heard_ns_ + spec.cut_off_ns <= now_ns;
}

// It may be started on another host when it must have ended here.
void Supervisor::end_cut_off(std::uint64_t now_ns) {
  while (!cut_offs_.empty()) {
    auto* task = find(cut_offs_.begin()->second);
    if (task && !is_cut_off(task->spec, now_ns)) return;
    cut_offs_.erase(cut_offs_.begin());
    if (!task || task->state != TaskState::running) continue;
    task->cut_off = true;
    log_line("task " + to_string(task->spec.key) +
             " is ended: " + cut_off_text(task->spec));
    handle(Stop{task->spec.key, cut_off_grace_ms});
  }
}

void Supervisor::remove_scratch(const TaskKey& key) {
  auto path = places_.directory + "/scratch/" + to_string(key);
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return;
  // What a user left may be large: not in this process's time.
  if (::fork() == 0) remove_tree_and_exit(path);
}

TaskStatus Supervisor::status_of(const Task& task) const {
  return {task.spec.key, task.state, task.pid,  task.started_at,
          task.exit,     task.error, task.note, task.spec.gpus};
}

std::vector<TaskStatus> Supervisor::statuses() const {
  std::vector<TaskStatus> all;
  all.reserve(tasks_.size());
  for (const auto& [key, task] : tasks_) all.push_back(status_of(*task));
  return all;
}

void Supervisor::on_time(std::uint64_t now_ns) {
  end_cut_off(now_ns);
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    auto key = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    auto* task = find(key);
    if (!task || task->state != TaskState::running || !task->process) continue;
    task->killed = true;
    ::syscall(SYS_pidfd_send_signal, task->process.get(), SIGKILL, nullptr, 0);
  }
}

int Supervisor::wait_ms(std::uint64_t now_ns) const {
  constexpr std::uint64_t never = ~std::uint64_t{0};
  auto due = deadlines_.empty() ? never : deadlines_.begin()->first;
  if (!cut_offs_.empty() && heard_ns_ != 0) {
    due = std::min(due, heard_ns_ + cut_offs_.begin()->first);
  }
  if (due == never) return -1;
  if (due <= now_ns) return 0;
  return static_cast<int>(
      std::min<std::uint64_t>((due - now_ns) / ns_per_ms + 1, 60'000));
}

void Supervisor::stop_all(std::uint32_t grace_ms) {
  std::vector<TaskKey> keys;
  for (const auto& [key, task] : tasks_) {
    if (task->state == TaskState::queued || task->state == TaskState::running) {
      keys.push_back(key);
    }
  }
  for (const auto& key : keys) handle(Stop{key, grace_ms});
}

void Supervisor::end_round() {
  start_waiting();
  if (auto flushed = journal_->flush(); !flushed) {
    log_line("the journal cannot be written; it is tried again: " +
             flushed.error().text);
  }
  if (!journal_->wants_compaction()) return;
  if (auto written = journal_->rewrite(journal_state()); !written) {
    log_line("the journal cannot be compacted: " + written.error().text);
  }
}

}  // namespace reeve::keeper

// What a keeper does with the journal of the one before it: tasks died with
// that one (their inits ask for it), so what has no end is lost.
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "actors/agent/keeper/supervisor_task.hpp"
#include "cluster/process_stat.hpp"

namespace reeve::keeper {
namespace {

// The pid may be another's by now: only an init of that moment is ours.
bool is_init_of(int pid, std::uint64_t boot_ns) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
  const auto stat = cluster::process_stat(text);
  if (!stat || stat->name != init_name || stat->has_ended()) return false;
  auto hertz = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  auto expected = boot_ns / (1'000'000'000u / hertz);
  constexpr std::uint64_t slack_ticks = 200;  // a start may take a while
  return stat->start_ticks + 1 >= expected &&
         stat->start_ticks <= expected + slack_ticks;
}

void kill_init(int pid, std::uint64_t boot_ns) {
  constexpr int tries_max = 500;  // five seconds
  for (int tries = 0; tries < tries_max && is_init_of(pid, boot_ns); ++tries) {
    ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, 10);
  }
}

int remove_one(const char* path, const struct stat*, int, struct FTW*) {
  (void)::remove(path);
  return 0;
}

}  // namespace

void log_line(const std::string& text) {
  char when[32];
  auto now = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  ::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
  std::fprintf(stderr, "%s keeper: %s\n", when, text.c_str());
}

void remove_tree_and_exit(const std::string& path) {
  // The loop would hear of the ends of pipes and connections that the keeper
  // has closed, again and again, while somebody holds them.
  ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
  constexpr int descriptors_max = 16;
  ::nftw(path.c_str(), remove_one, descriptors_max,
         FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  ::_exit(0);
}

void Supervisor::bury(JournalTask& task, const JournalState& state) {
  bool same_boot = state.boot_id == boot_id_;
  if (same_boot && task.status.pid > 0) {
    kill_init(task.status.pid, task.boot_ns);
  }
  auto& facts = task.status.exit;
  facts.lost = true;
  facts.started_at = task.status.started_at;
  facts.ended_at = unix_now_ns();
  facts.detail = same_boot ? "the keeper of this node ended while the task "
                             "ran, and the task with it"
                           : "the machine was restarted while the task ran";
  task.status.state = TaskState::exited;
}

Status Supervisor::adopt(Journal journal, JournalState state) {
  if (!journal.warning().empty()) {
    log_line(journal.warning());
    privilege_.limits.push_back(journal.warning());
  }
  for (auto& [key, known] : state.tasks) {
    if (known.status.state == TaskState::running) bury(known, state);
    TaskSpec spec;
    spec.key = key;
    auto task = std::make_unique<Task>(std::move(spec), output_directory_);
    task->state = known.status.state;
    task->pid = known.status.pid;
    task->started_at = known.status.started_at;
    // An older keeper wrote texts of any length.
    task->exit = known.status.exit;
    task->exit.detail =
        cut_text(std::move(task->exit.detail), task_text_bytes_max);
    task->error = cut_text(known.status.error, task_text_bytes_max);
    task->in_scratch = true;  // perhaps; forgetting it looks
    tasks_.emplace(key, std::move(task));
  }
  newest_epoch_ = state.newest_epoch;
  forgotten_ = state.forgotten;
  for (const auto& [key, task] : tasks_)
    newest_session_ = std::max(newest_session_, key.session);
  for (const auto& key : forgotten_.order())
    newest_session_ = std::max(newest_session_, key.session);
  kept_output_.find(
      [this](const TaskKey& key) { return tasks_.contains(key); });
  journal_ = std::make_unique<Journal>(std::move(journal));
  return journal_->rewrite(journal_state());
}

JournalState Supervisor::journal_state() const {
  JournalState state;
  state.boot_id = boot_id_;
  state.newest_epoch = newest_epoch_;
  state.forgotten = forgotten_;
  for (const auto& [key, task] : tasks_) {
    if (task->state == TaskState::queued) continue;
    state.tasks[key] = {status_of(*task), task->boot_ns};
  }
  return state;
}

}  // namespace reeve::keeper

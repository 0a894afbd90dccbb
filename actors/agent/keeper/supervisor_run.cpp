// The life of a task from its order to its end.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/supervisor_task.hpp"
#include "cluster/check.hpp"

namespace reeve::keeper {

void Supervisor::start_waiting() {
  if (waiting_.empty() || starting_ >= starting_max_ || live_ >= live_max_) {
    return;
  }
  auto room = std::min(starting_max_ - starting_, live_max_ - live_);
  std::vector<Task*> batch;
  while (!waiting_.empty() && batch.size() < room) {
    auto* task = find(waiting_.front());
    waiting_.pop_front();
    if (task && task->state == TaskState::queued) batch.push_back(task);
  }
  if (batch.empty()) return;
  auto root = find_root();
  // On disk before it is done: no key is ever started twice.
  Status written = journal_->flush();
  if (written) {
    for (auto* task : batch) {
      task->started_at = unix_now_ns();
      journal_->launched(task->spec.key, task->started_at);
    }
    written = journal_->flush();
    if (!written) journal_->discard();
  }
  for (auto* task : batch) {
    if (!written) {
      emit_(Refused{task->spec.key, Errc::no_space,
                    "the journal of tasks cannot be written, so nothing is "
                    "started: " +
                        written.error().text});
      tasks_.erase(task->spec.key);
    } else if (!root) {
      fail_start(*task, root.error().text);
    } else if (is_cut_off(task->spec, boot_now_ns())) {
      fail_start(*task, cut_off_text(task->spec));
    } else {
      start(*task);
    }
  }
}

// What waits in an older copy of the host's mounts is of no use.
Status Supervisor::find_root() {
  auto mounts = root_->current();
  if (!mounts) return tl::unexpected(mounts.error());
  if (*mounts == setting_.mounts_fd) return {};
  setting_.mounts_fd = *mounts;
  for (auto& spare : std::exchange(spares_, {})) dismiss(std::move(spare));
  return {};
}

Expected<Init> Supervisor::new_init(const CgroupLimits& limits) {
  auto group = groups_->take(limits);
  if (!group) return tl::unexpected(group.error());
  auto init = make_init(setting_, groups_->entries(*group));
  if (!init) {
    groups_->release(*group);
    return init;
  }
  init->group = *group;
  group_of_[init->pid] = *group;
  return init;
}

Expected<Init> Supervisor::take_spare(const CgroupLimits& limits) {
  auto init = std::move(spares_.front());
  spares_.pop_front();
  if (auto limited = groups_->limit(init.group, limits); !limited) {
    dismiss(std::move(init));
    return tl::unexpected(limited.error());
  }
  return init;
}

void Supervisor::dismiss(Init init) {
  ::syscall(SYS_pidfd_send_signal, init.process.get(), SIGKILL, nullptr, 0);
}

void Supervisor::reaped(int pid) {
  std::erase_if(spares_, [&](const Init& spare) { return spare.pid == pid; });
  auto found = group_of_.find(pid);
  if (found == group_of_.end()) return;
  groups_->release(found->second);
  group_of_.erase(found);
}

bool Supervisor::wants_spare() const {
  return spares_wanted_ && waiting_.empty() && starting_ == 0;
}

void Supervisor::make_spare() {
  auto root = find_root();
  // Why it cannot be had, the next start will tell.
  auto init = root ? new_init(spare_limits_) : tl::unexpected(root.error());
  if (init) spares_.push_back(std::move(*init));
  spares_wanted_ = init && spares_.size() < spare_inits_max;
}

void Supervisor::start(Task& task) {
  const CgroupLimits limits{task.spec.memory_bytes, task.spec.cpu_milli,
                            task.spec.pids_max,
                            device_numbers(task.spec.device_paths)};
  spare_limits_ = limits;
  spares_wanted_ = true;
  const LaunchOrder order{
      task.spec, places_.directory + "/scratch/" + to_string(task.spec.key)};
  for (;;) {
    bool waited = !spares_.empty();
    auto init = waited ? take_spare(limits) : new_init(limits);
    if (!init) return fail_start(task, init.error().text);
    auto given = give_order(*init, order);
    if (given) return run(task, std::move(*init));
    dismiss(std::move(*init));
    // Something has killed it while it waited; a new one is alive.
    if (!waited) return fail_start(task, given.error().text);
  }
}

void Supervisor::run(Task& task, Init init) {
  task.state = TaskState::running;
  task.pid = init.pid;
  task.group = init.group;
  task.boot_ns = init.boot_ns;
  task.process = std::move(init.process);
  task.out = std::move(init.out);
  task.err = std::move(init.err);
  task.starting = true;
  task.in_scratch = task.spec.workdir.empty();
  ++starting_;
  ++live_;
  by_pid_[task.pid] = &task;
  if (free_ids_.empty()) {
    task.id = static_cast<std::uint32_t>(by_id_.size());
    by_id_.push_back(&task);
  } else {
    task.id = free_ids_.back();
    free_ids_.pop_back();
    by_id_[task.id] = &task;
  }
  watch_(task.out.get(), task.id, Stream::out);
  watch_(task.err.get(), task.id, Stream::err);
  if (task.spec.cut_off_ns != 0)
    cut_offs_.emplace(task.spec.cut_off_ns, task.spec.key);
  journal_->running(task.spec.key, task.pid, task.boot_ns);
}

void Supervisor::fail_start(Task& task, std::string error) {
  task.state = TaskState::start_failed;
  task.error = cut_text(std::move(error), task_text_bytes_max);
  task.drop_strings();
  task.spec.gpus = {};
  journal_->start_failed(task.spec.key, task.error);
  emit_(StartFailed{task.spec.key, task.error});
}

namespace {

// Of a name within a sentence, so that the rest of that is read, too.
constexpr std::size_t named_bytes = 256;

std::string_view variable(const TaskSpec& spec, std::string_view name) {
  for (std::string_view entry : spec.env) {
    if (entry.size() > name.size() && entry.starts_with(name) &&
        entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

std::string describe_workdir(const TaskSpec& spec, int error) {
  auto node = variable(spec, "REEVE_NODE");
  auto text = "working directory " + cut_text(spec.workdir, named_bytes);
  auto where = " on " + std::string(node.empty() ? "this node" : node);
  if (error == ENOENT) return text + " does not exist" + where;
  return text + " cannot be entered" + where + ": " + std::strerror(error);
}

std::string describe_failure(const TaskSpec& spec, StepResult failure) {
  if (failure.step == Step::workdir && !spec.workdir.empty()) {
    return describe_workdir(spec, failure.error);
  }
  if (failure.step != Step::command) return describe(failure);
  const auto& given = spec.argv.front();
  const auto name = cut_text(given, named_bytes);
  if (failure.error == ENOENT && given.find('/') == std::string::npos) {
    std::string path = "the default path";
    for (const auto& entry : spec.env) {
      if (entry.starts_with("PATH=")) path = entry;
    }
    return "command \"" + name + "\" was not found in " + path;
  }
  return "command \"" + name +
         "\" cannot be executed: " + std::strerror(failure.error);
}

}  // namespace

// Before anything of the task's own: whoever reads its errors reads this.
void Supervisor::write_note(Task& task) {
  auto line = "reeve: " + task.note + '\n';
  auto offset = task.err_file.end();
  (void)task.err_file.append(line);
  emit_(Output{task.spec.key, Stream::err, offset, std::move(line)});
}

void Supervisor::on_reports() {
  Report reports[64];
  for (;;) {
    auto got = ::read(report_read_.get(), reports, sizeof reports);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    REEVE_CHECK(static_cast<std::size_t>(got) % sizeof(Report) == 0,
                "a torn report of " + std::to_string(got) + " bytes");
    for (std::size_t at = 0; at < got / sizeof(Report); ++at) {
      const auto& report = reports[at];
      auto* task = find(report.key);
      if (!task || task->state != TaskState::running) continue;
      if (std::exchange(task->starting, false)) --starting_;
      switch (report.kind) {
        case Report::Kind::started:
          task->told_started = true;
          if (report.value != 0) {
            task->in_scratch = true;
            task->note = cut_text(describe_workdir(task->spec, report.error) +
                                      "; the task runs in " + scratch_path +
                                      ", which is private and temporary",
                                  task_text_bytes_max);
            write_note(*task);
          }
          task->drop_strings();
          emit_(Started{report.key, task->pid, task->started_at, task->note});
          break;
        case Report::Kind::failed:
          task->error = describe_failure(
              task->spec, {static_cast<Step>(report.value), report.error});
          break;
        case Report::Kind::exited:
          finish(*task, {true, report.value, report.cpu_ns,
                         report.peak_process_bytes});
          break;
      }
    }
  }
}

void Supervisor::on_children() {
  struct Ended {
    int pid;
    int status;
    rusage used;
  };
  std::vector<Ended> ended;
  Ended next{};
  while ((next.pid = ::wait4(-1, &next.status, WNOHANG, &next.used)) > 0) {
    ended.push_back(next);
  }
  // What an init said before its end is in the pipe by now.
  on_reports();
  for (const auto& each : ended) {
    auto found = by_pid_.find(each.pid);
    if (found != by_pid_.end()) {
      constexpr std::uint64_t kib = 1024;
      finish(*found->second,
             {false, each.status, cpu_ns_of(each.used),
              static_cast<std::uint64_t>(each.used.ru_maxrss) * kib});
    }
    reaped(each.pid);
  }
}

ExitFacts Supervisor::facts_of(const Task& task, const Ending& ending) {
  ExitFacts facts;
  facts.started_at = task.started_at;
  facts.ended_at = unix_now_ns();
  auto usage = groups_->usage(task.group);
  facts.cpu_ns = usage.cpu_ns ? usage.cpu_ns : ending.cpu_ns;
  facts.peak_memory_bytes = usage.peak_memory_bytes ? usage.peak_memory_bytes
                                                    : ending.peak_process_bytes;
  if (WIFSIGNALED(ending.status)) {
    facts.signal = WTERMSIG(ending.status);
    facts.exit_code = 128 + facts.signal;
  } else {
    facts.exit_code = WEXITSTATUS(ending.status);
  }
  // It ended well, but not by itself: it is not done.
  if (task.cut_off && facts.exit_code == 0) {
    facts.signal = SIGTERM;
    facts.exit_code = 128 + SIGTERM;
  }
  facts.memory_killed = usage.memory_kills > 0 && facts.exit_code != 0;
  if (usage.memory_kills > 0) {
    facts.detail = std::to_string(usage.memory_kills) +
                   " process(es) killed at the memory limit of " +
                   std::to_string(task.spec.memory_bytes) + " bytes";
  } else if (task.cut_off) {
    facts.detail = cut_off_text(task.spec);
  } else if (task.killed) {
    facts.detail = "killed by order, at the end of its time to stop";
  } else if (task.stopping) {
    facts.detail = "stopped by order";
  }
  return facts;
}

void Supervisor::finish(Task& task, const Ending& ending) {
  // Every process that could write is gone; what is in the pipes is the rest.
  pump(task, Stream::out, true);
  pump(task, Stream::err, true);
  auto facts = facts_of(task, ending);
  let_go(task);
  if (task.told_started || ending.of_command) {
    task.state = TaskState::exited;
    task.exit = facts;
    journal_->exited(task.spec.key, facts);
    emit_(Exited{task.spec.key, facts});
    return;
  }
  auto error = std::move(task.error);
  if (error.empty()) {
    error = facts.memory_killed || facts.signal == 0
                ? "it ended before its command ran: " + facts.detail
                : "it was killed before its command ran";
  }
  fail_start(task, std::move(error));
}

void Supervisor::let_go(Task& task) {
  if (std::exchange(task.starting, false)) --starting_;
  --live_;
  task.group = -1;  // its init has it until that is reaped
  cut_offs_.erase({task.spec.cut_off_ns, task.spec.key});
  by_pid_.erase(task.pid);
  by_id_[task.id] = nullptr;
  free_ids_.push_back(task.id);
  task.spec.gpus = {};
  task.process.reset();
  task.out.reset();
  task.err.reset();
  task.out_file.close();
  task.err_file.close();
}

void Supervisor::on_output(std::uint32_t id, Stream stream) {
  // A task may have ended in the same round.
  if (id < by_id_.size() && by_id_[id]) pump(*by_id_[id], stream, false);
}

void Supervisor::pump(Task& task, Stream stream, bool to_the_end) {
  auto& pipe = stream == Stream::out ? task.out : task.err;
  auto& file = stream == Stream::out ? task.out_file : task.err_file;
  while (pipe) {
    auto got = ::read(pipe.get(), pump_buffer_.data(), pump_buffer_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      pipe.reset();
      return;
    }
    std::string_view bytes(pump_buffer_.data(), static_cast<std::size_t>(got));
    auto offset = file.end();
    auto written = file.append(bytes);
    if (!written && !std::exchange(task.output_warned, true)) {
      log_line("output of task " + to_string(task.spec.key) +
               " is being dropped: " + written.error().text);
    }
    emit_(Output{task.spec.key, stream, offset, std::string(bytes)});
    if (!to_the_end) return;
  }
}

}  // namespace reeve::keeper

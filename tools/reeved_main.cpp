// reeved: the node daemon. SIGTERM and SIGINT end the cell with its tasks;
// SIGUSR1 ends the daemon alone: tasks go on and the next daemon takes them
// up (RestartKillSignal of the systemd unit).
#include <fmt/format.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>

#include "cluster/process_stat.hpp"
#include "store/advice.hpp"
#include "tools/config/config.hpp"
#include "tools/daemon/daemon.hpp"
#include "tools/program.hpp"
#include "tools/standard_files.hpp"

namespace {

using namespace reeve;
using namespace reeve::tools;
namespace fs = std::filesystem;

// How long the cell's tasks may take to end.
constexpr std::chrono::seconds stop_time_max{20};
// And until those that were killed are told to have ended.
constexpr std::chrono::seconds kill_time_max{10};

// Under load a thread that is woken waits for its turn instead of interrupting
// whoever runs: what comes meanwhile is one report, one commit, one write. An
// idle machine runs it at once all the same. Threads and the bus server
// inherit it.
void be_patient() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
}

// What the main thread waits for. Actors speak to it through SIGUSR2.
enum class News { none, end_cell, end_daemon, stopped };

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2})
    sigaddset(&set, number);
  return set;
}

// `none` after `longest`; 0 waits for ever.
News wait_news(std::chrono::milliseconds longest) {
  const sigset_t set = watched_signals();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(longest);
  const timespec limit{seconds.count(),
                       std::chrono::nanoseconds(longest - seconds).count()};
  const int number = longest.count() > 0 ? ::sigtimedwait(&set, nullptr, &limit)
                                         : ::sigwaitinfo(&set, nullptr);
  switch (number) {
    case SIGTERM:
    case SIGINT: return News::end_cell;
    case SIGUSR1: return News::end_daemon;
    case SIGUSR2: return News::stopped;
    default: return News::none;
  }
}

std::uint64_t own_start_ticks() {
  std::ifstream in("/proc/self/stat");
  std::string text;
  std::getline(in, text);
  const auto stat = cluster::process_stat(text);
  return stat ? stat->start_ticks : 0;
}

// For `reeve`: which process serves, and where its tasks have their files.
Status write_pid_file(const fs::path& data, const std::string& runtime_dir) {
  const fs::path file = data / "reeved.pid";
  const fs::path fresh = data / "reeved.pid.new";
  std::ofstream out(fresh);
  out << ::getpid() << ' ' << own_start_ticks() << '\n' << runtime_dir << '\n';
  out.close();
  std::error_code broken;
  fs::rename(fresh, file, broken);
  if (!out || broken)
    return fail(Errc::io, fmt::format("cannot write {}", file.string()));
  return {};
}

int complain(const Error& error) {
  std::cerr << "reeved: " << error.text << '\n';
  return exit_code(error.code);
}

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Until the cell is told to end. Returns what may go on without us.
Daemon::Leave serve(Daemon& daemon) {
  News news = News::none;
  while (news != News::end_cell && news != News::end_daemon)
    news = wait_news({});
  if (news == News::end_daemon) return Daemon::Leave::tasks;
  spdlog::info("the cell is told to end");
  daemon.stop_tasks();
  if (wait_news(stop_time_max) == News::none) {
    spdlog::warn("tasks have not ended within {} s; they are killed",
                 stop_time_max.count());
    daemon.kill_tasks();
    (void)wait_news(kill_time_max);
  }
  return Daemon::Leave::nothing;
}

// All threads end on the spot; what is open is closed by the kernel.
[[noreturn]] void start_anew(const fs::path& program, char** argv,
                             const std::string& why) {
  spdlog::warn("{}; the daemon starts anew", why);
  std::fflush(nullptr);
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execv((program / "reeved").c_str(), argv);
  spdlog::critical("cannot start reeved anew: {}", std::strerror(errno));
  ::_exit(1);
}

int run(DaemonOptions options, char** argv) {
  options.start_anew = [program = options.programs,
                        argv](const std::string& why) {
    start_anew(program, argv, why);
  };
  options.on_fatal = [](const std::string& text) {
    spdlog::critical(
        "a commit failed, its outcome is unknown: {}. The daemon ends; "
        "started again it reads what is on disk",
        text);
    // Nothing more may be said or done on what is not known to be kept.
    std::fflush(nullptr);
    ::_exit(1);
  };
  options.on_stopped = [] { ::kill(::getpid(), SIGUSR2); };
  std::atomic<bool> expelled{false};
  options.on_expelled = [&expelled](const std::string& text) {
    spdlog::critical("{}. This host ends, and its tasks with it", text);
    expelled = true;
    ::kill(::getpid(), SIGTERM);
  };
  options.told_to_end =
      [](std::chrono::milliseconds wait) -> std::optional<Leave> {
    const News news = wait_news(wait);
    if (news == News::none) return std::nullopt;
    return news == News::end_cell ? Leave::nothing : Leave::tasks;
  };
  const fs::path data = options.data;
  const std::string runtime_dir = options.config.agent.runtime_dir;
  auto daemon = Daemon::start(std::move(options));
  std::error_code ignored;
  if (expelled) fs::remove(data / "reeved.pid", ignored);
  if (!daemon) {
    const int code = complain(store::with_advice(daemon.error(), data));
    return expelled ? removed_exit_code : code;
  }
  if (auto written = write_pid_file(data, runtime_dir); !written) {
    (*daemon)->finish(Daemon::Leave::tasks);
    return complain(written.error());
  }
  spdlog::info("serving {}", data.string());
  const Daemon::Leave leave = serve(**daemon);
  (*daemon)->finish(leave);
  // Where tasks go on it says where their keeper is.
  if (leave == Daemon::Leave::nothing) fs::remove(data / "reeved.pid", ignored);
  spdlog::info("ended");
  return expelled ? removed_exit_code : 0;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files(ClosedOutput::is_lost);
  CLI::App app{"The node daemon of a Reeve cell. `reeve up` starts it."};
  std::string data;
  std::string config_file;
  std::uint32_t port = 0;
  app.add_option("--data", data, "directory of the cell (required)");
  app.add_option("--port", port, "port of the bus on loopback; 0: any free");
  app.add_option("--config", config_file, "settings; default DATA/cell.toml");
  app.set_version_flag("--version", "reeved " + this_program().version);
  try {
    app.parse(argc, argv);
    // Not CLI11's own look at it, which comes before that at unknown options.
    if (data.empty()) throw CLI::RequiredError("--data");
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  sigset_t blocked = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  raise_open_files();
  be_patient();
  spdlog::set_default_logger(spdlog::stderr_logger_mt("reeved"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::flush_on(spdlog::level::info);

  DaemonOptions options;
  std::error_code ignored;
  fs::create_directories(data, ignored);
  options.data = fs::absolute(data);
  options.programs = fs::read_symlink("/proc/self/exe").parent_path();
  if (config_file.empty() && fs::exists(options.data / "cell.toml", ignored))
    config_file = (options.data / "cell.toml").string();
  if (!config_file.empty()) {
    auto config = load_config(config_file);
    if (!config) return complain(config.error());
    options.config = std::move(*config);
  }
  if (port != 0) options.config.port = port;
  return run(std::move(options), argv);
}

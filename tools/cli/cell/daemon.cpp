#include "tools/cli/cell/daemon.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "cluster/process_stat.hpp"
#include "store/layout.hpp"
#include "store/owner.hpp"

namespace reeve::tools {
namespace {

using std::string;
namespace fs = std::filesystem;

constexpr std::size_t tail_lines = 15;
constexpr std::streamoff tail_bytes = 16 << 10;

string name_of(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/comm", pid));
  string name;
  std::getline(in, name);
  return name;
}

string stat_text(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  string text;
  std::getline(in, text);
  return text;
}

// Killed, and its last threads may still close its files.
bool has_ended(pid_t pid) {
  const string text = stat_text(pid);
  const auto stat = cluster::process_stat(text);
  return !stat || stat->has_ended();
}

// 0: it is gone.
std::uint64_t process_start_ticks(pid_t pid) {
  const string text = stat_text(pid);
  const auto stat = cluster::process_stat(text);
  return stat ? stat->start_ticks : 0;
}

// In the child: no fault here can be told but by the exit.
[[noreturn]] void become(const DaemonStart& start, char** argv) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  if (start.detach) {
    ::setsid();
    const int log = ::open(start.log.c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) ::_exit(126);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
  } else {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  }
  ::execv(argv[0], argv);
  const char text[] = "cannot start reeved: it is installed beside reeve\n";
  const auto ignored = ::write(STDERR_FILENO, text, sizeof text - 1);
  ::_exit(ignored < 0 ? 126 : 127);
}

// Someone may have cut the file off since.
string log_tail(const fs::path& file, std::uintmax_t from) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return {};
  const std::streamoff size = in.tellg();
  auto begin = static_cast<std::streamoff>(from);
  if (begin > size) begin = 0;
  in.seekg(std::max(begin, size - tail_bytes));
  std::vector<string> lines;
  for (string line; std::getline(in, line);) lines.push_back(line);
  string out;
  const std::size_t first =
      lines.size() > tail_lines ? lines.size() - tail_lines : 0;
  for (std::size_t i = first; i < lines.size(); ++i)
    out += fmt::format("  {}\n", lines[i]);
  return out;
}

}  // namespace

fs::path daemon_pid_file(const fs::path& data) {
  return data / "reeved.pid";
}
fs::path daemon_log_file(const fs::path& data) {
  return data / "reeved.log";
}
fs::path cell_file(const fs::path& data) {
  return data / "cell.toml";
}

bool is_stopped(pid_t pid) {
  const string text = stat_text(pid);
  const auto stat = cluster::process_stat(text);
  return stat && stat->is_stopped();
}

std::optional<DaemonPid> living_daemon(const fs::path& data) {
  std::ifstream in(daemon_pid_file(data));
  DaemonPid out;
  if (!(in >> out.pid) || out.pid <= 1) return std::nullopt;
  if (!(in >> out.start_ticks)) out.start_ticks = 0;
  const std::uint64_t ticks = process_start_ticks(out.pid);
  if (ticks == 0 || has_ended(out.pid)) return std::nullopt;
  if (out.start_ticks != 0 && out.start_ticks != ticks) return std::nullopt;
  if (out.start_ticks == 0 && name_of(out.pid) != "reeved") return std::nullopt;
  out.start_ticks = ticks;
  return out;
}

std::optional<DaemonPid> owning_daemon(const fs::path& data) {
  // Of a cell that of the log, of a node that joined one its own. A tool may
  // hold the log, too.
  for (const fs::path& lock :
       {store::Layout{data / "log"}.owner(), data / "owner"})
    if (const auto pid = store::Owner::holder(lock);
        pid && name_of(*pid) == "reeved" && !has_ended(*pid))
      return DaemonPid{*pid, process_start_ticks(*pid)};
  return std::nullopt;
}

std::optional<string> recorded_runtime_dir(const fs::path& data) {
  std::ifstream in(daemon_pid_file(data));
  string line;
  if (!std::getline(in, line) || !std::getline(in, line)) return std::nullopt;
  return line;
}

Expected<pid_t> start_daemon(const DaemonStart& start) {
  if (::access(start.program.c_str(), X_OK) != 0)
    return fail(Errc::io,
                fmt::format("cannot start {}: {}; it is installed "
                            "beside reeve",
                            start.program.string(), std::strerror(errno)));
  std::vector<string> words = start.arguments;
  words.insert(words.begin(), start.program.string());
  std::vector<char*> argv;
  for (string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(Errc::io, fmt::format("cannot start a process: {}",
                                      std::strerror(errno)));
  if (pid == 0) become(start, argv.data());
  return pid;
}

WordsFrom words_from(const DaemonStart& start) {
  if (!start.detach) return std::nullopt;
  std::error_code none;
  const auto bytes = fs::file_size(start.log, none);
  return none ? 0 : bytes;
}

string last_words(const fs::path& log, WordsFrom from) {
  if (!from) return "; its last words are above";
  const string tail = log_tail(log, *from);
  if (tail.empty()) return fmt::format("; it said nothing in {}", log.string());
  return fmt::format("; its last words, from {}:\n{}", log.string(), tail);
}

Status stop_daemon(const DaemonPid& daemon, std::uint64_t timeout_ns) {
  // Held by its file, the process cannot be mistaken for a later one.
  const int file = static_cast<int>(::syscall(SYS_pidfd_open, daemon.pid, 0));
  if (file < 0 || process_start_ticks(daemon.pid) != daemon.start_ticks) {
    if (file >= 0) ::close(file);
    return {};
  }
  const long sent = ::syscall(SYS_pidfd_send_signal, file, SIGTERM, nullptr, 0);
  const int why = errno;
  pollfd ended{file, POLLIN, 0};
  const int timeout_ms = static_cast<int>(
      std::min<std::uint64_t>(timeout_ns / 1'000'000, 1 << 30));
  const int polled = sent == 0 ? ::poll(&ended, 1, timeout_ms) : 0;
  ::close(file);
  if (sent != 0 && why != ESRCH)
    return fail(Errc::io, fmt::format("cannot end the daemon, pid {}: {}",
                                      daemon.pid, std::strerror(why)));
  if (polled > 0 || sent != 0) return {};
  return fail(Errc::io,
              fmt::format("the daemon, pid {}, has not ended within {} ms; "
                          "\"kill -9 {}\" ends it, nothing acknowledged is "
                          "lost by that",
                          daemon.pid, timeout_ms, daemon.pid));
}

}  // namespace reeve::tools

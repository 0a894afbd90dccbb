#include "tools/cli/cell/bring_up.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"

namespace reeve::tools {
namespace {

using std::string;

// A long log is read again before the daemon serves.
constexpr std::uint64_t up_timeout_ns = 300'000'000'000;
// And others may be started after it.
constexpr std::uint64_t majority_wait_ns = 20'000'000'000;
constexpr std::chrono::milliseconds probe_timeout{1'000};
// Until a daemon that is not waited for any more has ended.
constexpr std::uint64_t end_wait_ns = 10'000'000'000;
// Between looks whether a starting daemon serves.
constexpr int ready_pause_ms = 5;

// Whether it has written down that it serves. Asked before that, its bus would
// keep the question for a later try.
bool has_begun(const Context& context, pid_t daemon) {
  const auto living = living_daemon(context.data);
  return living && living->pid == daemon;
}

// Whether the daemon answers for this data directory; of several managers
// whether any of them leads.
Expected<bool> answers(const Context& context, const Config& config,
                       pid_t daemon) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto status = (*cell)->status(probe_timeout);
  if (!status) return tl::unexpected(status.error());
  return (*status)->daemon_pid() == daemon || !config.manager.members.empty();
}

// "2 of m1, m2, m3".
string majority_of(const Config& config) {
  string names;
  for (const auto& [name, host] : config.manager.members)
    names += (names.empty() ? "" : ", ") + name;
  return fmt::format("{} of {}", config.manager.members.size() / 2 + 1, names);
}

// The daemon's exit codes are those of the command line.
Errc code_of(int status) {
  if (!WIFEXITED(status)) return Errc::io;
  for (const Errc code : {Errc::usage, Errc::busy, Errc::not_found,
                          Errc::unreachable, Errc::damaged})
    if (exit_code(code) == WEXITSTATUS(status)) return code;
  return Errc::io;
}

// How the daemon ended, if it did. Of one that is no child of ours the kernel
// does not tell; it wrote itself down before it was found.
std::optional<Error> end_of(const Context& context, pid_t daemon) {
  int status = 0;
  const pid_t ended = ::waitpid(daemon, &status, WNOHANG);
  if (ended < 0 && !has_begun(context, daemon))
    return Error{Errc::unreachable, "while it was waited for"};
  if (ended != daemon) return std::nullopt;
  return Error{code_of(status),
               WIFSIGNALED(status)
                   ? fmt::format("by signal {}", WTERMSIG(status))
                   : fmt::format("with code {}", WEXITSTATUS(status))};
}

}  // namespace

Status wait_ready(const Context& context, const Config& config, pid_t daemon,
                  WordsFrom words, Interrupts& interrupts) {
  string waits;
  Progress progress(context.quiet);
  const std::uint64_t begun = monotonic_ns();
  for (;;) {
    if (has_begun(context, daemon)) {
      if (config.role != Config::Role::cell) return {};
      if (answers(context, config, daemon).value_or(false)) return {};
      if (!config.manager.members.empty()) {
        waits = fmt::format("; {} waits for {}", config.manager.name,
                            majority_of(config));
        if (monotonic_ns() - begun > majority_wait_ns) {
          progress.clear();
          return fail(Errc::busy, waits.substr(2));
        }
      }
    }
    if (const auto end = end_of(context, daemon)) {
      progress.clear();
      return fail(
          end->code,
          fmt::format("the daemon ended {}{}", end->text,
                      last_words(daemon_log_file(context.data), words)));
    }
    const std::uint64_t waited = monotonic_ns() - begun;
    if (waited > up_timeout_ns)
      return fail(Errc::unreachable,
                  fmt::format("the daemon, pid {}, does not serve after {}; "
                              "its log is {}",
                              daemon, format_duration(waited),
                              daemon_log_file(context.data).string()));
    if (progress.due())
      progress.show(
          fmt::format("starting, {}{}", format_duration(waited), waits));
    if (interrupts.wait(ready_pause_ms) != 0)
      return fail(Errc::io, "interrupted before the cell served");
  }
}

Error end_started(const Context& context, pid_t daemon, Error why,
                  Interrupts& interrupts) {
  // One that has ended is reaped: its number may be another's.
  if (::waitpid(daemon, nullptr, WNOHANG) != 0) return why;
  ::kill(daemon, SIGTERM);
  Progress progress(context.quiet);
  const std::uint64_t begun = monotonic_ns();
  while (::waitpid(daemon, nullptr, WNOHANG) == 0) {
    const std::uint64_t waited = monotonic_ns() - begun;
    if (waited > end_wait_ns || interrupts.wait(ready_pause_ms) != 0) {
      progress.clear();
      why.text += fmt::format(
          "; its daemon, pid {}, is told to end: \"reeve down\" waits for it",
          daemon);
      return why;
    }
    if (progress.due())
      progress.show(fmt::format("ending: the daemon, pid {}, {}", daemon,
                                format_duration(waited)));
  }
  progress.clear();
  why.text += "; its daemon has ended";
  return why;
}

Expected<pid_t> bring_up(const Context& context, const DaemonStart& start,
                         const Config& config, Interrupts& interrupts) {
  const auto words = words_from(start);
  const auto child = start_daemon(start);
  if (!child) return child;
  auto good = wait_ready(context, config, *child, words, interrupts);
  if (good) return child;
  if (good.error().code == Errc::busy && !config.manager.members.empty() &&
      has_begun(context, *child)) {
    if (!context.quiet)
      say(
          fmt::format("reeve: the daemon is up, and nobody leads the cell yet: "
                      "{}. Start the others; nothing is to be done here",
                      good.error().text));
    return child;
  }
  return tl::unexpected(end_started(context, *child, good.error(), interrupts));
}

}  // namespace reeve::tools

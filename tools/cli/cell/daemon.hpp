// The daemon of a data directory as a process: finding, starting, ending it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::tools {

struct DaemonPid {
  pid_t pid = 0;
  // Clock ticks from boot to its start: tells it from a later process with
  // the same number. 0 when the record does not have it.
  std::uint64_t start_ticks = 0;
};

// Where a data directory keeps things of the daemon.
std::filesystem::path daemon_pid_file(const std::filesystem::path& data);
std::filesystem::path daemon_log_file(const std::filesystem::path& data);
// Marks a directory as a cell's and holds its daemon's settings.
std::filesystem::path cell_file(const std::filesystem::path& data);

// The recorded daemon if that very process lives. One that still starts is
// not recorded.
std::optional<DaemonPid> living_daemon(const std::filesystem::path& data);

// The daemon that holds the directory, from early in its start to its end.
std::optional<DaemonPid> owning_daemon(const std::filesystem::path& data);

// Where the tasks of the last daemon that served have their files, as its
// settings said; empty: in the data directory. Nothing when none is recorded.
std::optional<std::string> recorded_runtime_dir(
    const std::filesystem::path& data);

// By SIGSTOP or a debugger.
bool is_stopped(pid_t pid);

struct DaemonStart {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::filesystem::path config;  // the settings that the arguments name
  // In a session of its own with its output in `log`; else it ends with us.
  bool detach = false;
  std::filesystem::path log;
};

// Where the words of one start begin in the log; nothing: they go where ours
// go. Asked before it is started.
using WordsFrom = std::optional<std::uintmax_t>;
WordsFrom words_from(const DaemonStart& start);

Expected<pid_t> start_daemon(const DaemonStart& start);

// The last lines of the log since `from`, for a person who wonders, as the end
// of a sentence.
std::string last_words(const std::filesystem::path& log, WordsFrom from);

// SIGTERM, and waits for its end. Errc::busy when it takes longer.
Status stop_daemon(const DaemonPid& daemon, std::uint64_t timeout_ns);

}  // namespace reeve::tools

// doctor: what is wrong here and how to mend it.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "bus/server_program.hpp"
#include "cluster/units.hpp"
#include "gpu/container_tools.hpp"
#include "gpu/share/mps.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/child_output.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/host.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {
namespace {

using std::string;
namespace fs = std::filesystem;

constexpr std::uint64_t open_files_min = 4'096;
constexpr std::chrono::milliseconds probe_timeout{2'000};

struct Finding {
  enum class Level { good, note, wrong };
  Level level;
  string subject;
  string text;
  string mend;
};
using Level = Finding::Level;

// What this host is of the cell; as by default where it is of none yet.
Config settings_of(const Context& context) {
  auto config = load_config(cell_file(context.data));
  return config ? std::move(*config) : Config{};
}

Finding check_bus(const Config& config) {
  if (config.role != Config::Role::cell)
    return {Level::good, "bus", "that of the cell's managers", ""};
  const auto program = bus::find_server_program("nats-server");
  if (!program)
    return {Level::wrong, "bus", "nats-server is not installed",
            "apt-get install nats-server"};
  const string said = output_of({*program, "--version"}).value_or("?");
  const string text = fmt::format("{} ({})", said, *program);
  const bool several = !config.manager.members.empty();
  if (several &&
      bus::older(bus::version_in(said), bus::jetstream_server_version_min))
    return {Level::wrong, "bus", text,
            fmt::format("several managers need {} or newer: "
                        "/usr/share/reeve/packages cluster installs one",
                        bus::jetstream_server_version_min)};
  return {Level::good, "bus", text, ""};
}

Finding check_programs(const Context& context) {
  string missing;
  for (const char* name : {"reeved", "reeve-keeper", "reeve-log"})
    if (::access((context.programs / name).c_str(), X_OK) != 0)
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
  if (missing.empty())
    return {Level::good, "programs", context.programs.string(), ""};
  return {Level::wrong, "programs",
          fmt::format("{} lacks {}", context.programs.string(), missing),
          "build or install them beside reeve"};
}

Finding check_data(const Context& context, const Config& config) {
  fs::path folder = context.data;
  while (!fs::exists(folder) && folder.has_parent_path() &&
         folder != folder.parent_path())
    folder = folder.parent_path();
  if (::access(folder.c_str(), W_OK) != 0)
    return {Level::wrong, "data",
            fmt::format("{} cannot be written", folder.string()),
            "name another directory with --data"};
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0)
    return {Level::wrong, "data",
            fmt::format("{} cannot be examined", folder.string()), ""};
  const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::uint64_t floor = config.log.floor_bytes;
  const string text = fmt::format("{}, {} free", context.data.string(),
                                  format_bytes(free_bytes));
  if (free_bytes / 2 < floor)
    return {Level::wrong, "data", text,
            fmt::format("free some space: below {} no session is admitted",
                        format_bytes(floor))};
  return {Level::good, "data", text, ""};
}

string file_text(const string& file) {
  std::ifstream in(file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Finding check_cgroups() {
  const string mounts = file_text("/proc/self/mounts");
  const bool v2 = mounts.find(" cgroup2 ") != string::npos;
  const bool v1_memory = mounts.find(" cgroup rw") != string::npos &&
                         fs::exists("/sys/fs/cgroup/memory");
  const string controllers = file_text("/sys/fs/cgroup/cgroup.controllers");
  const bool v2_memory = controllers.find("memory") != string::npos;
  const string kind = v1_memory && v2 ? "v1 and v2 (hybrid)"
                      : v2            ? "v2"
                      : v1_memory     ? "v1"
                                      : "none";
  if (::getuid() != 0)
    return {Level::note, "cgroups", kind,
            "run as root to limit memory and CPUs of sessions"};
  if (!v1_memory && !v2_memory)
    return {Level::wrong, "cgroups", kind + ", without the memory controller",
            "boot with cgroups: memory limits of sessions do not hold"};
  return {Level::good, "cgroups", kind + ": memory, CPUs and processes", ""};
}

Finding check_user_namespaces() {
  const string bound = file_text("/proc/sys/user/max_user_namespaces");
  const string debian = file_text("/proc/sys/kernel/unprivileged_userns_clone");
  const bool off =
      bound.empty() || bound[0] == '0' || (!debian.empty() && debian[0] == '0');
  if (!off) return {Level::good, "namespaces", "user namespaces are on", ""};
  return {::getuid() == 0 ? Level::note : Level::wrong, "namespaces",
          "user namespaces are off",
          "sysctl user.max_user_namespaces=10000; only ordinary users need "
          "it"};
}

Finding check_open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const string text = fmt::format("{} of {} at most",
                                  static_cast<std::uint64_t>(limit.rlim_cur),
                                  static_cast<std::uint64_t>(limit.rlim_max));
  if (limit.rlim_max >= open_files_min)
    return {Level::good, "open files", text, ""};
  return {Level::wrong, "open files", text,
          fmt::format("ulimit -n {} before \"reeve up\"", open_files_min)};
}

Finding check_clock() {
  timex clock{};
  const int state = ::adjtimex(&clock);
  const bool synchronised =
      state >= 0 && state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  if (synchronised) return {Level::good, "clock", "synchronised", ""};
  return {Level::note, "clock", "not known to be synchronised",
          "one machine does not need it; several should run chrony"};
}

Finding check_gpus() {
  void* library = ::dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr)
    return {Level::note, "GPUs", "no NVIDIA driver (libnvidia-ml.so.1)",
            "nothing to do where there is no GPU"};
  ::dlclose(library);
  return {Level::good, "GPUs", "NVIDIA driver found", ""};
}

Finding check_container_tools() {
  const auto tools = gpu::find_container_tools();
  string problems;
  string paths;
  for (const auto& tool : tools) {
    paths += fmt::format("{}{}", paths.empty() ? "" : ", ", tool.path);
    const string problem = gpu::tool_problem(tool);
    if (problem.empty()) continue;
    problems += fmt::format("{}{}", problems.empty() ? "" : "; ", problem);
  }
  if (!problems.empty())
    return {Level::wrong, "containers", problems, gpu::tool_remedy()};
  if (tools.empty())
    return {Level::good, "containers",
            "no tools of NVIDIA for them; sessions need none", ""};
  return {Level::good, "containers", paths, ""};
}

Finding check_settings(const Context& context) {
  const auto file = cell_file(context.data);
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return {Level::note, "settings", "no cell in this directory yet", ""};
  const auto config = load_config(file);
  if (config) return {Level::good, "settings", file.string(), ""};
  return {Level::wrong, "settings", config.error().text, "mend that line"};
}

Finding check_mps(const Context& context) {
  const auto config = load_config(cell_file(context.data));
  if (!config || config->agent.mps_directory.empty())
    return {Level::good, "MPS", "shares of GPUs do not go through it", ""};
  const string& directory = config->agent.mps_directory;
  const string none = gpu::share::why_no_mps(directory);
  if (!none.empty()) return {Level::wrong, "MPS", none, ""};
  return {Level::note, "MPS", gpu::share::mps_limit(directory), ""};
}

// Where systemd keeps the daemon, its words are in the journal.
string where_it_says_why(const Context& context) {
  const auto log = daemon_log_file(context.data);
  std::error_code ignored;
  return fs::exists(log, ignored) ? "read " + log.string()
                                  : "journalctl -u reeved";
}

string nodes_text(const Held<schema::StatusAnswer>& status) {
  return fmt::format("{} of {} up", status->nodes_up(),
                     counted(status->nodes(), "node"));
}

Expected<Held<schema::StatusAnswer>> status_of(const Context& context) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  return (*cell)->status(probe_timeout);
}

// Whoever joined as a user has no daemon.
Finding check_cell(const Context& context, const Config& config) {
  const auto status = status_of(context);
  if (!status)
    return {Level::wrong, "cell", status.error().text,
            fmt::format("ask an admin of {}", config.cell)};
  return {Level::good, "cell",
          fmt::format("{}, {}", config.cell, nodes_text(*status)), ""};
}

// A node may not ask for the state of its cell: its bus lets it in, or not.
Finding check_node(const Context& context, const DaemonPid& daemon) {
  const auto own =
      bus::load_credentials(bus::agent_credentials_path(context.data));
  const auto caller = own ? Caller::connect(*own)
                          : Expected<Caller>(tl::unexpected(own.error()));
  if (!caller)
    return {Level::wrong, "daemon",
            fmt::format("pid {} has no link to its cell: {}", daemon.pid,
                        caller.error().text),
            where_it_says_why(context)};
  return {Level::good, "daemon",
          fmt::format("pid {}, {} of the cell {}", daemon.pid, own->principal,
                      own->cell),
          ""};
}

Finding check_manager(const Context& context, const Config& config,
                      const DaemonPid& daemon) {
  const auto status = status_of(context);
  if (!status)
    return {Level::wrong, "daemon",
            fmt::format("pid {} does not answer: {}", daemon.pid,
                        status.error().text),
            where_it_says_why(context)};
  if (!(*status)->admission_open())
    return {Level::wrong, "daemon", "admits no session: the disk is full",
            "free some space; what runs goes on"};
  if ((*status)->nodes_up() == 0)
    return {
        config.agent.enabled ? Level::wrong : Level::note, "daemon",
        fmt::format("pid {}, and no node is up: nothing can run", daemon.pid),
        config.agent.enabled
            ? where_it_says_why(context)
            : "this host is none: let others join (reeve token create)"};
  return {Level::good, "daemon",
          fmt::format("pid {}, {}, {}", daemon.pid,
                      counted(status->seq(), "event"), nodes_text(*status)),
          ""};
}

Finding check_daemon(const Context& context, const Config& config) {
  if (config.role == Config::Role::user) return check_cell(context, config);
  const auto daemon = living_daemon(context.data);
  if (!daemon)
    return {Level::note, "daemon", "not running",
            fmt::format("reeve up --detach --data {}, or systemctl start "
                        "reeved",
                        context.data.string())};
  return config.role == Config::Role::agent
             ? check_node(context, *daemon)
             : check_manager(context, config, *daemon);
}

// Behind level and subject.
constexpr std::size_t finding_indent = 19;

string line_of(const Finding& finding, bool colour) {
  static constexpr const char* words[] = {"ok", "note", "WRONG"};
  static constexpr Tone tones[] = {Tone::good, Tone::busy, Tone::bad};
  const auto level = static_cast<std::size_t>(finding.level);
  string out = fmt::format(
      "{}  {:<11} {}\n",
      toned(fmt::format("{:<5}", words[level]), tones[level], colour),
      finding.subject, finding.text);
  if (!finding.mend.empty() && finding.level != Level::good)
    out += fmt::format("{:{}}{}\n", "", finding_indent, finding.mend);
  return out;
}

}  // namespace

Result command_doctor(const Context& context, const Arguments&) {
  const Config config = settings_of(context);
  const Finding findings[] = {check_programs(context),
                              check_bus(config),
                              check_data(context, config),
                              check_settings(context),
                              check_daemon(context, config),
                              check_cgroups(),
                              check_user_namespaces(),
                              check_open_files(),
                              check_clock(),
                              check_gpus(),
                              check_container_tools(),
                              check_mps(context)};
  std::size_t wrong = 0;
  std::vector<string> documents;
  string out;
  for (const auto& finding : findings) {
    static constexpr const char* words[] = {"ok", "note", "wrong"};
    wrong += finding.level == Level::wrong;
    out += line_of(finding, context.terminal.colour);
    documents.push_back(
        JsonObject()
            .text("subject", finding.subject)
            .text("level", words[static_cast<std::size_t>(finding.level)])
            .text("text", finding.text)
            .text("mend", finding.mend)
            .done());
  }
  print(context.json ? JsonObject()
                               .number("wrong", wrong)
                               .raw("findings", json_array(documents))
                               .done() +
                           '\n'
                     : wrapped(out, context.terminal.width, finding_indent));
  return wrong == 0 ? 0 : 1;
}

}  // namespace reeve::tools

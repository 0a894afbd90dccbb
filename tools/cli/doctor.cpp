// doctor: what is wrong here and how to mend it.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/child_output.hpp"
#include "tools/cli/handlers.hpp"
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

string find_in_path(const string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(string(path ? path : "") + ":/usr/sbin:/sbin");
  for (string folder; std::getline(folders, folder, ':');) {
    const string file = folder + '/' + program;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

Finding check_bus() {
  const string program = find_in_path("nats-server");
  if (program.empty())
    return {Level::wrong, "bus", "nats-server is not installed",
            "apt-get install nats-server"};
  return {Level::good, "bus",
          fmt::format("{} ({})",
                      output_of({program, "--version"}).value_or("?"), program),
          ""};
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

Finding check_data(const Context& context) {
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
  const std::uint64_t floor = Config{}.log.floor_bytes;
  const string text = fmt::format("{}, {} free", context.data.string(),
                                  format_bytes(free_bytes));
  if (free_bytes < 2 * floor)
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

Finding check_settings(const Context& context) {
  const auto file = cell_file(context.data);
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return {Level::note, "settings", "no cell in this directory yet", ""};
  const auto config = load_config(file);
  if (config) return {Level::good, "settings", file.string(), ""};
  return {Level::wrong, "settings", config.error().text, "mend that line"};
}

Finding check_daemon(const Context& context) {
  const auto daemon = living_daemon(context.data);
  if (!daemon)
    return {Level::note, "daemon", "not running",
            fmt::format("reeve up --detach --data {}", context.data.string())};
  auto cell = Cell::connect(context);
  const auto status =
      cell ? (*cell)->status(probe_timeout)
           : Expected<Held<schema::StatusAnswer>>(tl::unexpected(cell.error()));
  if (!status)
    return {Level::wrong, "daemon",
            fmt::format("pid {} does not answer: {}", daemon->pid,
                        status.error().text),
            fmt::format("read {}", daemon_log_file(context.data).string())};
  if (!(*status)->admission_open())
    return {Level::wrong, "daemon", "admits no session: the disk is full",
            "free some space; what runs goes on"};
  if ((*status)->nodes_up() == 0)
    return {
        Level::wrong, "daemon",
        fmt::format("pid {}, and no node is up: nothing can run", daemon->pid),
        fmt::format("read {}", daemon_log_file(context.data).string())};
  return {Level::good, "daemon",
          fmt::format("pid {}, {}, {} of {} up", daemon->pid,
                      counted(status->seq(), "event"), (*status)->nodes_up(),
                      counted((*status)->nodes(), "node")),
          ""};
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
  const Finding findings[] = {check_programs(context), check_bus(),
                              check_data(context),     check_settings(context),
                              check_daemon(context),   check_cgroups(),
                              check_user_namespaces(), check_open_files(),
                              check_clock(),           check_gpus()};
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

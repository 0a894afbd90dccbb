// up.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "bus/private_file.hpp"
#include "cluster/units.hpp"
#include "store/layout.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/bring_up.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/trace/sim_nodes.hpp"
#include "tools/config/config.hpp"
#include "tools/member/kept_keys.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {
namespace {

using std::string;
namespace fs = std::filesystem;

// How long this host's own node may take to join, once the daemon serves.
constexpr std::uint64_t join_timeout_ns = 10'000'000'000;

// Between looks whether this host's own node has joined.
constexpr int join_pause_ms = 5;

constexpr const char* cell_file_text =
    "# This directory holds a Reeve cell. These are the settings of its\n"
    "# daemon; \"reeve config check\" explains them.\n";

// Empty, or with a log of ours: others, too, call something "log".
bool may_become_cell(const fs::path& data) {
  const fs::path log = data / "log";
  const auto found = store::find_log(log);
  if (found) return found->directory == log;
  if (found.error().code != Errc::not_found) return false;
  std::error_code broken;
  for (const auto& entry : fs::directory_iterator(data, broken))
    if (entry.path() != log) return false;
  return !broken;
}

// Makes the directory a cell's; refuses one that holds something else.
Status prepare_data(const fs::path& data) {
  std::error_code broken;
  fs::create_directories(data, broken);
  if (broken)
    return fail(Errc::io,
                fmt::format("cannot make {}: {}; name another directory with "
                            "--data",
                            data.string(), broken.message()));
  if (fs::exists(cell_file(data), broken)) return {};
  if (!may_become_cell(data))
    return fail(Errc::damaged,
                fmt::format("{} holds something that is no cell; name an empty "
                            "directory with --data",
                            data.string()));
  ::chmod(data.c_str(), 0700);
  return bus::write_private_file(cell_file(data), cell_file_text);
}

// What the cell knows of the node, or what it says instead.
Expected<Held<schema::Answer>> ask_node(Cell& cell, const string& node) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateNodesQueryDirect(builder, node.c_str(), 0, 1);
  return cell.ask(builder, schema::QueryBody::NodesQuery, body.Union());
}

// Without root a session may ask for what nothing holds it to. Who starts the
// cell is told; root finds what is unusual with `node show`.
void tell_limits(const schema::Answer& answer) {
  const auto* nodes = answer.body_as_NodesAnswer();
  if (::geteuid() == 0 || nodes == nullptr || nodes->nodes() == nullptr) return;
  for (const auto* node : *nodes->nodes())
    if (node->limits() != nullptr)
      for (const auto* limit : *node->limits()) say("reeve: " + limit->str());
}

// Whoever submits right after `up` finds the node there. One that was removed
// does not come.
Status wait_joined(const Context& context, const Config& config,
                   WordsFrom words, Interrupts& interrupts) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const string node = config.agent.name.empty() ? host : config.agent.name;
  auto cell = Cell::connect(context);
  if (!config.agent.enabled || !cell) return {};
  const std::uint64_t begun = monotonic_ns();
  auto known = ask_node(**cell, node);
  while (!known && known.error().text.find("was removed") == string::npos &&
         monotonic_ns() - begun < join_timeout_ns) {
    if (interrupts.wait(join_pause_ms) != 0)
      return fail(Errc::io, "interrupted before this host joined the cell");
    known = ask_node(**cell, node);
  }
  if (context.quiet) return {};
  if (known)
    tell_limits(**known);
  else
    say(fmt::format(
        "reeve: this host has not joined the cell: {}. Its daemon is up{}",
        known.error().text, last_words(daemon_log_file(context.data), words)));
  return {};
}

Status add_sim_nodes(const Context& context,
                     const std::vector<TraceNode>& nodes) {
  if (nodes.empty()) return {};
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  auto good = register_sim_nodes(**cell, nodes);
  if (good && !context.quiet)
    say("the cell has " + counted(nodes.size(), "simulated node"));
  return good;
}

// What the settings let `up` start, and with what.
Status check_role(const Context& context, const Config& config,
                  const std::vector<TraceNode>& nodes) {
  if (config.role == Config::Role::user)
    return fail(Errc::usage,
                fmt::format("{} is for reaching the cell {} as one of its "
                            "users: there is nothing to start here",
                            context.data.string(), config.cell));
  if (config.role == Config::Role::agent && !nodes.empty())
    return fail(Errc::usage,
                "--sim-nodes: this host is a node of another host's cell; "
                "declare simulated nodes there");
  return {};
}

enum class Came { started, found, found_and_changed };

Result tell_up(const Context& context, Config::Role role, int pid, Came came) {
  const char* what = role == Config::Role::cell ? "cell" : "node";
  const bool started = came == Came::started;
  if (context.json) {
    print(JsonObject()
              .text("data", context.data.string())
              .integer("daemon_pid", pid)
              .truth("started", started)
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(started
            ? fmt::format("the {} in {} is up (daemon pid {})", what,
                          context.data.string(), pid)
            : fmt::format("the {} in {} is already up (daemon pid {}){}", what,
                          context.data.string(), pid,
                          came == Came::found ? "; nothing was changed" : ""));
  }
  return 0;
}

// What only a start takes.
void tell_passed_over(const Context& context, const Arguments& arguments) {
  for (const char* option : {"--port", "--config"})
    if (arguments.has(option) && !context.quiet)
      say(
          fmt::format("{} is passed over: the cell is up, and it counts when "
                      "one starts",
                      option));
}

// The daemon lives as long as we do.
Result stay(pid_t child, Interrupts& interrupts) {
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (interrupts.wait(100) != 0) ::kill(child, SIGTERM);
  }
}

Expected<DaemonStart> daemon_start(const Context& context,
                                   const Arguments& arguments) {
  DaemonStart start;
  start.program = context.programs / "reeved";
  start.detach = arguments.has("--detach");
  start.log = daemon_log_file(context.data);
  start.arguments = {"--data", context.data.string()};
  if (const auto text = arguments.find("--port")) {
    const auto port = parse_count(*text, "port", 0, 65'535);
    if (!port)
      return fail(Errc::usage, fmt::format("--port: {}", port.error().text));
    start.arguments.insert(start.arguments.end(),
                           {"--port", fmt::format("{}", *port)});
  }
  string config = cell_file(context.data).string();
  if (const auto file = arguments.find("--config"))
    config = fs::absolute(*file).string();
  start.arguments.insert(start.arguments.end(), {"--config", config});
  start.config = config;
  return start;
}

}  // namespace

Result command_up(const Context& context, const Arguments& arguments) {
  Interrupts interrupts;
  std::vector<TraceNode> nodes;
  if (const auto text = arguments.find("--sim-nodes")) {
    auto read = read_nodes(string(*text));
    if (!read)
      return fail(read.error().code,
                  fmt::format("--sim-nodes: {}", read.error().text));
    nodes = std::move(*read);
  }
  const auto start = daemon_start(context, arguments);
  if (!start) return tl::unexpected(start.error());
  const auto daemon = living_daemon(context.data);
  if (!daemon)
    if (auto good = prepare_data(context.data); !good)
      return tl::unexpected(good.error());
  // A slip in the settings is told at once, not found in a log.
  const auto config = load_config(start->config);
  if (!config && !daemon) return tl::unexpected(config.error());
  if (config)
    if (auto good = check_role(context, *config, nodes); !good)
      return tl::unexpected(good.error());
  if (!daemon)
    if (auto good = check_kept_keys(*config, context.data); !good)
      return tl::unexpected(good.error());
  const auto role = config ? config->role : Config::Role::cell;
  if (daemon) {
    auto good = wait_ready(context, config.value_or(Config{}), daemon->pid,
                           WordsFrom{0}, interrupts);
    if (good) good = add_sim_nodes(context, nodes);
    if (!good) return tl::unexpected(good.error());
    tell_passed_over(context, arguments);
    return tell_up(context, role, daemon->pid,
                   nodes.empty() ? Came::found : Came::found_and_changed);
  }
  const auto words = words_from(*start);
  const auto child = bring_up(context, *start, *config, interrupts);
  if (!child) return tl::unexpected(child.error());
  auto good = add_sim_nodes(context, nodes);
  if (good && role == Config::Role::cell)
    good = wait_joined(context, *config, words, interrupts);
  if (!good)
    return tl::unexpected(
        end_started(context, *child, good.error(), interrupts));
  const auto told = tell_up(context, role, *child, Came::started);
  return start->detach ? told : stay(*child, interrupts);
}

}  // namespace reeve::tools

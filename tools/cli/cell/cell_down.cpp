// down.
#include <fmt/format.h>

#include "actors/agent/keeper/ending.hpp"
#include "bus/server.hpp"
#include "cluster/units.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/cell/left_keeper.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/waiting.hpp"

namespace reeve::tools {
namespace {

using std::string;

// More than the daemon gives its tasks, its keeper and its log together.
constexpr std::uint64_t down_timeout_ns = 90'000'000'000;

// What runs of a cell, by pid; 0: nothing.
struct Parts {
  int daemon = 0;
  int keeper = 0;
  int bus = 0;  // left by a daemon that died
  bool keeper_killed = false;
};

string leftovers(const Parts& parts) {
  string out;
  if (parts.keeper != 0)
    out = fmt::format("its keeper (pid {}) with all that it ran", parts.keeper);
  if (parts.bus != 0)
    out += fmt::format("{}its bus server (pid {})", out.empty() ? "" : " and ",
                       parts.bus);
  return out;
}

string sentence(const Context& context, const Parts& parts) {
  const string left = leftovers(parts);
  const string data = context.data.string();
  if (parts.daemon == 0)
    return left.empty() ? fmt::format("no cell runs in {}", data)
                        : fmt::format(
                              "no daemon runs in {}; {} had outlived "
                              "it and is ended",
                              data, left);
  string out =
      fmt::format("the cell in {} is down (it was pid {})", data, parts.daemon);
  if (parts.keeper_killed)
    out += fmt::format("; its keeper, pid {}, was killed with all that it ran",
                       parts.keeper);
  return out;
}

void tell(const Context& context, const Parts& parts) {
  if (context.json) {
    print(JsonObject()
              .text("data", context.data.string())
              .truth("stopped", parts.daemon != 0)
              .truth("keeper_killed", parts.keeper_killed)
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(sentence(context, parts));
  }
}

}  // namespace

Result command_down(const Context& context, const Arguments& arguments) {
  std::uint64_t timeout_ns = down_timeout_ns;
  if (const auto text = arguments.find("--timeout")) {
    const auto timeout = parse_duration(*text);
    if (!timeout)
      return fail(Errc::usage,
                  fmt::format("--timeout: {}", timeout.error().text));
    timeout_ns = *timeout;
  }
  const auto keeper = keeper_of(context);
  Parts parts;
  parts.keeper = keeper::living_keeper(keeper.directory);
  parts.keeper_killed = parts.keeper != 0 && is_stopped(parts.keeper);
  if (parts.keeper_killed && !context.quiet)
    say(
        fmt::format("the keeper, pid {}, is stopped and cannot end its tasks: "
                    "after a while it is killed with them",
                    parts.keeper));
  auto daemon = living_daemon(context.data);
  // One that still starts hears the signal once it serves.
  if (!daemon) daemon = owning_daemon(context.data);
  if (daemon) {
    parts.daemon = daemon->pid;
    const Waiting waiting(context.quiet, [pid = daemon->pid] {
      return fmt::format("ending: the daemon, pid {}, with all that runs", pid);
    });
    if (auto good = stop_daemon(*daemon, timeout_ns); !good)
      return tl::unexpected(good.error());
  }
  // A daemon that was killed has left them.
  const auto ended = [&] {
    const Waiting waiting(context.quiet, [pid = parts.keeper] {
      return fmt::format("ending: the keeper, pid {}, with all that runs", pid);
    });
    return keeper::end_keeper(keeper);
  }();
  if (!ended) return tl::unexpected(ended.error());
  if (ended->killed) parts.keeper_killed = true;
  parts.bus = bus::Server::end_orphan(context.data);
  tell(context, parts);
  return 0;
}

}  // namespace reeve::tools

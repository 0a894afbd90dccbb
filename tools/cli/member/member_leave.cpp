// leave.
#include <fmt/format.h>

#include "bus/connect_error.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/host.hpp"

namespace reeve::tools {
namespace {

using std::string;

Expected<Config::Role> joined_role(const Context& context) {
  const auto config = load_config(cell_file(context.data));
  if (config && config->role != Config::Role::cell) return config->role;
  // Others may have joined one whose settings name itself alone.
  if (config && !config->manager.members.empty())
    return fail(
        Errc::usage,
        fmt::format("{0} is the manager {1} of the cell {2}: \"reeve members "
                    "remove {1}\" on another manager takes it out, after "
                    "\"reeve lead\" where {1} leads; the only manager ends "
                    "with its cell (reeve down)",
                    context.data.string(), config->manager.name, config->cell));
  if (config)
    return fail(Errc::usage,
                fmt::format("{} is a cell of its own: \"reeve down\" ends it",
                            context.data.string()));
  return fail(Errc::not_found,
              fmt::format("{} is of no cell: there is none to leave",
                          context.data.string()));
}

// Without its cell there is nobody to take the leave.
Error with_way_out(const Error& error, const Context& context,
                   const bus::Credentials& credentials, Config::Role role) {
  if (error.code != Errc::unreachable) return error;
  const string data = context.data.string();
  return {error.code,
          fmt::format("{}. Try again when the cell answers; if {} is gone for "
                      "good, {}empty {}: no cell has to be told",
                      error.text, credentials.cell,
                      role == Config::Role::agent
                          ? fmt::format("stop reeved here (\"systemctl disable "
                                        "--now reeved\", or \"reeve down "
                                        "--data {}\") and ",
                                        data)
                          : string(),
                      data)};
}

}  // namespace

Result command_leave(const Context& context, const Arguments& arguments) {
  const auto role = joined_role(context);
  if (!role) return tl::unexpected(role.error());
  const auto credentials =
      bus::load_credentials(credentials_file(context.data, *role));
  if (!credentials) return tl::unexpected(credentials.error());
  auto caller = Caller::connect(*credentials);
  // Whom the cell does not know has left it.
  bool unknown = !caller && bus::is_unknown_key(caller.error(), *credentials);
  const auto refused = [&](const Error& error) {
    return tl::unexpected(with_way_out(error, context, *credentials, *role));
  };
  if (!caller && !unknown) return refused(caller.error());
  if (caller) {
    flatbuffers::FlatBufferBuilder builder(64);
    const auto body = schema::CreateLeave(builder, arguments.has("--force"));
    const auto left =
        caller->command(builder, schema::CommandBody::Leave, body.Union());
    // So says the cell where a bus server knows the key still.
    unknown = !left && left.error().code == Errc::not_found;
    if (!left && !unknown) return refused(left.error());
  }
  if (*role == Config::Role::agent)
    if (auto stopped = stop_node(context); !stopped)
      return fail(stopped.error().code,
                  fmt::format("{} left the cell {}, and its daemon does not "
                              "end: {}",
                              credentials->principal, credentials->cell,
                              stopped.error().text));
  remove_host_files(context.data, *role);
  if (context.json)
    print(JsonObject()
              .text("cell", credentials->cell)
              .text("principal", credentials->principal)
              .truth("was_known", !unknown)
              .done() +
          '\n');
  else if (!context.quiet)
    say(fmt::format("{} {} the cell {}; what is in {} of its tasks stays there",
                    credentials->principal,
                    unknown ? "was no member any more of" : "left",
                    credentials->cell, context.data.string()));
  return 0;
}

}  // namespace reeve::tools

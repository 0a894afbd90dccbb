// replay, state.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/moment.hpp"
#include "tools/log/rebuild.hpp"

namespace reeve::tools {
namespace {

using std::string;

double rate(const Rebuilt& rebuilt) {
  return rebuilt.duration_ns == 0
             ? 0
             : static_cast<double>(rebuilt.events) * 1e9 /
                   static_cast<double>(rebuilt.duration_ns);
}

string took_text(const Rebuilt& rebuilt) {
  return fmt::format("{} in {} ({:.2f} million/s)",
                     counted(rebuilt.events, "event"),
                     format_duration(rebuilt.duration_ns), rate(rebuilt) / 1e6);
}

string sessions_json(const cluster::State& state) {
  JsonObject out;
  for (const auto value : schema::EnumValuesSessionState())
    out.number(EnumNameSessionState(value), state.count(value));
  return out.done();
}

Sheet state_sheet(const cluster::State& state) {
  Sheet sheet;
  sheet.add("cell", state.cell());
  sheet.add("event", fmt::format("{}", state.last_sequence().value));
  sheet.add("time", local_time(state.last_time().value));
  sheet.add("epoch", fmt::format("{}", state.epoch().value));
  std::size_t nodes = 0;
  std::size_t offered = 0;
  for (const auto& node : state.nodes()) {
    nodes += !node.removed;
    offered += node.offered();
  }
  sheet.add("nodes", fmt::format("{}, {} offered", nodes, offered));
  string sessions;
  for (const auto value : schema::EnumValuesSessionState())
    if (state.count(value) > 0)
      sessions += fmt::format("{}{} {}", sessions.empty() ? "" : ", ",
                              state.count(value), EnumNameSessionState(value));
  sheet.add("sessions", sessions.empty() ? "none" : sessions);
  return sheet;
}

// The whole state, as the snapshot of it would be.
Expected<string> state_json(const cluster::State& state) {
  const auto bytes = state.encode_snapshot();
  const auto* snapshot =
      flatbuffers::GetRoot<schema::StateSnapshot>(bytes.data());
  string out;
  schema::append_json(out, snapshot, schema::StateSnapshotTypeTable());
  return out;
}

}  // namespace

Result log_replay(const Context& context, const Arguments& arguments) {
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto to = moment_of(**log, arguments.find("--to"), "--to");
  if (!to) return tl::unexpected(to.error());
  const auto rebuilt =
      rebuild(**log, {*to, false, Trust::chain, context.quiet, "replaying"});
  if (!rebuilt) return tl::unexpected(rebuilt.error());
  const string digest = rebuilt->state.digest_hex();
  if (context.json) {
    print(JsonObject()
              .number("seq", rebuilt->state.last_sequence().value)
              .text("digest", digest)
              .number("events", rebuilt->events)
              .real("seconds", static_cast<double>(rebuilt->duration_ns) / 1e9)
              .real("events_per_s", rate(*rebuilt))
              .raw("sessions", sessions_json(rebuilt->state))
              .done() +
          '\n');
    return 0;
  }
  if (arguments.has("--digest")) {
    if (!context.quiet) say(took_text(*rebuilt));
    print(digest + '\n');
    return 0;
  }
  Sheet sheet = state_sheet(rebuilt->state);
  sheet.add("digest", digest);
  sheet.add("replayed", took_text(*rebuilt));
  print(sheet.text(context.terminal));
  return 0;
}

Result log_state(const Context& context, const Arguments& arguments) {
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto at = moment_of(**log, arguments.find("--at"), "--at");
  if (!at) return tl::unexpected(at.error());
  const auto rebuilt = state_at(context, **log, *at);
  if (!rebuilt) return tl::unexpected(rebuilt.error());
  const cluster::State& state = **rebuilt;
  if (arguments.has("--digest")) {
    print(context.json ? JsonObject()
                                 .number("seq", state.last_sequence().value)
                                 .text("digest", state.digest_hex())
                                 .done() +
                             '\n'
                       : state.digest_hex() + '\n');
    return 0;
  }
  if (!context.json) {
    print(state_sheet(state).text(context.terminal));
    return 0;
  }
  const auto json = state_json(state);
  if (!json) return tl::unexpected(json.error());
  print(*json + '\n');
  return 0;
}

}  // namespace reeve::tools

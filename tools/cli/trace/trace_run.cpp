// trace run: a recorded workload through a running cell.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/child_output.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/log_tool.hpp"
#include "tools/cli/session/person.hpp"
#include "tools/cli/trace/sim_nodes.hpp"
#include "tools/cli/trace/trace_workload.hpp"
#include "tools/cli/waiting.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {
namespace {

using std::string;

Expected<TraceOptions> trace_options(const Arguments& arguments) {
  TraceOptions out;
  if (const auto text = arguments.find("--compress")) {
    char* end = nullptr;
    const string word(*text);
    out.compress = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0' || !(out.compress >= 0) ||
        out.compress > 1e12)
      return fail(Errc::usage,
                  fmt::format("--compress: \"{}\" is no factor; write 0 for "
                              "all at once, or for example 10000",
                              word));
  }
  if (const auto text = arguments.find("--window")) {
    const auto window = parse_count(*text, "number of submissions", 1, 65'536);
    if (!window)
      return fail(Errc::usage,
                  fmt::format("--window: {}", window.error().text));
    out.window = *window;
  }
  return out;
}

// By arrival, whatever the file's order.
Expected<Trace> read_requests(const Context& context,
                              const Arguments& arguments) {
  auto trace = read_trace(arguments.words[0],
                          arguments.find("--format").value_or("openb"));
  if (!trace) return trace;
  auto& requests = trace->requests;
  std::stable_sort(
      requests.begin(), requests.end(),
      [](const auto& a, const auto& b) { return a.arrival_ns < b.arrival_ns; });
  if (const auto limit = arguments.find("--limit")) {
    const auto count = parse_count(*limit, "number of requests", 1);
    if (!count)
      return fail(Errc::usage, fmt::format("--limit: {}", count.error().text));
    if (*count < requests.size()) requests.resize(*count);
  }
  const auto waiting =
      std::count_if(requests.begin(), requests.end(),
                    [](const auto& one) { return !one.after.empty(); });
  if (waiting > 0 && !context.quiet)
    say(fmt::format("left out: the dependencies of {}",
                    counted(static_cast<std::uint64_t>(waiting), "request")));
  if (trace->never_ran > 0 && !context.quiet)
    say(fmt::format("left out: {} of the trace that never ran",
                    counted(trace->never_ran, "job")));
  return trace;
}

// Whose the sessions are to be; none: the caller's.
Expected<std::map<string, Person>> users_of(const Context& context, Cell& cell,
                                            const Trace& trace, bool wanted) {
  std::set<string> names;
  for (const auto& request : trace.requests)
    if (!request.user.empty()) names.insert(request.user);
  std::map<string, Person> out;
  if (!wanted && !names.empty() && !context.quiet)
    say(
        fmt::format("the trace is of {}; here all sessions are yours (--users "
                    "submits for them)",
                    counted(names.size(), "user")));
  if (!wanted) return out;
  if (names.empty())
    return fail(Errc::usage, "--users: the trace names no user");
  People people(cell);
  for (const string& name : names) {
    const auto person = people.named(name, true);
    if (!person) return tl::unexpected(person.error());
    out.emplace(name, *person);
  }
  return out;
}

struct SequenceDigest {
  std::uint64_t sequence = 0;
  string digest;
};

Expected<SequenceDigest> live_digest(Cell& cell) {
  flatbuffers::FlatBufferBuilder builder(64);
  const auto body = schema::CreateDigestQuery(builder);
  const auto answer =
      cell.ask(builder, schema::QueryBody::DigestQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* digest = (*answer)->body_as_DigestAnswer();
  if (digest == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  return SequenceDigest{answer->seq(), digest->digest()->str()};
}

Expected<string> replay_digest(const Context& context, std::uint64_t sequence) {
  const Waiting waiting(context.quiet, [sequence] {
    return "replaying " + counted(sequence, "event");
  });
  return output_of({(context.programs / log_program).string(), "replay",
                    "--log", context.data.string(), "--to",
                    fmt::format("{}", sequence), "--digest", "--quiet"});
}

string summary_json(const TraceSummary& summary, const SequenceDigest& live,
                    const std::optional<string>& replayed) {
  JsonObject refused;
  for (const auto& [reason, count] : summary.refused)
    refused.number(reason, count);
  JsonObject waits;
  waits.real("p50", summary.submit_to_placed_p50_ms)
      .real("p99", summary.submit_to_placed_p99_ms);
  JsonObject out;
  out.number("accepted", summary.accepted)
      .number("placed", summary.placed)
      .number("finished", summary.finished)
      .raw("refused", refused.done())
      .number("tried_again", summary.tried_again)
      .real("wall_s", summary.wall_s)
      .real("sessions_per_s", summary.sessions_per_s)
      .real("placements_per_s", summary.placements_per_s)
      .raw("submit_to_placed_ms", waits.done())
      .number("head_seq", live.sequence)
      .text("live_digest", live.digest);
  if (replayed)
    out.text("replay_digest", *replayed)
        .truth("digest_equal", live.digest == *replayed);
  return out.done();
}

string summary_text(const TraceSummary& summary, const SequenceDigest& live,
                    std::optional<bool> equal) {
  Sheet sheet;
  sheet.add("accepted", fmt::format("{}", summary.accepted));
  sheet.add("placed", fmt::format("{}", summary.placed));
  sheet.add("finished", fmt::format("{}", summary.finished));
  for (const auto& [reason, count] : summary.refused)
    sheet.add("refused", fmt::format("{}: {}", count, reason));
  sheet.add("took", fmt::format("{:.2f} s", summary.wall_s));
  sheet.add("sessions/s", fmt::format("{:.0f}", summary.sessions_per_s));
  sheet.add("placements/s", fmt::format("{:.0f}", summary.placements_per_s));
  sheet.add("submit to placed", fmt::format("p50 {:.1f} ms, p99 {:.1f} ms",
                                            summary.submit_to_placed_p50_ms,
                                            summary.submit_to_placed_p99_ms));
  sheet.add("digest",
            equal ? fmt::format("live and replayed {} at event {}",
                                *equal ? "are equal" : "DIFFER", live.sequence)
                  : "not compared: the log could not be replayed here");
  return sheet.text();
}

}  // namespace

Result command_trace_run(const Context& context, const Arguments& arguments) {
  auto options = trace_options(arguments);
  if (!options) return tl::unexpected(options.error());
  const auto trace = read_requests(context, arguments);
  if (!trace) return tl::unexpected(trace.error());
  const auto nodes = read_node_lists(arguments.all("--nodes"));
  if (!nodes) return tl::unexpected(nodes.error());
  options->groups =
      std::any_of(nodes->begin(), nodes->end(),
                  [](const auto& node) { return !node.group.empty(); });
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  auto users = users_of(context, **cell, *trace, arguments.has("--users"));
  if (!users) return tl::unexpected(users.error());
  options->users = std::move(*users);
  if (!nodes->empty() && !context.quiet)
    say("declaring " + counted(nodes->size(), "simulated node"));
  if (auto good = register_sim_nodes(**cell, *nodes); !good)
    return tl::unexpected(good.error());
  if (!context.quiet)
    say("submitting " + counted(trace->requests.size(), "session"));
  const auto summary =
      run_trace(**cell, trace->requests, *options, context.quiet);
  if (!summary) return tl::unexpected(summary.error());
  const auto live = live_digest(**cell);
  if (!live) return tl::unexpected(live.error());
  if (!context.quiet) say("replaying " + counted(live->sequence, "event"));
  const auto replayed = replay_digest(context, live->sequence);
  // A user's host, and that of a node, has no log: what ran is told all the
  // same.
  std::optional<bool> equal;
  if (replayed) equal = *replayed == live->digest;
  if (!context.json && !context.quiet)
    say(summary_text(*summary, *live, equal));
  print(
      summary_json(*summary, *live,
                   replayed ? std::optional<string>(*replayed) : std::nullopt) +
      '\n');
  if (equal == false) return exit_code(Errc::damaged);
  // Nothing ran, or not all that was accepted ran to its end.
  return summary->finished > 0 && summary->finished == summary->accepted ? 0
                                                                         : 1;
}

}  // namespace reeve::tools

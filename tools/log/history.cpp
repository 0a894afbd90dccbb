// history: a session's events and what led to them, from the log.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cluster/event_filter.hpp"
#include "cluster/session_id.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"
#include "tools/args/event_text.hpp"
#include "tools/log/causes.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/moment.hpp"

namespace reeve::tools {
namespace {

using std::string;

// What is kept of each event: its line and its cause.
struct Line {
  std::uint64_t cause = 0;
  string text;
};
using Lines = std::map<std::uint64_t, Line>;

// How far causes are followed out of the session: each is one more read.
constexpr std::size_t outer_causes_max = 1'000;

Status read_line(const Context& context, const store::LogReader& log,
                 std::uint64_t sequence, Lines& lines) {
  const std::int64_t offset = time_frame().utc_offset_s;
  return each_event(
      log, {sequence, sequence}, Trust::verify,
      [&](const schema::Event& event, std::span<const std::byte>) {
        lines[sequence] = {event.cause(), context.json
                                              ? schema::to_json(event) + '\n'
                                              : event_line(event, offset)};
        return true;
      });
}

// The events themselves, and what led to them from outside.
Expected<Lines> read_lines(const Context& context, const store::LogReader& log,
                           const std::vector<std::uint64_t>& events) {
  Lines lines;
  std::vector<std::uint64_t> wanted(events.rbegin(), events.rend());
  std::size_t outer = 0;
  while (!wanted.empty()) {
    const std::uint64_t sequence = wanted.back();
    wanted.pop_back();
    if (sequence == 0 || lines.contains(sequence)) continue;
    if (Status read = read_line(context, log, sequence, lines); !read)
      return tl::unexpected(read.error());
    const std::uint64_t cause = lines[sequence].cause;
    const bool inside = std::binary_search(events.begin(), events.end(), cause);
    if (!inside && cause != 0 && outer++ < outer_causes_max)
      wanted.push_back(cause);
  }
  return lines;
}

string fitted(const Context& context, const string& text) {
  if (context.json) return text;
  return wrapped(text, context.terminal.width, event_indent);
}

string tree_text(const Context& context, const Lines& lines) {
  std::vector<Caused> events;
  for (const auto& [sequence, line] : lines)
    events.push_back({sequence, line.cause});
  string out;
  for (const Branch& branch : tree_of(events))
    out += fitted(context, branch.stem + lines.at(branch.sequence).text);
  return out;
}

}  // namespace

Result log_history(const Context& context, const Arguments& arguments) {
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  const auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto at = moment_of(**log, arguments.find("--at"), "--at");
  if (!at) return tl::unexpected(at.error());
  const auto events = session_events(context, **log, *id, *at);
  if (!events) return tl::unexpected(events.error());
  if (events->empty())
    return fail(Errc::not_found,
                fmt::format("there is no session {} up to event {}",
                            to_text(*id), *at));
  const auto lines = read_lines(context, **log, *events);
  if (!lines) return tl::unexpected(lines.error());
  if (arguments.has("--tree") && !context.json) {
    print(tree_text(context, *lines));
    return 0;
  }
  string out;
  for (const auto& [sequence, line] : *lines) out += fitted(context, line.text);
  print(out);
  return 0;
}

}  // namespace reeve::tools

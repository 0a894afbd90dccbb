// diff: what changed between two moments.
#include <fmt/format.h>

#include "cluster/printable.hpp"
#include "cluster/units.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/moment.hpp"
#include "tools/log/state_diff.hpp"

namespace reeve::tools {
namespace {

using cluster::State;
using std::string;

constexpr std::size_t print_bytes = 64 << 10;
constexpr std::size_t change_indent = 4;

string change_json(const Change& change) {
  JsonObject fields;
  for (const auto& field : change.fields)
    fields.raw(field.name, JsonObject()
                               .text("before", field.before)
                               .text("after", field.after)
                               .done());
  return JsonObject()
      .text("what", change.what)
      .text("id", change.id)
      .text("change", kind_name(change.kind))
      .raw("fields", fields.done())
      .done();
}

string value_text(const FieldChange& field, const string& value) {
  if (value.empty()) return "-";
  const auto count = parse_count(value, "value");
  if (count && field.name.ends_with("_bytes")) return format_bytes(*count);
  if (count && field.name.ends_with("_milli")) return format_milli(*count);
  return printable(value);
}

// "used_memory_bytes" -> "used memory".
string field_title(std::string_view name) {
  for (const std::string_view unit : {"_bytes", "_milli"})
    if (name.ends_with(unit)) name.remove_suffix(unit.size());
  string out(name);
  for (char& c : out)
    if (c == '_') c = ' ';
  return out;
}

string change_text(const Change& change) {
  const char mark = change.kind == Change::Kind::added     ? '+'
                    : change.kind == Change::Kind::removed ? '-'
                                                           : '~';
  string out = fmt::format("{} {} {}", mark, change.what, change.id);
  bool first = true;
  for (const auto& field : change.fields) {
    const string after = value_text(field, field.after);
    out += first ? ": " : ", ";
    first = false;
    if (change.kind == Change::Kind::added)
      out += fmt::format("{} {}", field_title(field.name), after);
    else
      out += fmt::format("{} {} -> {}", field_title(field.name),
                         value_text(field, field.before), after);
  }
  return out;
}

string sums_json(const State& a, const State& b, const DiffSums& sums) {
  return JsonObject()
      .number("from_seq", a.last_sequence().value)
      .time("from_at", a.last_time().value)
      .number("to_seq", b.last_sequence().value)
      .time("to_at", b.last_time().value)
      .number("events", b.last_sequence().value - a.last_sequence().value)
      .number("changes", sums.changes)
      .number("submitted", sums.submitted)
      .number("ended", sums.ended)
      .number("forgotten", sums.forgotten)
      .done();
}

string sums_text(const Context& context, const State& a, const State& b,
                 const DiffSums& sums) {
  Sheet sheet;
  for (const auto& [title, state] : {std::pair{"from", &a}, {"to", &b}})
    sheet.add(title, fmt::format("event {}, {}", state->last_sequence().value,
                                 local_time(state->last_time().value)));
  string sessions =
      fmt::format("{} submitted, {} ended", sums.submitted, sums.ended);
  if (sums.forgotten != 0)
    sessions += fmt::format(" ({} of them both, known to the log only)",
                            sums.forgotten);
  sheet.add("sessions", sessions);
  sheet.add("changes", fmt::format("{}", sums.changes));
  return sheet.text(context.terminal);
}

}  // namespace

// A stream: its changes, then what they come to.
Result log_diff(const Context& context, const Arguments& arguments) {
  const auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto from = moment_of(**log, arguments.words[0], "A");
  if (!from) return tl::unexpected(from.error());
  const auto to = moment_of(**log, arguments.words[1], "B");
  if (!to) return tl::unexpected(to.error());
  if (*from > *to)
    return fail(Errc::usage,
                fmt::format("event {} is later than event {}: give the "
                            "earlier moment first",
                            *from, *to));
  const auto a = state_at(context, **log, *from);
  if (!a) return tl::unexpected(a.error());
  const auto b = state_at(context, **log, *to);
  if (!b) return tl::unexpected(b.error());
  string out;
  const bool silent = arguments.has("--summary");
  const DiffSums sums = diff_states(**a, **b, [&](const Change& change) {
    if (silent) return;
    out += context.json ? change_json(change)
                        : wrapped(change_text(change), context.terminal.width,
                                  change_indent);
    out += '\n';
    if (out.size() < print_bytes) return;
    print(out);
    out.clear();
  });
  if (!context.json && !out.empty()) out += '\n';
  out += context.json ? sums_json(**a, **b, sums) + '\n'
                      : sums_text(context, **a, **b, sums);
  print(out);
  return 0;
}

}  // namespace reeve::tools

// log cat, log stats.
#include <fmt/format.h>

#include <map>
#include <string>

#include "cluster/event_filter.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/args/event_text.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

using std::string;
using Bytes = std::span<const std::byte>;

constexpr std::size_t write_bytes = 64 << 10;

struct Selection {
  std::unique_ptr<store::LogReader> log;
  LogRange range;
  EventFilter filter;
};

Expected<Selection> select(const Context& context, const Arguments& arguments) {
  Selection out;
  auto filter = EventFilter::parse(arguments.text("--filter"));
  if (!filter)
    return fail(Errc::usage, fmt::format("--{}", filter.error().text));
  out.filter = std::move(*filter);
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  out.log = std::move(*log);
  const auto range =
      log_range(*out.log, arguments.find("--from"), arguments.find("--to"));
  if (!range) return tl::unexpected(range.error());
  out.range = *range;
  tell_end(context, *out.log, arguments.find("--from"));
  return out;
}

}  // namespace

Result log_cat(const Context& context, const Arguments& arguments) {
  auto selection = select(context, arguments);
  if (!selection) return tl::unexpected(selection.error());
  const std::int64_t offset = time_frame().utc_offset_s;
  string out;
  const auto read = each_event(
      *selection->log, selection->range, Trust::verify,
      [&](const schema::Event& event, Bytes) {
        if (!selection->filter.passes(event)) return true;
        out += context.json ? schema::to_json(event) + '\n'
                            : wrapped(event_line(event, offset),
                                      context.terminal.width, event_indent);
        if (out.size() > write_bytes) {
          print(out);
          out.clear();
        }
        return true;
      });
  print(out);
  if (!read) return tl::unexpected(read.error());
  return 0;
}

namespace {

struct KindStats {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
};

struct LogStats {
  std::map<string, KindStats, std::less<>> kinds;
  KindStats all;
  std::uint64_t commits = 0;
  std::uint64_t first_at = 0;
  std::uint64_t last_at = 0;

  void add(const schema::Event& event, std::size_t bytes) {
    if (first_at == 0) first_at = event.time_at();
    last_at = event.time_at();
    const auto kind = kind_of(event);
    auto found = kinds.find(kind);
    if (found == kinds.end())
      found = kinds.emplace(string(kind), KindStats{}).first;
    for (KindStats* stats : {&found->second, &all}) {
      ++stats->events;
      stats->bytes += bytes;
    }
  }
  double seconds() const {
    return static_cast<double>(last_at - first_at) / 1e9;
  }
  double events_per_s() const {
    return seconds() > 0 ? static_cast<double>(all.events) / seconds() : 0;
  }
};

string stats_json(const LogStats& stats, const store::Head& head) {
  JsonObject kinds;
  for (const auto& [kind, one] : stats.kinds)
    kinds.raw(kind, JsonObject()
                        .number("events", one.events)
                        .number("bytes", one.bytes)
                        .done());
  return JsonObject()
      .number("head_seq", head.sequence)
      .number("epoch", head.epoch)
      .number("events", stats.all.events)
      .number("bytes", stats.all.bytes)
      .number("commits", stats.commits)
      .time("first_at", stats.first_at)
      .time("last_at", stats.last_at)
      .real("events_per_s", stats.events_per_s())
      .raw("kinds", kinds.done())
      .done();
}

string stats_text(const Context& context, const LogStats& stats,
                  const store::Head& head) {
  using Align = Table::Align;
  Table table({{"KIND"},
               {"EVENTS", Align::right, 1},
               {"BYTES", Align::right, 2},
               {"EACH", Align::right, 3}});
  const auto row = [&](const string& name, const KindStats& one) {
    table.add({name, fmt::format("{}", one.events), format_bytes(one.bytes),
               fmt::format("{}", one.events ? one.bytes / one.events : 0)});
  };
  for (const auto& [kind, one] : stats.kinds) row(kind, one);
  row("all", stats.all);
  Sheet sheet;
  sheet.add("head",
            fmt::format("event {}, epoch {}", head.sequence, head.epoch));
  sheet.add("from", local_time(stats.first_at));
  sheet.add("to", local_time(stats.last_at));
  sheet.add("rate",
            fmt::format("{:.1f} events/s on average", stats.events_per_s()));
  return sheet.text(context.terminal) + '\n' + table.text(context.terminal);
}

}  // namespace

Result log_stats(const Context& context, const Arguments& arguments) {
  auto selection = select(context, arguments);
  if (!selection) return tl::unexpected(selection.error());
  LogStats stats;
  Meter meter(context.quiet, "reading", selection->range.from,
              selection->range.to);
  const auto read = each_event(
      *selection->log, selection->range, Trust::verify,
      [&](const schema::Event& event, Bytes bytes) {
        if (selection->filter.passes(event)) stats.add(event, bytes.size());
        meter.at(event.seq());
        return true;
      },
      [&] { ++stats.commits; });
  meter.done();
  if (!read) return tl::unexpected(read.error());
  const auto head = selection->log->head();
  print(context.json ? stats_json(stats, head) + '\n'
                     : stats_text(context, stats, head));
  return 0;
}

}  // namespace reeve::tools

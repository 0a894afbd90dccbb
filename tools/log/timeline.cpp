// timeline: who held what when.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/time_window.hpp"
#include "tools/log/timeline_view.hpp"
#include "tools/page/whole_file.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;
using std::string;

// A page of more takes longer than a second.
constexpr std::size_t packed_at_once = 100'000;

// The locale decides what a terminal can show.
bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    string text(value);
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text.find("utf-8") != string::npos ||
           text.find("utf8") != string::npos;
  }
  return false;
}

Expected<BarOptions> bar_options(const Context& context,
                                 const Arguments& arguments) {
  BarOptions out;
  const auto by = arguments.find("--by").value_or("user");
  out.by = by == "session"   ? ColourBy::session
           : by == "project" ? ColourBy::project
                             : ColourBy::user;
  out.colour = context.terminal.colour;
  out.unicode = context.terminal.is_terminal && speaks_utf8();
  if (context.terminal.width > 0)
    out.width =
        std::clamp(context.terminal.width, bar_width_min, bar_width_max);
  if (const auto given = arguments.find("--width")) {
    const auto width =
        parse_count(*given, "width", bar_width_min, bar_width_max);
    if (!width) return tl::unexpected(width.error());
    out.width = *width;
  }
  if (const auto given = arguments.find("--limit")) {
    const auto limit = parse_count(*given, "limit", 1);
    if (!limit) return tl::unexpected(limit.error());
    out.rows_max = *limit;
  }
  return out;
}

bool has_node(const Ledger& ledger, std::string_view name) {
  for (const auto& node : ledger.nodes())
    if (node.name == name) return true;
  return false;
}

string count_of(const TimelineView& view) {
  return fmt::format("{} of {}",
                     counted(view.timeline.allocations.size(), "allocation"),
                     counted(view.timeline.runs.size(), "attempt"));
}

Result write_page(const Context& context, const TimelineView& view,
                  WholeFile& file, const string& path) {
  Progress progress(context.quiet);
  if (view.timeline.allocations.size() > packed_at_once)
    progress.show(fmt::format("packing {}", count_of(view)));
  const string page = timeline_page(view);
  progress.clear();
  const auto written = file.finish(page);
  if (!written) return tl::unexpected(written.error());
  if (path == "-") return 0;
  if (context.json) {
    print(JsonObject()
              .text("file", path)
              .number("bytes", page.size())
              .number("allocations", view.timeline.allocations.size())
              .number("attempts", view.timeline.runs.size())
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(fmt::format("{}: {}, {}", path, count_of(view),
                    format_bytes(page.size())));
  }
  return 0;
}

}  // namespace

Result log_timeline(const Context& context, const Arguments& arguments) {
  const auto options = bar_options(context, arguments);
  if (!options) return tl::unexpected(options.error());
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto range = time_window(context, **log, arguments);
  if (!range) return tl::unexpected(range.error());
  std::optional<WholeFile> file;
  const string path(arguments.text("--html"));
  if (arguments.has("--html")) {
    auto opened = WholeFile::open(path);
    if (!opened) return tl::unexpected(opened.error());
    file.emplace(std::move(*opened));
  }

  const auto node = arguments.find("--node");
  const Ledger* ledger = nullptr;
  Timeline timeline([&](NodeId id) {
    return !node || ledger->nodes()[id.value].name == *node;
  });
  Window window({range->from, range->to}, timeline);
  ledger = &window.ledger();
  const auto run = run_window(**log, *range, context.quiet, window);
  if (!run) return tl::unexpected(run.error());
  timeline.finish(*ledger);
  if (node && !has_node(*ledger, *node))
    return fail(Errc::not_found,
                fmt::format("the log knows no node \"{}\" until then", *node));
  if (timeline.overflowed())
    return fail(Errc::usage,
                fmt::format("more than {} allocations lie in this range: "
                            "choose a shorter one (--from, --to) or --node",
                            timeline_allocations_max));

  const TimelineView view{timeline, *ledger, range->from, range->to};
  if (file) return write_page(context, view, *file, path);
  print(context.json ? timeline_json(view) : timeline_bars(view, *options));
  return 0;
}

}  // namespace reeve::tools

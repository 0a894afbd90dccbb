// log archive.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/units.hpp"
#include "store/archive.hpp"
#include "store/log.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

using std::string;

// Fewer would make a file for next to nothing.
constexpr std::uint64_t archive_events_min = 1'000;
constexpr std::uint64_t kept_events = 1'000'000;

struct ArchiveOptions {
  std::uint64_t to = 0;
  std::uint64_t events_each = store::archive_events;
  store::Rest rest = store::Rest::leave;
};

Expected<std::uint64_t> count_option(const Arguments& arguments,
                                     std::string_view option,
                                     std::uint64_t otherwise,
                                     std::uint64_t least) {
  const auto text = arguments.find(option);
  if (!text) return otherwise;
  const auto count = parse_count(*text, "number of events", least);
  if (!count)
    return fail(Errc::usage, fmt::format("{}: {}", option, count.error().text));
  return count;
}

Expected<ArchiveOptions> archive_options(store::LogReader& log,
                                         const Arguments& arguments) {
  ArchiveOptions out;
  const auto each =
      count_option(arguments, "--segment", out.events_each, archive_events_min);
  if (!each) return tl::unexpected(each.error());
  out.events_each = *each;
  const auto keep = count_option(arguments, "--keep", kept_events, 1);
  if (!keep) return tl::unexpected(keep.error());
  const std::uint64_t head = log.head().sequence;
  out.to = head > *keep ? head - *keep : 0;
  if (!arguments.find("--to")) return out;
  const auto range = log_range(log, std::nullopt, arguments.find("--to"));
  if (!range) return tl::unexpected(range.error());
  out.to = range->to;
  out.rest = store::Rest::take;
  return out;
}

struct Sealed {
  store::SegmentInfo info;
  string file;
  std::uint64_t bytes = 0;
};

Expected<Sealed> seal(const Context& context, const store::LogReader& log,
                      const store::Layout& layout,
                      const store::SegmentInfo& info) {
  Meter writing(context.quiet, "archiving", info.first_sequence,
                info.last.sequence);
  Meter proving(context.quiet, "reading it back", info.first_sequence,
                info.last.sequence);
  store::SegmentFileSteps steps;
  steps.written = [&](std::uint64_t event) { writing.look(event); };
  steps.proved = [&](std::uint64_t event) { proving.look(event); };
  if (Status done = store::seal_archive(log, layout, info, steps); !done)
    return tl::unexpected(done.error());
  Sealed out{info, store::ArchiveSet::file_name(info.first_sequence,
                                                info.last.sequence)};
  std::error_code ignored;
  out.bytes = std::filesystem::file_size(layout.archive() / out.file, ignored);
  return out;
}

// Removes them from the database, or finds that the daemon holds it and will.
struct Removal {
  std::uint64_t to = 0;
  bool left_to_daemon = false;
};
Expected<Removal> remove_archived(const store::Layout& layout) {
  store::LogOptions options;
  options.directory = layout.directory;
  options.floor_bytes = 0;
  auto log = store::Log::open(options);
  if (!log && log.error().code == Errc::busy) return Removal{0, true};
  if (!log) return tl::unexpected(log.error());
  const auto removed = (*log)->drop_archived();
  if (!removed) return tl::unexpected(removed.error());
  if (Status closed = (*log)->close(); !closed)
    return tl::unexpected(closed.error());
  return Removal{*removed, false};
}

void tell(const Context& context, const std::vector<Sealed>& sealed,
          const Removal& removal) {
  if (context.json) {
    std::vector<string> documents;
    for (const auto& one : sealed)
      documents.push_back(JsonObject()
                              .text("file", one.file)
                              .number("from", one.info.first_sequence)
                              .number("to", one.info.last.sequence)
                              .number("bytes", one.bytes)
                              .done());
    print(JsonObject()
              .raw("archives", json_array(documents))
              .number("removed_to", removal.to)
              .truth("left_to_daemon", removal.left_to_daemon)
              .done() +
          '\n');
    return;
  }
  for (const auto& one : sealed)
    print(fmt::format("{} are in archive/{} ({})\n",
                      store::range_text(one.info), one.file,
                      format_bytes(one.bytes)));
  if (sealed.empty()) print("nothing is old enough to be archived\n");
  if (removal.to != 0)
    print(fmt::format("events up to {} are no longer in the database\n",
                      removal.to));
  else if (removal.left_to_daemon && !sealed.empty())
    print("the daemon takes them out of its database within a minute\n");
}

}  // namespace

Result log_archive(const Context& context, const Arguments& arguments) {
  const auto layout = store::find_log(arguments.find("--log").value_or(
      std::string_view(context.data.native())));
  if (!layout) return tl::unexpected(layout.error());
  std::vector<Sealed> sealed;
  {
    const auto log = open_log(context, arguments);
    if (!log) return tl::unexpected(log.error());
    const auto options = archive_options(**log, arguments);
    if (!options) return tl::unexpected(options.error());
    const auto plan = store::plan_archives(**log, options->to,
                                           options->events_each, options->rest);
    if (!plan) return tl::unexpected(plan.error());
    for (const auto& info : *plan) {
      auto one = seal(context, **log, *layout, info);
      if (!one) return tl::unexpected(one.error());
      sealed.push_back(std::move(*one));
    }
  }
  const auto removal = remove_archived(*layout);
  if (!removal) return tl::unexpected(removal.error());
  tell(context, sealed, *removal);
  return 0;
}

}  // namespace reeve::tools

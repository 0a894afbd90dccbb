// log export, log import.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cluster/units.hpp"
#include "store/export.hpp"
#include "store/import.hpp"
#include "store/layout.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

using std::string;

// What goes into a pipe is proved by whoever imports it.
Status export_to_pipe(const Context& context, const store::LogReader& log,
                      const store::SegmentInfo& info, std::uint64_t& bytes) {
  if (context.terminal.is_terminal)
    return fail(Errc::usage,
                "an export is no text for a terminal: give a file, or "
                "\"- > FILE\"");
  const store::FileHandle out(::dup(STDOUT_FILENO));
  Meter meter(context.quiet, "exporting", info.first_sequence,
              info.last.sequence);
  const auto sink = [&](std::span<const std::byte> part) {
    bytes += part.size();
    return store::write_all(out, part, "standard output");
  };
  return store::write_segment(log, info, sink,
                              [&](std::uint64_t event) { meter.look(event); });
}

Status export_to_file(const Context& context, const store::LogReader& log,
                      const store::SegmentInfo& info, const string& file,
                      std::uint64_t& bytes) {
  Meter writing(context.quiet, "exporting", info.first_sequence,
                info.last.sequence);
  Meter proving(context.quiet, "reading it back", info.first_sequence,
                info.last.sequence);
  store::SegmentFileSteps steps;
  steps.written = [&](std::uint64_t event) { writing.look(event); };
  steps.proved = [&](std::uint64_t event) { proving.look(event); };
  if (Status done = store::write_segment_file(log, info, file, steps); !done)
    return done;
  std::error_code ignored;
  bytes = std::filesystem::file_size(file, ignored);
  return {};
}

string hash_hex(const store::Hash& hash) {
  string out;
  for (const std::byte byte : hash)
    out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out;
}

}  // namespace

Result log_export(const Context& context, const Arguments& arguments) {
  const string& file = arguments.words[0];
  const auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto range =
      log_range(**log, arguments.find("--from"), arguments.find("--to"));
  if (!range) return tl::unexpected(range.error());
  if (range->to < range->from)
    return fail(Errc::not_found, "there are no events in that range");
  const auto compression = arguments.text("--compression") == "none"
                               ? store::Compression::none
                               : store::Compression::zstd;
  const auto info =
      store::segment_of(**log, range->from, range->to, compression);
  if (!info) return tl::unexpected(info.error());
  std::uint64_t bytes = 0;
  const bool pipe = file == "-";
  const Status done = pipe ? export_to_pipe(context, **log, *info, bytes)
                           : export_to_file(context, **log, *info, file, bytes);
  if (!done) return tl::unexpected(done.error());
  const string text =
      context.json ? JsonObject()
                         .text("file", file)
                         .number("from", info->first_sequence)
                         .number("to", info->last.sequence)
                         .number("events", info->events())
                         .number("bytes", bytes)
                         .text("hash_before", hash_hex(info->previous))
                         .text("last_hash", hash_hex(info->last.hash))
                         .done()
                   : fmt::format("{} are in {} ({})", store::range_text(*info),
                                 file, format_bytes(bytes));
  if (!pipe)
    print(text + '\n');
  else if (!context.quiet)
    say(text);
  return 0;
}

namespace {

// Where an import goes: a log that is there, or the directory of a new one.
std::filesystem::path import_target(const Context& context,
                                    const Arguments& arguments) {
  const auto given = arguments.find("--log");
  return given ? std::filesystem::path(*given) : context.data / "log";
}

}  // namespace

Result log_import(const Context& context, const Arguments& arguments) {
  const auto segment = store::SegmentFile::open(arguments.words[0]);
  if (!segment) return tl::unexpected(segment.error());
  const store::SegmentInfo& info = (*segment)->info();
  store::LogOptions options;
  options.directory = import_target(context, arguments);
  options.floor_bytes = 0;
  if (const auto found = store::find_log(options.directory); found)
    options.directory = found->directory;
  Meter proving(context.quiet, "proving", info.first_sequence,
                info.last.sequence);
  const auto plan =
      store::plan_import(**segment, options.directory,
                         [&](std::uint64_t event) { proving.at(event); });
  proving.done();
  if (!plan) return tl::unexpected(plan.error());
  Meter writing(context.quiet, "importing", plan->from, plan->to);
  const Status done =
      store::import_segment(**segment, *plan, options,
                            [&](std::uint64_t event) { writing.at(event); });
  writing.done();
  if (!done) return tl::unexpected(done.error());
  const std::uint64_t events =
      plan->to < plan->from ? 0 : plan->to - plan->from + 1;
  if (context.json)
    print(JsonObject()
              .text("log", options.directory.string())
              .number("from", plan->from)
              .number("to", plan->to)
              .number("events", events)
              .truth("made", plan->makes_log)
              .done() +
          '\n');
  else if (events == 0)
    print(fmt::format("all events up to {} are in {} already\n", plan->to,
                      options.directory.string()));
  else
    print(fmt::format("events {} to {} are in {} now\n", plan->from, plan->to,
                      options.directory.string()));
  return 0;
}

}  // namespace reeve::tools

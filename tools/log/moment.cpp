#include "tools/log/moment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "actors/journal/entities.hpp"
#include "cluster/event_filter.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/meter.hpp"
#include "tools/log/rebuild.hpp"

namespace reeve::tools {

Expected<std::uint64_t> moment_of(store::LogReader& log,
                                  std::optional<std::string_view> text,
                                  std::string_view option) {
  const auto range = log_range(log, std::nullopt, text);
  if (!range)
    return fail(range.error().code,
                fmt::format("{}: {}", option, range.error().text));
  return range->to;
}

namespace {

Status scan_for(const Context& context, store::LogReader& log, SessionId id,
                LogRange range, std::vector<std::uint64_t>& out) {
  Meter meter(context.quiet, "reading what is not indexed", range.from,
              range.to);
  const auto read =
      each_event(log, range, Trust::chain,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   meter.at(event.seq());
                   if (session_of(event) == id.value)
                     out.push_back(event.seq());
                   return true;
                 });
  meter.done();
  return read;
}

}  // namespace

Expected<std::vector<std::uint64_t>> session_events(const Context& context,
                                                    store::LogReader& log,
                                                    SessionId id,
                                                    std::uint64_t to) {
  std::vector<std::uint64_t> out;
  std::uint64_t indexed_to = 0;
  auto indexed = log.indexed({journal::session_entity, id.value});
  if (indexed) {
    out = std::move(indexed->events);
    indexed_to = indexed->to;
  } else if (!context.quiet) {
    say(fmt::format("reeve: the index is not used: {}", indexed.error().text));
  }
  while (!out.empty() && out.back() > to) out.pop_back();
  if (indexed_to < to)
    if (Status read = scan_for(context, log, id, {indexed_to + 1, to}, out);
        !read)
      return tl::unexpected(read.error());
  return out;
}

Expected<const cluster::State*> state_at(const Context& context,
                                         store::LogReader& log,
                                         std::uint64_t at) {
  static std::deque<cluster::State> kept;
  RebuildOptions options;
  options.to = at;
  options.use_snapshot = true;
  options.quiet = context.quiet;
  auto rebuilt = rebuild(log, options);
  if (!rebuilt) return tl::unexpected(rebuilt.error());
  return &kept.emplace_back(std::move(rebuilt->state));
}

}  // namespace reeve::tools

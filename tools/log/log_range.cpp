#include "tools/log/log_range.hpp"

#include <fmt/format.h>

#include "cluster/units.hpp"
#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

Expected<std::uint64_t> time_of(const store::LogReader& log,
                                std::uint64_t sequence) {
  std::uint64_t at = 0;
  auto good =
      each_event(log, {sequence, sequence}, Trust::verify,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   at = event.time_at();
                   return false;
                 });
  if (!good) return tl::unexpected(good.error());
  return at;
}

// The first event later than `time_at` (or at it), by halving; one past the
// head when there is none.
Expected<std::uint64_t> first_event(const store::LogReader& log,
                                    std::uint64_t time_at, bool or_at) {
  std::uint64_t low = 1;
  std::uint64_t high = log.head().sequence + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const auto at = time_of(log, middle);
    if (!at) return at;
    const bool before = or_at ? *at < time_at : *at <= time_at;
    if (before)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool is_number(string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == string_view::npos;
}

tl::unexpected<Error> before_the_first(const store::LogReader& log,
                                       string_view text) {
  const Expected<std::uint64_t> first =
      log.head().sequence == 0 ? 0 : time_of(log, 1);
  if (!first) return tl::unexpected(first.error());
  return fail(Errc::usage,
              *first == 0 ? string("the log has no event yet")
                          : fmt::format("there is nothing up to \"{}\": the "
                                        "first event is of {}",
                                        text, local_time(*first)));
}

Expected<std::uint64_t> time_from(string_view text) {
  const auto at = parse_time(text, time_frame());
  if (!at)
    return fail(Errc::usage, fmt::format("{}, or a sequence", at.error().text));
  return at;
}

}  // namespace

Expected<std::unique_ptr<store::LogReader>> open_log(
    const Context& context, const Arguments& arguments) {
  const std::filesystem::path given(
      arguments.find("--log").value_or(string_view(context.data.native())));
  auto log = store::LogReader::open(given);
  if (log && !context.quiet)
    for (const auto& warning : (*log)->warnings())
      say(fmt::format("reeve: {}", warning));
  return log;
}

Expected<LogRange> log_range(store::LogReader& log,
                             std::optional<string_view> from,
                             std::optional<string_view> to) {
  const std::uint64_t head = log.head().sequence;
  LogRange out{1, head};
  const auto bound = [&](string_view text, bool is_from) {
    if (is_number(text)) return parse_count(text, "sequence");
    const auto at = time_from(text);
    return at ? first_event(log, *at, is_from) : at;
  };
  if (from) {
    const auto first = bound(*from, true);
    if (!first) return tl::unexpected(first.error());
    out.from = std::max<std::uint64_t>(*first, 1);
  }
  if (to) {
    const auto last = bound(*to, false);
    if (!last) return tl::unexpected(last.error());
    // A time gave the first event after it.
    out.to = is_number(*to) ? *last : *last - 1;
    if (out.to == 0) return before_the_first(log, *to);
    if (out.to > head)
      return fail(Errc::not_found,
                  fmt::format("there is no event {}: the log ends at {}",
                              out.to, head));
  }
  // Two moments between the same two events are one more apart.
  const bool numbers = from && to && is_number(*from) && is_number(*to);
  if (from && to && out.from > out.to + (numbers ? 0 : 1))
    return fail(Errc::usage,
                fmt::format("\"{}\" is later than \"{}\": there is "
                            "nothing from the one to the other",
                            *from, *to));
  return out;
}

void tell_end(const Context& context, const store::LogReader& log,
              std::optional<string_view> from) {
  if (context.quiet || !from || !is_number(*from)) return;
  const auto first = parse_count(*from, "sequence");
  if (first && *first > log.head().sequence)
    say(fmt::format("reeve: there is no event {} yet: the log ends at {}",
                    *first, log.head().sequence));
}

Status each_event(const store::LogReader& log, LogRange range, Trust trust,
                  const EventVisit& visit,
                  const std::function<void()>& on_commit) {
  if (range.to < range.from) return {};
  Status status;
  const auto one = [&](std::span<const std::byte> bytes,
                       std::uint64_t sequence) {
    const schema::Event* event = trust == Trust::chain
                                     ? &schema::event_of(bytes)
                                     : schema::verified_event(bytes);
    if (event == nullptr || event->seq() != sequence) {
      status = fail(Errc::damaged,
                    fmt::format("the bytes at {} are not that event: this is "
                                "no log of a cell, or of a newer program",
                                sequence));
      return false;
    }
    return visit(*event, bytes);
  };
  auto scanned =
      log.scan(range.from, range.to, [&](const store::Record& record) {
        if (on_commit) on_commit();
        store::EventCursor cursor(record.events);
        std::uint64_t sequence = record.first_sequence;
        while (const auto bytes = cursor.next()) {
          const bool inside = sequence >= range.from && sequence <= range.to;
          if (inside && !one(*bytes, sequence)) return false;
          ++sequence;
        }
        return true;
      });
  if (!status) return status;
  return scanned;
}

}  // namespace reeve::tools

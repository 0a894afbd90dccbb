#include "tools/log/time_window.hpp"

#include <fmt/format.h>

#include "cluster/project.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

using std::string_view;

bool is_sequence(string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == string_view::npos;
}

Expected<Time> time_of_event(const store::LogReader& log,
                             std::uint64_t sequence) {
  const std::uint64_t head = log.head().sequence;
  if (sequence == 0 || sequence > head)
    return fail(Errc::not_found, fmt::format("there is no event {}: the log "
                                             "has events 1 to {}",
                                             sequence, head));
  Time out;
  const auto read =
      each_event(log, {sequence, sequence}, Trust::verify,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   out = Time{event.time_at()};
                   return false;
                 });
  if (!read) return tl::unexpected(read.error());
  return out;
}

Expected<Time> moment(const store::LogReader& log, string_view option,
                      string_view text) {
  if (is_sequence(text)) {
    const auto sequence = parse_count(text, "sequence");
    if (!sequence) return tl::unexpected(sequence.error());
    return time_of_event(log, *sequence);
  }
  const auto at = parse_time(text, time_frame());
  if (!at)
    return fail(Errc::usage,
                fmt::format("{}: {}, or a sequence", option, at.error().text));
  return Time{*at};
}

std::string shown(Time at) {
  return schema::rfc3339(at.value);
}

Status check(const TimeWindow& window) {
  const Time now{std::max(now_ns(), window.log_to.value)};
  if (window.log_from >= window.log_to && window.to == window.log_to)
    return fail(Errc::usage,
                "all events of the log are of one moment: "
                "nothing can be counted yet");
  if (window.from < window.log_from)
    return fail(Errc::usage,
                fmt::format("--from is {}, but the log begins at {}; leave "
                            "--from out to begin there",
                            shown(window.from), shown(window.log_from)));
  if (window.to < window.log_from)
    return fail(Errc::usage,
                fmt::format("--to is {}, but the log begins at {}",
                            shown(window.to), shown(window.log_from)));
  if (window.to > now)
    return fail(Errc::usage,
                fmt::format("--to is {}, which lies ahead", shown(window.to)));
  if (window.from >= window.log_to && window.to == window.log_to)
    return fail(Errc::usage,
                fmt::format("--from is {}, but the log ends at {}; with --to "
                            "now what was so then counts until now",
                            shown(window.from), shown(window.log_to)));
  if (window.from >= window.to)
    return fail(Errc::usage,
                fmt::format("there is no time between {} and {}: nothing can "
                            "be counted",
                            shown(window.from), shown(window.to)));
  return {};
}

// The first event that is not before `at`.
Expected<std::uint64_t> first_event(store::LogReader& log, Time at) {
  const auto range = log_range(log, shown(at), std::nullopt);
  if (!range) return tl::unexpected(range.error());
  return range->from;
}

// Tells the newest state before the events. Returns its sequence, 0 where there
// is none.
Expected<std::uint64_t> begin(store::LogReader& log, std::uint64_t before,
                              bool quiet, const EventFold& fold) {
  if (before == 0) return std::uint64_t{0};
  const auto snapshot = log.snapshot_at(before);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (!*snapshot) return std::uint64_t{0};
  const auto state = cluster::State::decode_snapshot((*snapshot)->bytes);
  if (!state) {
    if (!quiet)
      say(
          fmt::format("reeve: the snapshot at {} cannot be used ({}); the log "
                      "is read from its first event",
                      (*snapshot)->sequence, state.error().text));
    return std::uint64_t{0};
  }
  Status told;
  cluster::tell_as_events(*state, [&](const schema::Event& event,
                                      std::span<const std::byte> bytes) {
    if (told) told = fold(event, bytes);
  });
  if (!told) return tl::unexpected(told.error());
  return state->last_sequence().value;
}

}  // namespace

Expected<TimeWindow> time_window(const Context& context, store::LogReader& log,
                                 const Arguments& arguments) {
  const std::uint64_t head = log.head().sequence;
  if (head == 0) return fail(Errc::not_found, "the log has no events yet");
  TimeWindow out;
  const auto take = [](Time& to, const Expected<Time>& at) -> Status {
    if (!at) return tl::unexpected(at.error());
    to = *at;
    return {};
  };
  if (auto good = take(out.log_from, time_of_event(log, 1)); !good)
    return tl::unexpected(good.error());
  if (auto good = take(out.log_to, time_of_event(log, head)); !good)
    return tl::unexpected(good.error());
  out.from = out.log_from;
  out.to = out.log_to;
  for (const auto& [option, at] :
       {std::pair{"--from", &out.from}, std::pair{"--to", &out.to}}) {
    const auto given = arguments.find(option);
    if (!given) continue;
    if (auto good = take(*at, moment(log, option, *given)); !good)
      return tl::unexpected(good.error());
  }
  if (auto good = check(out); !good) return tl::unexpected(good.error());
  if (out.to > out.log_to && !context.quiet)
    say(
        fmt::format("reeve: the log ends at {}; what was so then counts as "
                    "going on until {}",
                    shown(out.log_to), shown(out.to)));
  const auto first = first_event(log, out.from);
  if (!first) return tl::unexpected(first.error());
  const auto after = first_event(log, Time{out.to.value + 1});
  if (!after) return tl::unexpected(after.error());
  out.events = {*first, *after - 1};
  return out;
}

Status run_events(store::LogReader& log, const TimeWindow& range, bool quiet,
                  const EventFold& fold) {
  const auto known = begin(log, range.events.from - 1, quiet, fold);
  if (!known) return tl::unexpected(known.error());
  const LogRange rest{*known + 1, range.events.to};
  Meter meter(quiet, "reading", rest.from, rest.to);
  Status folded;
  const auto read = each_event(
      log, rest, Trust::chain,
      [&](const schema::Event& event, std::span<const std::byte> bytes) {
        folded = fold(event, bytes);
        meter.at(event.seq());
        return folded.has_value();
      });
  return folded ? read : folded;
}

Status run_window(store::LogReader& log, const TimeWindow& range, bool quiet,
                  cluster::accounting::Window& window) {
  const auto run =
      run_events(log, range, quiet,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   return window.apply(event);
                 });
  if (run) window.finish();
  return run;
}

}  // namespace reeve::tools

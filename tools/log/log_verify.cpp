// log verify: the chain, every event as if it came from outside, the fold of
// all of them and the invariants on the way. With --from, only the chain and
// the events: what they fold to hangs on what went before.
#include <fmt/format.h>

#include "store/segment.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/meter.hpp"
#include "tools/log/rebuild.hpp"

namespace reeve::tools {
namespace {

using cluster::State;
using std::string;

// Checking the invariants costs as much as this many events.
constexpr std::uint64_t events_between_checks = 250'000;

struct Verified {
  std::uint64_t events = 0;
  string digest;
};

// The first event after which the state contradicts itself, in (good, bad]:
// by halving, from the state at `good`.
Expected<std::uint64_t> first_bad(store::LogReader& log, std::uint64_t good,
                                  std::uint64_t bad, bool quiet) {
  RebuildOptions options;
  options.to = good;
  options.trust = Trust::verify;
  options.quiet = quiet;
  options.doing = "looking for the first bad event";
  const auto base = rebuild(log, options);
  if (!base) return tl::unexpected(base.error());
  const auto bytes = base->state.encode_snapshot();
  while (good + 1 < bad) {
    const std::uint64_t middle = good + (bad - good) / 2;
    auto state = State::decode_snapshot(bytes);
    if (!state) return tl::unexpected(state.error());
    const auto folded =
        apply_events(log, {base->state.last_sequence().value + 1, middle},
                     Trust::verify, *state);
    if (!folded) return tl::unexpected(folded.error());
    (state->check_invariants() ? good : bad) = middle;
  }
  return bad;
}

tl::unexpected<Error> contradiction(store::LogReader& log, std::uint64_t good,
                                    std::uint64_t bad, const Error& error,
                                    bool quiet) {
  const auto first = first_bad(log, good, bad, quiet);
  if (!first) return tl::unexpected(first.error());
  return fail(Errc::damaged,
              fmt::format("the chain is whole, but event {} makes a state that "
                          "contradicts itself (seen at event {}: {})",
                          *first, bad, error.text));
}

Expected<Verified> verify_fold(const Context& context, store::LogReader& log,
                               std::uint64_t to) {
  State state;
  Meter meter(context.quiet, "verifying", 1, to);
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  Status applied;
  Status sound;
  const auto read = each_event(
      log, {1, to}, Trust::verify,
      [&](const schema::Event& event, std::span<const std::byte>) {
        meter.at(event.seq());
        applied = state.apply(event);
        if (!applied) return false;
        if (event.seq() % events_between_checks != 0 && event.seq() != to)
          return true;
        sound = state.check_invariants();
        (sound ? good : bad) = event.seq();
        return sound.has_value();
      });
  meter.done();
  if (!applied)
    return fail(applied.error().code,
                fmt::format("event {}: {}", state.last_sequence().value + 1,
                            applied.error().text));
  if (!read) return tl::unexpected(read.error());
  if (!sound)
    return contradiction(log, good, bad, sound.error(), context.quiet);
  return Verified{to, context.json ? state.digest_hex() : string()};
}

Expected<Verified> verify_range(const Context& context, store::LogReader& log,
                                const LogRange& range) {
  Meter meter(context.quiet, "verifying", range.from, range.to);
  Verified out;
  const auto read =
      each_event(log, range, Trust::verify,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   meter.at(event.seq());
                   ++out.events;
                   return true;
                 });
  meter.done();
  if (!read) return tl::unexpected(read.error());
  return out;
}

void tell(const Context& context, const LogRange& range,
          const Verified& verified) {
  if (!context.json) {
    print(fmt::format("events {} to {} are whole, in order and unaltered\n",
                      range.from, range.to));
    return;
  }
  JsonObject out;
  out.truth("ok", true)
      .number("from", range.from)
      .number("to", range.to)
      .number("events", verified.events);
  if (!verified.digest.empty()) out.text("digest", verified.digest);
  print(out.done() + '\n');
}

// An export or archive by itself: its seal, its blocks and the chain in it.
Result verify_segment(const Context& context, std::string_view path) {
  const auto segment = store::SegmentFile::open(path);
  if (!segment) return tl::unexpected(segment.error());
  const auto& info = (*segment)->info();
  Meter meter(context.quiet, "verifying", info.first_sequence,
              info.last.sequence);
  const Status whole = (*segment)->scan([&](const store::Record& record) {
    meter.at(record.last_sequence());
    return true;
  });
  meter.done();
  if (!whole) return tl::unexpected(whole.error());
  tell(context, {info.first_sequence, info.last.sequence}, {info.events(), {}});
  return 0;
}

}  // namespace

Result log_verify(const Context& context, const Arguments& arguments) {
  std::error_code ignored;
  const auto given = arguments.find("--log");
  if (given && std::filesystem::is_regular_file(*given, ignored))
    return verify_segment(context, *given);
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto range =
      log_range(**log, arguments.find("--from"), arguments.find("--to"));
  if (!range) return tl::unexpected(range.error());
  if (range->from > 1 && range->to < range->from)
    return arguments.has("--to")
               ? fail(Errc::usage,
                      fmt::format("--to is event {}, which is before event {} "
                                  "of --from",
                                  range->to, range->from))
               : fail(Errc::not_found,
                      fmt::format("there is no event from {} on: the log ends "
                                  "at {}",
                                  range->from, range->to));
  const auto verified = range->from > 1
                            ? verify_range(context, **log, *range)
                            : verify_fold(context, **log, range->to);
  if (!verified) return tl::unexpected(verified.error());
  tell(context, *range, *verified);
  return 0;
}

}  // namespace reeve::tools

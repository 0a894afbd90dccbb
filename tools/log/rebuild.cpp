#include "tools/log/rebuild.hpp"

#include <fmt/format.h>

#include "cluster/proved_snapshot.hpp"
#include "schema/wire.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

// The nearest snapshot that is good for something; what is wrong with one that
// is not is said.
Expected<cluster::State> first_state(store::LogReader& log,
                                     const RebuildOptions& options) {
  std::size_t said = log.warnings().size();
  std::uint64_t at = options.use_snapshot ? options.to : 0;
  while (at > 0) {
    const auto snapshot = log.snapshot_at(at);
    for (; said < log.warnings().size(); ++said)
      if (!options.quiet) say(fmt::format("reeve: {}", log.warnings()[said]));
    if (!snapshot) return tl::unexpected(snapshot.error());
    if (!*snapshot) break;
    const std::uint64_t sequence = (*snapshot)->sequence;
    auto state = cluster::decode_proved((*snapshot)->bytes);
    if (state && state->last_sequence().value == sequence) return state;
    if (!options.quiet)
      say(fmt::format(
          "reeve: the snapshot at {} cannot be used ({}); an older "
          "one is",
          sequence, state ? "it is of another event" : state.error().text));
    at = sequence - 1;
  }
  return cluster::State();
}

Status apply_each(const store::LogReader& log, LogRange range, Trust trust,
                  cluster::State& state, Meter* meter) {
  Status applied;
  const auto read =
      each_event(log, range, trust,
                 [&](const schema::Event& event, std::span<const std::byte>) {
                   if (meter) meter->at(event.seq());
                   applied = state.apply(event);
                   return applied.has_value();
                 });
  if (!applied)
    return fail(applied.error().code,
                fmt::format("event {}: {}", state.last_sequence().value + 1,
                            applied.error().text));
  return read;
}

}  // namespace

Status apply_events(const store::LogReader& log, LogRange range, Trust trust,
                    cluster::State& state) {
  return apply_each(log, range, trust, state, nullptr);
}

Expected<Rebuilt> rebuild(store::LogReader& log,
                          const RebuildOptions& options) {
  const std::uint64_t begun_ns = monotonic_ns();
  auto first = first_state(log, options);
  if (!first) return tl::unexpected(first.error());
  Rebuilt out;
  out.state = std::move(*first);
  out.snapshot = out.state.last_sequence().value;
  Meter meter(options.quiet, options.doing, out.snapshot + 1, options.to);
  const Status applied = apply_each(log, {out.snapshot + 1, options.to},
                                    options.trust, out.state, &meter);
  meter.done();
  if (!applied) return tl::unexpected(applied.error());
  out.events = out.state.last_sequence().value - out.snapshot;
  out.duration_ns = monotonic_ns() - begun_ns;
  return out;
}

}  // namespace reeve::tools

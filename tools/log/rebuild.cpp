#include "tools/log/rebuild.hpp"

#include <fmt/format.h>

#include "schema/wire.hpp"

namespace reeve::tools {
namespace {

constexpr std::uint64_t progress_every = 65'536;

// The newest snapshot that is good for something.
Expected<cluster::State> first_state(store::LogReader& log,
                                     const RebuildOptions& options) {
  if (!options.use_snapshot) return cluster::State();
  const auto snapshot = log.snapshot_at(options.to);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (!*snapshot) return cluster::State();
  auto state = cluster::State::decode_snapshot((*snapshot)->bytes);
  if (state) return state;
  if (!options.quiet)
    say(
        fmt::format("reeve: the snapshot at {} cannot be used ({}); the log is "
                    "read from its first event",
                    (*snapshot)->sequence, state.error().text));
  return cluster::State();
}

}  // namespace

Expected<Rebuilt> rebuild(store::LogReader& log,
                          const RebuildOptions& options) {
  const std::uint64_t begun_ns = monotonic_ns();
  auto first = first_state(log, options);
  if (!first) return tl::unexpected(first.error());
  Rebuilt out;
  out.state = std::move(*first);
  out.snapshot = out.state.last_sequence().value;
  Progress progress(options.quiet);
  Status applied;
  const auto read = each_event(
      log, {out.snapshot + 1, options.to}, options.trust,
      [&](const schema::Event& event, std::span<const std::byte>) {
        applied = out.state.apply(event);
        if (!applied) return false;
        ++out.events;
        if (out.events % progress_every == 0 && progress.due()) {
          const double seconds =
              static_cast<double>(monotonic_ns() - begun_ns) / 1e9;
          progress.show(fmt::format(
              "event {} of {}, {:.2f} million/s", event.seq(), options.to,
              static_cast<double>(out.events) / seconds / 1e6));
        }
        return true;
      });
  progress.clear();
  if (!applied)
    return fail(applied.error().code,
                fmt::format("event {}: {}", out.state.last_sequence().value + 1,
                            applied.error().text));
  if (!read) return tl::unexpected(read.error());
  out.duration_ns = monotonic_ns() - begun_ns;
  return out;
}

}  // namespace reeve::tools

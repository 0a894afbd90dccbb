// How the state is kept, and found again from what is on disk: the newest
// whole snapshot, then the events since; without a usable one, all events.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/plant.hpp"
#include "cluster/proved_snapshot.hpp"
#include "cluster/state.hpp"
#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::journal {

struct Folded {
  cluster::State state;
  std::uint64_t from_snapshot = 0;  // 0: from the first event
  std::string unusable;             // why a whole snapshot was not used
};

// What is kept of a state.
struct TakenSnapshot {
  std::uint64_t sequence = 0;
  cluster::Digest digest{};
  std::vector<std::byte> bytes;
};

// Errc::internal when the state contradicts itself: of such a one nothing is to
// be kept, and nothing may go on from it.
inline Expected<TakenSnapshot> take_snapshot(const cluster::State& state) {
  if (Status sound = state.check_invariants(); !sound)
    return tl::unexpected(sound.error());
  auto bytes = state.encode_snapshot();
  const auto digest = cluster::State::digest_of(bytes);
  return TakenSnapshot{state.last_sequence().value - snapshot_lag(), digest,
                       std::move(bytes)};
}

// The events of one record that the state does not have yet.
inline Status apply_record(cluster::State& state, const store::Record& record) {
  store::EventCursor cursor(record.events);
  while (auto bytes = cursor.next()) {
    const schema::Event* event = schema::verified_event(*bytes);
    if (!event) return fail(Errc::damaged, "an event is no event of ours");
    if (event->seq() <= state.last_sequence().value) continue;
    if (Status applied = state.apply(*event); !applied) return applied;
  }
  return {};
}

// The state at the log's head. `Log` gives head(), snapshot_at() and scan() as
// store::LogReader does.
template <class Log>
Expected<Folded> fold_log(Log& log) {
  Folded folded;
  const std::uint64_t head = log.head().sequence;
  const auto snapshot = log.snapshot_at(head);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (*snapshot) {
    const std::uint64_t sequence = (*snapshot)->sequence;
    auto decoded = cluster::decode_proved((*snapshot)->bytes);
    if (decoded && decoded->last_sequence().value == sequence) {
      folded.state = std::move(*decoded);
      folded.from_snapshot = sequence;
    } else {
      // A cache that this program cannot read: the log has it all.
      folded.unusable = "the snapshot at " + std::to_string(sequence) +
                        " is not usable: " +
                        (decoded ? std::string("it is of another sequence")
                                 : decoded.error().text);
    }
  }
  const std::uint64_t after = folded.state.last_sequence().value;
  if (after >= head) return folded;
  Status applied;
  const Status scanned =
      log.scan(after + 1, head, [&](const store::Record& record) {
        applied = apply_record(folded.state, record);
        return applied.has_value();
      });
  if (!applied) return tl::unexpected(applied.error());
  if (!scanned) return tl::unexpected(scanned.error());
  return folded;
}

}  // namespace reeve::journal

// What the journal decides, without its framework: when a snapshot is due,
// which part of the log answers a request for a range, and when the other
// managers count as away.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "cluster/limits.hpp"
#include "cluster/types.hpp"
#include "schema/wire.hpp"

namespace reeve::journal {

// One answer to log.read, well below the bus's bound of a message.
inline constexpr std::size_t chunk_bytes_max = 512 << 10;
// One record in such an answer, alone where it is above the chunk: a commit of
// several managers, with room for what is around it.
inline constexpr std::size_t record_in_chunk_bytes_max =
    cluster::shared_commit_bytes_max + (16 << 10);
static_assert(record_in_chunk_bytes_max < schema::message_bytes_max);
// Requests that wait for the reader; more are dropped, and asked again.
inline constexpr std::size_t log_reads_waiting_max = 256;

// A commit may wait for so long for the stream: when a bus server ends, the
// rest choose a leader of the stream in 4 to 9 s.
inline constexpr std::uint64_t stream_ns_max = 10 * second_ns;
// Whether whoever waits is to be told that the other managers are away.
// `sent`: to the stream, by a monotonic clock.
inline bool is_alone(Time sent, Time now) {
  return now.value >= sent.value + stream_ns_max;
}

// How often the archive directory is looked into.
inline constexpr std::uint64_t archive_check_ticks = 120;

struct SnapshotPolicy {
  std::uint64_t every_events = 125'000;
};

// Asks for a snapshot every so many events, one at a time.
class SnapshotClock {
 public:
  SnapshotClock(SnapshotPolicy policy, std::uint64_t newest_snapshot)
      : policy_(policy), last_(newest_snapshot) {}

  // True when a snapshot should be made now; then `finished` must follow.
  bool due(std::uint64_t head) {
    if (running_ || head < last_ + policy_.every_events) return false;
    running_ = true;
    return true;
  }
  // Other work of the same sort, at the same time as no other.
  bool start_other() { return !std::exchange(running_, true); }
  void finished_other() { running_ = false; }
  // `sequence`: what was kept; 0 when it failed, to be tried again later.
  void finished(std::uint64_t sequence, std::uint64_t head) {
    running_ = false;
    last_ = sequence != 0 ? sequence : head;
  }

 private:
  SnapshotPolicy policy_;
  std::uint64_t last_;
  bool running_ = false;
};

struct Range {
  std::uint64_t from = 1;
  std::uint64_t to = 0;  // before `from`: nothing to send
  std::size_t bytes_max = chunk_bytes_max;
};

// The range that a request gets: within the log, and one chunk at most. From
// 0 asks for the head alone.
inline Range bounded_range(std::uint64_t from, std::uint64_t to,
                           std::size_t bytes_max, std::uint64_t head) {
  Range range;
  if (from == 0) return range;
  range.from = from;
  range.to = to == 0 ? head : std::min(to, head);
  if (bytes_max != 0) range.bytes_max = std::min(bytes_max, chunk_bytes_max);
  return range;
}

}  // namespace reeve::journal

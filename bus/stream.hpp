// The stream of a cell: its log in the order on which all managers agree, one
// message of JetStream for each commit, on one subject, reeve.<cell>.log. The
// message is the record's value as the store has it; its header names it.
//
// The fence: each record is stored only if the stream ends with the sequence
// that its writer says it does, and a writer has one record under way at a
// time. So of two writers one is told that it is fenced, at its next record.
//
// The fence rests neither on message ids nor on JetStream's deduplication, and
// must not: what a server knows of ids is not replicated. After its restart it
// refuses by id what its peers store, and lacks acknowledged records from then
// on; and it calls a message a duplicate that is not stored yet, or never.
//
// A Stream is used by one thread at a time. Calls block.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/buffer.hpp"
#include "bus/connection.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// A record's value. The rest of a message is for its headers.
inline constexpr std::size_t stream_record_bytes_max = message_bytes_max - 1024;
// A stream that is found shorter than it was is believed after so long: a
// server that was away may answer for it for a moment.
inline constexpr std::chrono::milliseconds shortened_wait{3'000};
inline constexpr int replicas_max = 5;  // that JetStream makes of a stream
// In one answer of `fetch`, and under way to it.
inline constexpr int fetch_records_max = 16;
// At the end of the stream, messages that are no records are stepped over in
// search of the last record.
inline constexpr std::uint64_t foreign_messages_max = 16;

// Names one commit: the epoch of its leader, and its last event.
struct RecordId {
  std::uint64_t epoch = 0;
  std::uint64_t last_sequence = 0;

  friend bool operator==(const RecordId&, const RecordId&) = default;
};
// "<epoch>-<last sequence>", decimal.
std::string text_of(const RecordId& id);
// Nothing unless `text` is what `text_of` makes of an id; neither part is 0.
std::optional<RecordId> parse_record_id(std::string_view text);

struct StreamOptions {
  int replicas = 1;  // 1 to 5
  // A stream that is there gets as many, too.
  bool grow = true;
  // What the stream keeps; older records are in the stores of the managers.
  std::int64_t bytes_max = 1ll << 30;
  std::chrono::seconds age_max{7 * 24 * 3600};
  // One try of a request or a publish.
  std::chrono::milliseconds request_timeout{2'000};
  // How long `open` tries: a new cluster takes seconds to have a leader.
  std::chrono::milliseconds open_timeout{30'000};
  // Asked before each try to store a record; one that may not be sent waits.
  // Called by `begin` and `wait`. Empty: always.
  std::function<bool()> may_send;
};

struct StreamHead {
  std::uint64_t first_sequence = 0;  // of the oldest message that is kept
  std::uint64_t last_sequence = 0;   // 0: nothing was ever in the stream
  std::optional<RecordId> last;      // nothing: no record is kept
};

struct StreamRecord {
  std::uint64_t stream_sequence = 0;
  RecordId id;
  std::string log;  // its id, as its leader named it; unchecked, may be empty
  Buffer value;     // not empty, at most stream_record_bytes_max; unchecked
};

struct StreamOutcome {
  enum class Kind {
    stored,  // by as many servers as have to have it
    // Another message is where the record had to be: it is not in the stream
    // and never will be.
    fenced,
    // The stream ends before the place where the record had to be: servers
    // lost messages that they had acknowledged. The record is not in it.
    shortened,
    unknown,  // not yet: `wait` goes on
  };
  Kind kind = Kind::unknown;
  std::uint64_t stream_sequence = 0;  // stored: where
  std::optional<RecordId> by;         // fenced: by which record, if it is one
  Error error;                        // unknown: what hinders
};

class Stream {
 public:
  // Makes the stream if it is missing; else gives it these bounds and, with
  // `grow`, at least as many replicas. `connection` outlives it. Errc::rejected
  // if a stream of its name is something else, Errc::unreachable if there is no
  // JetStream.
  static Expected<std::unique_ptr<Stream>> open(Connection& connection,
                                                std::string_view cell,
                                                const StreamOptions& options);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // A stream that its servers lost is made anew, and empty, after some tries of
  // this or of `fetch` (JetStream::remake_if_lost).
  Expected<StreamHead> head();
  // Where the first record is that ends at `log_sequence` of the log or after
  // it; one behind the last message if there is none.
  Expected<std::uint64_t> find(std::uint64_t log_sequence);

  // Has it led by another bus server than this one, where two others have all
  // of it: where this one's host fails, none has to be chosen first.
  Status lead_elsewhere(std::string_view server);

  // The leader. The next record is to stand right behind `stream_sequence`,
  // and each one behind the one before. Forgets a record under way. `log`: the
  // id that goes with each record.
  void lead_after(std::uint64_t stream_sequence, std::string log = {});
  // Sends a record; local work may go on until `wait`. Errc::usage and nothing
  // sent if it is empty or too large, Errc::busy if one is under way,
  // Errc::rejected when fenced or shortened, until `lead_after`.
  Status begin(const RecordId& id, Bytes value);
  // What became of it. It is sent again as often as it takes, and stored once.
  // Takes up to one request longer than `timeout`.
  StreamOutcome wait(std::chrono::milliseconds timeout);

  // The follower. The next record is the one right behind `stream_sequence`.
  void follow_after(std::uint64_t stream_sequence);
  // The next records in their order, as soon as there are any; none when
  // `timeout` passes first. Lives through restarts of servers.
  // Errc::not_found: the stream no longer keeps the next one, and
  // or it ends before that one now, and `follow_after` has to say where to go
  // on. Errc::damaged: a message is no
  // record; it is stepped over. Errc::unreachable: try again.
  Expected<std::vector<StreamRecord>> fetch(std::chrono::milliseconds timeout);
  // Of the message that `fetch` comes to next.
  std::uint64_t next_sequence() const;

 private:
  struct Impl;
  explicit Stream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::bus

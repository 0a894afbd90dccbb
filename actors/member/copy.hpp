// The copy of the cell's log that a manager keeps beside the stream: follows
// it, fills gaps from the leader, tells where both differ, and, to lead, puts
// into the stream what it lacks. Used by one thread. Calls block.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "actors/manager/core.hpp"
#include "bus/client.hpp"
#include "bus/stream.hpp"
#include "cluster/error.hpp"
#include "store/head_mark.hpp"
#include "store/log.hpp"

namespace reeve::member {

// The log here has another record than the stream at event `from`, the first of
// one: it is to be set aside from there on.
struct Divergence {
  std::uint64_t from = 0;
  std::string why;
};

// By which record it was fenced.
std::string record_text(const bus::StreamOutcome& outcome);

class LogCopy {
 public:
  // Each event that the log has from now on, once it is synced.
  using Follow = std::function<Status(const schema::Event&)>;

  // All outlive it.
  LogCopy(store::Log& log, bus::Stream& stream, bus::Client& cell,
          Follow follow);

  // What the stream has next, as it comes, for at most `timeout`. After an
  // error it is asked for again. Nothing is followed after a divergence. One
  // from before what the stream keeps is found in the leader's log. Of what the
  // stream does not have, one answer of the leader's is taken at a time
  // (journal::chunk_bytes_max), so that the caller sees how far it is.
  Status step(std::chrono::milliseconds timeout);
  // All that the stream has by now. Errc::unreachable when a part of it does
  // not come for bus::shortened_wait, or when more is missing before it than
  // one answer of the leader's, or after `stop`.
  Status read_to_end(const std::atomic<bool>* stop = nullptr);
  // Events are missing that the stream does not have.
  bool has_gap() const { return log_.head().sequence < fill_to_; }
  const std::optional<Divergence>& divergence() const { return divergence_; }
  // The log here is empty, and a copy of this one is to be begun: nothing is
  // followed with the id that it has.
  const std::optional<store::LogId>& wanted_id() const { return wanted_id_; }

  // What the log had beyond the stream, and the stream has now.
  struct Tail {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t epoch = 0;  // of the last
  };
  // `shortened`: the stream lost messages after it was extended.
  enum class Led { led, moved, fenced, shortened, stopped };
  struct Leading {
    Led outcome = Led::stopped;
    std::string by;  // fenced: by which record
  };
  // Behind all that was read: what the log has beyond the stream, then `first`,
  // which the log has, too, once the stream has it. Tries until it is decided
  // or `stop`.
  using First = std::function<manager::Batch(const std::optional<Tail>&)>;
  Expected<Leading> lead(const First& first, const std::atomic<bool>& stop);

 private:
  struct Fit {
    enum class Kind { fits, behind, parted } kind = Kind::fits;
    std::uint64_t before = 0;  // the last event before the message's
  };
  Status find_place();
  Expected<Fit> fits(std::uint64_t stream_sequence);
  Expected<store::Record> record_of(const bus::StreamRecord& message) const;
  Status take(const bus::StreamRecord& message);
  Status keep(std::span<const store::Record> records);
  Status compare(const store::Record& record);
  Status fill();
  Status find_parting(std::uint64_t before);
  Expected<bus::Buffer> leaders_run(std::uint64_t from, std::uint64_t to,
                                    std::uint64_t& first);
  Expected<Leading> publish(const bus::RecordId& id, bus::Bytes value,
                            const std::atomic<bool>& stop);
  Expected<Leading> publish_tail(const std::atomic<bool>& stop);

  store::Log& log_;
  bus::Stream& stream_;
  bus::Client& cell_;
  Follow follow_;
  std::unique_ptr<store::LogReader> reader_;
  bool placed_ = false;
  std::uint64_t fill_to_ = 0;  // up to this event the leader's log is copied
  // The last event that the stream is known to have, or to have had.
  std::uint64_t in_stream_ = 0;
  std::optional<std::chrono::steady_clock::time_point> shorter_since_;
  bool extended_ = false;  // the stream, with records of this one
  std::optional<Divergence> divergence_;
  std::optional<store::LogId> wanted_id_;
};

}  // namespace reeve::member

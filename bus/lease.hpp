// Who leads a cell, for liveness only: who may write the log is the stream's
// matter (bus/stream.hpp). A bucket of JetStream with one key, written by
// compare-and-set on its revision. When a lease has run out, and who may then
// take it, is decided by those who read it.
//
// Used by one thread at a time. Calls block.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bus/connection.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

inline constexpr std::size_t lease_bytes_max = 1'024;

struct LeaseHolder {
  std::string manager;
  std::uint64_t epoch = 0;
  // The newest event that the cell is known to keep, and its epoch; a program
  // before that was told names none, which is 0.
  std::uint64_t sequence = 0;
  std::string next;  // whom it hands over to; empty: nobody
  std::uint64_t sequence_epoch = 0;

  friend bool operator==(const LeaseHolder&, const LeaseHolder&) = default;
};
// A JSON object, and back. Nothing if `text` is none or lacks a manager.
std::string text_of(const LeaseHolder& holder);
std::optional<LeaseHolder> parse_lease_holder(std::string_view text);

struct LeaseState {
  std::uint64_t revision = 0;  // 0: it was never written
  std::optional<LeaseHolder>
      holder;  // nothing: nobody that can be read, or lost
};

struct LeaseOutcome {
  enum class Kind {
    held,     // written: `revision` is ours
    lost,     // another revision is there: `now`
    unknown,  // no answer; it may still be written. Read, or write again
  };
  Kind kind = Kind::unknown;
  std::uint64_t revision = 0;
  LeaseState now;
  Error error;
};

struct LeaseOptions {
  int replicas = 1;  // as many as the stream has
  bool grow = true;  // see StreamOptions
  std::chrono::milliseconds request_timeout{2'000};
  std::chrono::milliseconds open_timeout{30'000};
};

class JetStream;

class Lease {
 public:
  // Makes the bucket if it is missing; errors as Stream::open has them.
  static Expected<std::unique_ptr<Lease>> open(Connection& connection,
                                               std::string_view cell,
                                               const LeaseOptions& options);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // As the bucket's leader has it. A bucket that its servers lost is made anew
  // after some tries (JetStream::remake_if_lost): the lease was never written.
  Expected<LeaseState> read();
  // As Stream has it.
  Status lead_elsewhere(std::string_view server);
  // Writes `holder` if the lease still has `revision`: to take it, to renew it
  // and to hand it over. Held, too, when the same words are there already: an
  // acknowledgement was lost.
  LeaseOutcome write(std::uint64_t revision, const LeaseHolder& holder);

 private:
  Expected<LeaseState> nobody();

  Lease(std::unique_ptr<JetStream> jetstream, std::string_view cell,
        const LeaseOptions& options);

  const LeaseOptions options_;
  const std::string stream_;
  const std::string subject_;
  std::uint64_t tokens_ = 0;
  std::unique_ptr<JetStream> jetstream_;
};

}  // namespace reeve::bus

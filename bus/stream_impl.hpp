// What a Stream is inside, shared by its sources: stream.cpp opens and looks
// up, stream_lead.cpp writes, stream_follow.cpp reads.
#pragma once

#include <string>

#include "bus/jetstream.hpp"
#include "bus/stream.hpp"

namespace reeve::bus {

struct Stream::Impl {
  using Clock = JetStream::Clock;
  using Milliseconds = std::chrono::milliseconds;

  boost::json::object settings() const;
  // The id of the first record in [from, end), and where it is.
  struct Found {
    std::uint64_t stream_sequence = 0;
    RecordId id;
  };
  Expected<std::optional<Found>> first_record(std::uint64_t from,
                                              std::uint64_t end);
  Answer<JetStream::Bounds> bounds();

  // Leading.
  Status send();
  // `answered`: somebody said what is there, or why not.
  std::optional<StreamOutcome> settle(Error& why, bool& answered);
  bool shortened();

  // Following.
  Status keep_asking();
  Status make_consumer();
  Status ask_for_more();
  bool stale() const;
  Status take(const Arrival& arrival, std::vector<StreamRecord>& records);

  StreamOptions options;
  std::string name;     // of the stream
  std::string subject;  // of its messages
  std::unique_ptr<JetStream> jetstream;

  std::uint64_t after = 0;  // where the stream ends for this leader
  bool leading = false;
  std::string log;  // its id
  struct UnderWay {
    RecordId id;
    Buffer value;
    std::string token;
    Clock::time_point sent_at;                 // or held back
    std::optional<Error> held = std::nullopt;  // why it may not be sent
    std::optional<Clock::time_point> shorter_since = std::nullopt;
  };
  std::optional<UnderWay> under_way;
  std::uint64_t tokens = 0;

  std::uint64_t next = 1;
  std::string consumer;  // empty: none
  std::optional<Clock::time_point> shorter_since;
  std::optional<Error> held;  // of the message behind what was returned
  bool fresh = false;         // nothing came from this consumer yet
  int asked_for = 0;          // of the request that the server has
  std::uint64_t reconnects = 0;
  Clock::time_point heard_at;
};

}  // namespace reeve::bus

// What Stream and Lease share: the JSON requests of the JetStream API, messages
// with headers, and an inbox for what comes back. One thread at a time.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/buffer.hpp"
#include "bus/connection.hpp"

typedef struct __natsSubscription natsSubscription;

namespace reeve::bus {

// Why JetStream did not do it. `code` is the server's (err_code); 0: it did
// not answer.
struct Refusal {
  static constexpr int no_answer = 0;
  static constexpr int message_not_found = 10037;
  static constexpr int name_in_use = 10058;
  static constexpr int stream_not_found = 10059;
  static constexpr int wrong_last_sequence = 10071;
  static constexpr int replicas_unsupported = 10074;

  int code = no_answer;
  Error error;
};
template <class T>
using Answer = tl::expected<T, Refusal>;

// A whole number of an answer; 0 if it has none there.
std::uint64_t number_of(const boost::json::object& object, const char* key);

// `cluster`: who keeps a stream, or the list of them, as its server tells.
// Whether `server` leads it and two others have all that it has, so that one of
// them can lead in its place, and fail then, too.
bool may_lead_elsewhere(const boost::json::object& cluster,
                        std::string_view server);

// One header of a message.
struct Header {
  std::string name;
  std::string value;
};

// A message as its stream has it. No header `name`: an empty text.
struct StoredMessage {
  std::uint64_t sequence = 0;
  std::string headers;  // as sent
  std::string data;

  std::string header(std::string_view name) const;
};

// What came to the inbox.
struct Arrival {
  std::string subject;
  std::string reply;
  int status = 0;  // of the server, such as 503: nobody is there; 0: a message
  std::string record;  // its header `record_header`
  std::string log;     // its header `log_header`
  Buffer data;
};

// The header with the name of a record: "<epoch>-<last sequence>".
inline constexpr const char* record_header = "Reeve-Record";
// The header with the id of the log that the record is of.
inline constexpr const char* log_header = "Reeve-Log";
// Stored only if the stream ends with this sequence, else 10071.
inline constexpr const char* expected_sequence_header =
    "Nats-Expected-Last-Sequence";

// A stream that its servers do not know is believed to be lost after so long.
inline constexpr std::chrono::milliseconds lost_wait{5'000};

class JetStream {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;

  // Opens the inbox, or takes one that another left unused. `connection`
  // outlives it.
  static Expected<std::unique_ptr<JetStream>> open(Connection& connection);
  ~JetStream();
  JetStream(const JetStream&) = delete;
  JetStream& operator=(const JetStream&) = delete;

  // $JS.API.<what>, for example STREAM.INFO.name.
  Answer<boost::json::object> request(const std::string& what,
                                      const boost::json::object& body,
                                      Milliseconds timeout);

  // The message that `which` names, {"seq": n} or {"last_by_subj": subject};
  // nothing if the stream has none. Asks the stream's leader.
  Answer<std::optional<StoredMessage>> get(const std::string& stream,
                                           const boost::json::object& which,
                                           Milliseconds timeout);

  struct Bounds {
    // Of the oldest message that is kept; behind `last` if none is.
    std::uint64_t first = 0;
    std::uint64_t last = 0;  // that ever was, kept or not
  };
  Answer<Bounds> bounds(const std::string& stream, Milliseconds timeout);

  // Makes the stream of this configuration, or changes the one that is there
  // to it. The number of replicas is raised, with `grow`, and never lowered.
  // Tries again until `patience` ends: a new cluster takes seconds to have a
  // leader. Errc::rejected when a stream of this name cannot become it.
  Status ensure_stream(const boost::json::object& wanted, bool grow,
                       Milliseconds timeout, Milliseconds patience);

  // Of a stream that was there, and is refused now. Where the servers said for
  // `lost_wait` that they have none, most of them lost it: it is made anew, and
  // empty, as `wanted` has it. What is to be told of the refusal.
  Error remake_if_lost(const Refusal& refusal,
                       const boost::json::object& wanted, Milliseconds timeout);

  // Has another server lead the stream where `server` does, and need not.
  Status lead_elsewhere(const std::string& stream, std::string_view server,
                        Milliseconds timeout);

  // Publishes; answers come to the inbox's subject of `token`. Success means
  // buffered.
  Status send(const std::string& subject, const std::vector<Header>& headers,
              Bytes data, const std::string& token);
  std::string inbox(const std::string& token) const { return inbox_ + token; }
  // The next arrival; nothing when `deadline` passes first.
  std::optional<Arrival> next(Clock::time_point deadline);
  // The sequence at which what was sent with `token` is stored, or why it is
  // not. Arrivals for others are dropped.
  Answer<std::uint64_t> stored(const std::string& token,
                               Clock::time_point deadline);

  bool connected() const;
  // Grows each time the connection came back.
  std::uint64_t reconnects() const;

 private:
  JetStream(Connection& connection, std::string inbox);
  Status settle_stream(const boost::json::object& wanted, bool grow,
                       Milliseconds timeout, bool& again);

  Connection& connection_;
  const std::string inbox_;
  natsSubscription* subscription_ = nullptr;
  bool sent_ = false;  // something that is answered to the inbox
  // When it was first refused as unknown, and last.
  std::optional<Clock::time_point> missing_since_;
  Clock::time_point missing_at_;
};

}  // namespace reeve::bus

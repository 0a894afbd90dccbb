// How everyone but the manager talks to the manager: commands that are sent
// again until they are answered, and queries. A command's id makes sending it
// again safe: the same id gets the first answer.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "bus/retry.hpp"
#include "bus/subject.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

class Connection;

// How long a question waits for the leader before any manager is asked.
inline constexpr std::chrono::milliseconds leader_wait{3'000};

class Client {
 public:
  // `connection` outlives the client. `principal` is whom its credentials
  // name; only under that name may it send.
  // A wait that `is_given_up` says so of ends as if its time were over.
  Client(Connection& connection, Subjects subjects, std::string principal,
         RetryOptions retry = {}, GivenUp is_given_up = nullptr);

  // `command` is a finished schema::Command. Returns its schema::Reply,
  // verified; a rejection is a reply too. Errc::unreachable after `timeout`:
  // the outcome is unknown then, ask again with the same bytes, as one `sent`
  // before: that may be read where this is not.
  enum class Before { unsent, sent };
  Expected<Buffer> command(Bytes command, std::chrono::milliseconds timeout,
                           Before before = Before::unsent);
  Expected<Buffer> command(Bytes command, std::string_view kind,
                           std::chrono::milliseconds timeout,
                           Before before = Before::unsent);

  // `query` is a finished schema::Query. Returns its schema::Answer, verified:
  // the leader's, or, where no leader answers, that of a manager which stands
  // by and says so in it.
  Expected<Buffer> query(Bytes query, std::chrono::milliseconds timeout);

  // `read` is a finished schema::LogRead; returns a verified schema::LogChunk.
  Expected<Buffer> log_read(Bytes read, std::chrono::milliseconds timeout);
  Expected<Buffer> log_head(std::chrono::milliseconds timeout);

  // `read` is a finished schema::OutputRead; returns a schema::OutputChunk.
  Expected<Buffer> output(std::string_view agent, Bytes read,
                          std::chrono::milliseconds timeout);

  Connection& connection() { return connection_; }
  const Subjects& subjects() const { return subjects_; }
  const std::string& principal() const { return principal_; }
  const RetryOptions& retry() const { return retry_; }

 private:
  Expected<Buffer> ask(std::string_view subject, Bytes data,
                       std::chrono::milliseconds timeout,
                       const std::function<bool(Bytes, int)>& acceptable);

  Connection& connection_;
  Subjects subjects_;
  std::string principal_;
  RetryOptions retry_;
  GivenUp is_given_up_;
};

}  // namespace reeve::bus

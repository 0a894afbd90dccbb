// The names on the bus: reeve.<cell>.<kind>... (DESIGN 5). Pure text.
//
// A name that people chose (cell, principal, agent) becomes one token: bytes
// in [a-z0-9_-] stand for themselves, each other byte is `=xx` in lower-case
// hexadecimal, and the empty name is `=`. So every name has one token and
// every token one name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reeve::schema {
struct Event;
struct Command;
}  // namespace reeve::schema

namespace reeve::bus {

// No subject of ours comes near it; the server's own limit is 4,096.
inline constexpr std::size_t subject_bytes_max = 1024;

std::string escape_token(std::string_view name);
// Nothing if `token` is not what `escape_token` makes of some name.
std::optional<std::string> unescape_token(std::string_view token);

// Dot-separated tokens, none empty, no wildcard, printable, within the bound.
bool valid_subject(std::string_view subject);
// The same, with `*` and a last `>` allowed.
bool valid_pattern(std::string_view pattern);

// The prefix under which one principal receives answers. Its credentials may
// subscribe there and nowhere else, so answers to others stay unread.
std::string inbox_prefix(std::string_view principal);

// "submit_session", from the kind of the command's body; empty if unknown.
std::string_view command_kind(const schema::Command& command);

class Subjects {
 public:
  explicit Subjects(std::string_view cell);

  std::string command(std::string_view principal, std::string_view kind) const;
  std::string query(std::string_view principal) const;
  // evt.<entity>.<id>.<event>: evt.session.12.session_placed
  std::string event(const schema::Event& event) const;
  // `verb`: order, output.
  std::string agent(std::string_view agent, std::string_view verb) const;
  std::string stat(std::string_view agent) const;
  // Live output: `agent` runs the task, and its credentials may publish under
  // its own name alone.
  std::string output(std::string_view agent, std::uint64_t session,
                     std::uint32_t rank) const;
  // Between managers. `verb`: ping, beat.
  std::string member(std::string_view manager, std::string_view verb) const;
  // A question to any manager, whether it leads or not.
  std::string standby(std::string_view principal) const;
  // The stream of the log (bus/stream.hpp).
  std::string log() const;
  std::string log_read() const;
  std::string log_head() const;

  // Patterns to subscribe to.
  std::string commands() const;
  std::string commands_of(std::string_view principal) const;
  std::string queries() const;
  std::string events() const;
  std::string events_of_session(std::uint64_t session) const;
  std::string agent_verbs(std::string_view agent) const;
  std::string agents(std::string_view verb) const;
  std::string members(std::string_view verb) const;
  std::string standbys() const;
  std::string stats() const;
  std::string outputs() const;
  std::string outputs_of_session(std::uint64_t session) const;
  std::string outputs_of_agent(std::string_view agent) const;
  std::string everything() const;

  // Who sent a message on cmd.<principal>.<kind>, qry.<principal> or
  // standby.<principal>: the server lets only that principal publish there.
  // Nothing for other subjects.
  std::optional<std::string> principal_of(std::string_view subject) const;

  // Who says that it runs the task of a message on
  // out.<agent>.<session>.<rank>.
  std::optional<std::string> agent_of_output(std::string_view subject) const;

  // Whether an answer to `principal` may go to `reply`: its own inbox, and a
  // valid subject. Anyone can write any reply subject into a request, and the
  // one who answers may publish everywhere.
  static bool may_answer(std::string_view principal, std::string_view reply);

 private:
  std::string prefix_;
};

}  // namespace reeve::bus

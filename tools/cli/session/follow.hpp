// Follows one session: its live output and its end. Survives a bus that
// restarts: what was missed is asked for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/wire.hpp"
#include "tools/cli/session/outcome.hpp"
#include "tools/cli/session/output_streams.hpp"

namespace reeve::tools {

class Cell;
class Interrupts;
class LiveInbox;

struct FollowOptions {
  bool output = true;
  // Only this one stream; all of the session's without.
  std::optional<StreamKey> only;
};

// What a person at the keyboard wants after a signal.
enum class OnSignal { go_on, leave };

// Reads a task's output from the files on its node, from where `streams` is
// to the end or an interrupt, and passes it on. Errors when the agent does not
// answer.
using Write = std::function<Status(StreamKey, std::string_view)>;
Status read_output(Cell& cell, std::string_view agent, SessionId session,
                   StreamKey key, OutputStreams& streams, const Write& write);

// The error's text when nobody reads our output any more.
inline constexpr std::string_view reader_is_gone =
    "nobody reads the output any more";

// Writes to standard output and error; lines of several tasks get their rank
// in front. Errc::io when that fails.
class OutputWriter {
 public:
  explicit OutputWriter(bool label_ranks) : label_ranks_(label_ranks) {}
  Status write(StreamKey key, std::string_view data);
  // Ends lines that the tasks left open, where ranks are shown.
  Status finish();

 private:
  bool label_ranks_;
  std::map<StreamKey, std::string> open_lines_;
};

class Follower {
 public:
  Follower(Cell& cell, Interrupts& interrupts, SessionId session,
           FollowOptions options);

  // Blocks until the session has ended and its output is shown; nothing when
  // `on_signal` said to leave.
  Expected<std::optional<Outcome>> follow(
      const std::function<OnSignal(int)>& on_signal);

 private:
  Status subscribe();
  Status take_messages();
  Status take_chunk(const schema::OutputChunk& chunk);
  Expected<bool> from_its_agent(const schema::OutputChunk& chunk,
                                std::string_view subject);
  bool runs(std::string_view agent, std::uint32_t rank) const;
  void take_event(const schema::Event& event);
  Status look(bool catch_up);
  Status catch_up(const schema::SessionView& view);
  Status finish();
  bool wanted(StreamKey key) const;
  bool all_complete() const;
  std::vector<StreamKey> streams_of(std::uint32_t rank) const;

  Cell& cell_;
  Interrupts& interrupts_;
  SessionId session_;
  FollowOptions options_;
  // Shared with the handlers, which live as long as the connection.
  std::shared_ptr<LiveInbox> inbox_;
  OutputStreams streams_;
  std::optional<OutputWriter> writer_;
  bool simulated_ = false;  // its tasks have no output
  std::uint32_t tasks_ = 1;
  std::uint32_t attempt_ = 0;        // of `agents_`
  std::vector<std::string> agents_;  // that run the tasks, by rank
  std::optional<Outcome> outcome_;
  bool told_silence_ = false;
};

}  // namespace reeve::tools

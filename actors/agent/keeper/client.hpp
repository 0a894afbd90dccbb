// The agent's end of the keeper's socket.
//
// Orders may come from any thread; they are sent at once. `dispatch` and
// `list` belong to one thread: they read what the keeper says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/agent/keeper/output.hpp"
#include "actors/agent/keeper/protocol.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

struct ClientConfig {
  std::string directory;  // the node's runtime directory; the keeper makes it
  std::string program;    // of the keeper; empty: connect only, never start
  std::vector<std::string> hidden;  // directories that tasks must not see
  std::uint64_t kept_output_bytes_max = 0;  // of ended tasks; 0: as it is
  // Gets each socket before anything is said on it; false: give up. Who copies
  // the descriptor can shut it down from another thread, which ends every wait.
  std::function<bool(int socket)> connected = {};
};

// What the keeper says. An empty function ignores.
struct Handler {
  std::function<void(const Started&)> started;
  std::function<void(const StartFailed&)> start_failed;
  std::function<void(const Exited&)> exited;
  std::function<void(const Output&)> output;
  std::function<void(const Refused&)> refused;
};

class Client {
 public:
  // Connects to the keeper of the directory; starts one when there is none.
  // `unreachable` when that does not come up, with what it said.
  static Expected<Client> open(const ClientConfig& config);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // What this host does not give its tasks, as sentences for people.
  const std::vector<std::string>& limits() const;
  std::uint64_t newest_epoch() const;
  int keeper_pid() const;

  // Each is answered by events; a launch of a known key by how it stands.
  // `unreachable` when the keeper is gone.
  Status launch(const TaskSpec& spec);
  Status launch(const std::vector<TaskSpec>& specs);  // one packet
  Status stop(const TaskKey& key, std::uint32_t grace_ms);
  Status signal(const TaskKey& key, int signo);
  // The cell has heard of this host at that time of its boot clock.
  Status heard(std::uint64_t boot_ns);
  Status forget(const TaskKey& key);
  Status forget(const std::vector<TaskKey>& keys);
  // Ends all tasks, then the keeper; it closes the connection.
  Status shutdown(std::uint32_t grace_ms);

  // All tasks the keeper remembers. Events that come meanwhile are kept for
  // the next dispatch.
  Expected<std::vector<TaskStatus>> list();
  // Of all tasks ever ordered, when it listed them last.
  std::uint64_t newest_session() const;

  // Straight from the files; the keeper is not asked.
  Expected<OutputPiece> read_output(const TaskKey& key, Stream stream,
                                    std::uint64_t offset,
                                    std::size_t bytes_max) const;

  // Readable when dispatch has something to do.
  int fd() const;
  // Hands over what is there; waits for the first up to `timeout_ms` (-1: for
  // ever). Returns how many messages there were; `unreachable` once the keeper
  // has closed the connection and all it said was handed over.
  Expected<std::size_t> dispatch(const Handler& handler, int timeout_ms);

 private:
  // `closed`: whether the connection was, before anything was said.
  static Expected<Client> try_open(const ClientConfig& config, bool& closed);
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reeve::keeper

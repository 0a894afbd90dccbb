// Messages between agent and keeper over a unix stream socket. A frame is
// u32 length, u8 kind, payload; `length` counts the kind and the payload.
// Many frames may come in one packet; requests have no reply of their own but
// the events they cause.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

inline constexpr std::uint32_t protocol_version = 6;
// A frame above this is refused on both sides: the stream is out of step.
inline constexpr std::size_t frame_bytes_max = 4u << 20;
// argv and env of one task together, below the kernel's own limit of 2 MiB.
inline constexpr std::size_t command_bytes_max = 1u << 20;
// Statuses in one `Listed` frame, which has room for as many texts.
inline constexpr std::size_t listed_per_frame_max = 500;
// What is said of a task, its error, note or detail: whoever orders it may
// make it as long as a command.
inline constexpr std::size_t task_text_bytes_max = 512;

// Agent to keeper.
struct Hello {
  std::uint32_t version = protocol_version;
};
struct Launch {
  TaskSpec spec;
};
struct Stop {
  TaskKey key;
  std::uint32_t grace_ms = 0;
};
struct Signal {
  TaskKey key;
  int signo = 0;
};
struct List {
  std::uint32_t request = 0;
};
struct Forget {
  TaskKey key;
};
struct Shutdown {
  std::uint32_t grace_ms = 0;
};
// Bytes of output of ended tasks that may stay: see KeptOutput.
struct KeepOutput {
  std::uint64_t bytes_max = 0;
};

// The cell has heard of this host at that time of the host's boot clock.
struct Heard {
  std::uint64_t boot_ns = 0;
};

// Keeper to agent.
struct Welcome {
  std::uint32_t version = protocol_version;
  std::uint32_t pid = 0;
  std::uint64_t newest_epoch = 0;
  std::vector<std::string> limits;  // what this host does not give
};
struct Started {
  TaskKey key;
  int pid = 0;
  std::uint64_t started_at = 0;
  std::string note;
};
struct StartFailed {
  TaskKey key;
  std::string error;
};
struct Exited {
  TaskKey key;
  ExitFacts facts;
};
struct Output {
  TaskKey key;
  Stream stream = Stream::out;
  std::uint64_t offset = 0;
  std::string bytes;
};
// The keeper will not do what was asked; nothing was changed.
struct Refused {
  TaskKey key;
  Errc code = Errc::rejected;
  std::string text;
};
struct Listed {
  std::uint32_t request = 0;
  bool last = false;
  std::uint64_t newest_session = 0;  // of all tasks ever ordered
  std::vector<TaskStatus> tasks;
};

// The place says the kind. Whatever else changes, versions are told apart by
// Hello and Welcome, which stay as they are.
using Message = std::variant<Hello, Launch, Stop, Signal, List, Forget,
                             Shutdown, Welcome, Started, StartFailed, Exited,
                             Output, Refused, Listed, KeepOutput, Heard>;

// Appends one frame to `out`.
void encode(const Message& message, std::string& out);

// Appends as many `Listed` frames as it takes.
void encode_list(std::uint32_t request, std::uint64_t newest_session,
                 std::vector<TaskStatus> all, std::string& out);

// The beginning of what is longer, and "..." for the rest.
std::string cut_text(std::string text, std::size_t bytes_max);

// Keeper to the init of a task, not as a frame.
struct LaunchOrder {
  TaskSpec spec;
  std::string scratch;  // host path of the private directory; made if needed
};

void encode(const LaunchOrder& order, std::string& out);
// False when `bytes` are not exactly one order.
bool decode(std::string_view bytes, LaunchOrder& order);

// Takes frames off the front of a byte stream.
class FrameReader {
 public:
  void feed(std::string_view bytes) { pending_.append(bytes); }
  // The next message; nothing when more bytes are needed; `damaged` when the
  // stream is not ours, after which the connection is of no more use.
  Expected<std::optional<Message>> next();

 private:
  std::string pending_;
  std::size_t at_ = 0;
};

}  // namespace reeve::keeper

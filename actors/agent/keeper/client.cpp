#include "actors/agent/keeper/client.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/socket.hpp"

namespace reeve::keeper {

struct Client::State {
  std::string directory;
  Fd socket;
  std::mutex sending;
  FrameReader in;
  std::deque<Message> kept;  // came while a list was awaited
  Welcome welcome;
  std::uint32_t request = 0;
  std::uint64_t newest_session = 0;
  bool closed = false;

  Status send(const std::string& frames);
  // Reads once what is there, after up to `timeout_ms`; false: nothing came.
  bool receive(int timeout_ms);
  // Nothing: `timeout_ms` passed without a byte, or the connection is closed.
  Expected<std::optional<Message>> next(int timeout_ms);
};

namespace {

constexpr int answer_timeout_ms = 60'000;

Error gone() {
  return {Errc::unreachable, "the keeper closed the connection"};
}

// Runs the keeper, which goes to the background when it is ready.
Status start_keeper(const ClientConfig& config) {
  int said[2];
  if (::pipe2(said, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  Fd said_read(said[0]), said_write(said[1]);
  std::vector<std::string> words{config.program, "--directory",
                                 config.directory};
  for (const auto& path : config.hidden) {
    words.insert(words.end(), {"--hide", path});
  }
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, said_write.get(), 2);
  // It outlives this process: a socket to the bus that it kept would look
  // alive to the bus server long after.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  ::posix_spawnattr_init(&attributes);
  // What this process ignores is its own affair.
  sigset_t all;
  sigfillset(&all);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, config.program.c_str(), &actions, &attributes,
                            argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return tl::unexpected(system_error("starting " + config.program, error));
  }
  said_write.reset();
  std::string text;
  char buffer[1024];
  for (;;) {
    auto got = ::read(said_read.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return fail(Errc::unreachable,
              "the keeper did not start: " +
                  (text.empty() ? "it said nothing and ended with status " +
                                      std::to_string(status)
                                : text));
}

}  // namespace

Status Client::State::send(const std::string& frames) {
  std::lock_guard guard(sending);
  std::size_t done = 0;
  while (done < frames.size()) {
    auto n = ::send(socket.get(), frames.data() + done, frames.size() - done,
                    MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(Errc::unreachable,
                  std::string("the keeper is gone: ") + std::strerror(errno));
    }
    done += static_cast<std::size_t>(n);
  }
  return {};
}

bool Client::State::receive(int timeout_ms) {
  pollfd ready{socket.get(), POLLIN, 0};
  int polled = ::poll(&ready, 1, timeout_ms);
  if (polled < 0) return errno == EINTR;
  if (polled == 0) return false;
  char buffer[64 * 1024];
  auto got = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) {
    closed = true;
    return false;
  }
  in.feed({buffer, static_cast<std::size_t>(got)});
  return true;
}

Expected<std::optional<Message>> Client::State::next(int timeout_ms) {
  for (;;) {
    auto message = in.next();
    if (!message || *message || closed) return message;
    if (!receive(timeout_ms)) return in.next();
  }
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Expected<Client> Client::try_open(const ClientConfig& config, bool& closed) {
  auto socket = connect_in(config.directory);
  if (!socket && !config.program.empty()) {
    auto started = start_keeper(config);
    socket = connect_in(config.directory);
    if (!socket && !started) return tl::unexpected(started.error());
  }
  if (!socket) return tl::unexpected(socket.error());
  if (config.connected && !config.connected(socket->get())) {
    return fail(Errc::unreachable, "the keeper is waited for no more");
  }
  auto state = std::make_unique<State>();
  char real[PATH_MAX];
  state->directory = ::realpath(config.directory.c_str(), real)
                         ? std::string(real)
                         : config.directory;
  state->socket = std::move(*socket);
  std::string frame;
  encode(Hello{}, frame);
  const auto sent = state->send(frame);
  closed = !sent;
  if (!sent) return tl::unexpected(sent.error());
  auto message = state->next(answer_timeout_ms);
  if (!message) return tl::unexpected(message.error());
  auto* welcome = *message ? std::get_if<Welcome>(&**message) : nullptr;
  closed = state->closed;
  if (!welcome) {
    return fail(Errc::unreachable,
                "the keeper in " + config.directory + " does not answer");
  }
  if (welcome->version != protocol_version) {
    return fail(Errc::unsupported,
                "the keeper in " + config.directory + " (pid " +
                    std::to_string(welcome->pid) + ") speaks version " +
                    std::to_string(welcome->version) + ", this daemon " +
                    std::to_string(protocol_version) +
                    "; let its tasks end and stop it");
  }
  state->welcome = std::move(*welcome);
  if (config.kept_output_bytes_max != 0) {
    frame.clear();
    encode(KeepOutput{config.kept_output_bytes_max}, frame);
    if (auto told = state->send(frame); !told) {
      return tl::unexpected(told.error());
    }
  }
  return Client(std::move(state));
}

// What is left of a keeper that was killed may hold its socket for a moment
// longer, and closes what it never read.
Expected<Client> Client::open(const ClientConfig& config) {
  constexpr int tries_max = 20;
  constexpr int pause_ms = 50;
  for (int tried = 1;; ++tried) {
    bool closed = false;
    auto opened = try_open(config, closed);
    if (opened || !closed || tried == tries_max) return opened;
    ::poll(nullptr, 0, pause_ms);
  }
}

const std::vector<std::string>& Client::limits() const {
  return state_->welcome.limits;
}
std::uint64_t Client::newest_epoch() const {
  return state_->welcome.newest_epoch;
}
std::uint64_t Client::newest_session() const {
  return state_->newest_session;
}
int Client::keeper_pid() const {
  return static_cast<int>(state_->welcome.pid);
}
int Client::fd() const {
  return state_->socket.get();
}

Status Client::launch(const TaskSpec& spec) {
  std::string frame;
  encode(Launch{spec}, frame);
  return state_->send(frame);
}

Status Client::launch(const std::vector<TaskSpec>& specs) {
  std::string frames;
  for (const auto& spec : specs) encode(Launch{spec}, frames);
  return state_->send(frames);
}

Status Client::stop(const TaskKey& key, std::uint32_t grace_ms) {
  std::string frame;
  encode(Stop{key, grace_ms}, frame);
  return state_->send(frame);
}

Status Client::signal(const TaskKey& key, int signo) {
  std::string frame;
  encode(Signal{key, signo}, frame);
  return state_->send(frame);
}

Status Client::heard(std::uint64_t boot_ns) {
  std::string frame;
  encode(Heard{boot_ns}, frame);
  return state_->send(frame);
}

Status Client::forget(const TaskKey& key) {
  return forget(std::vector<TaskKey>{key});
}

Status Client::forget(const std::vector<TaskKey>& keys) {
  std::string frames;
  for (const auto& key : keys) encode(Forget{key}, frames);
  return state_->send(frames);
}

Status Client::shutdown(std::uint32_t grace_ms) {
  std::string frame;
  encode(Shutdown{grace_ms}, frame);
  return state_->send(frame);
}

Expected<std::vector<TaskStatus>> Client::list() {
  auto request = ++state_->request;
  std::string frame;
  encode(List{request}, frame);
  if (auto sent = state_->send(frame); !sent) {
    return tl::unexpected(sent.error());
  }
  std::vector<TaskStatus> all;
  for (;;) {
    auto message = state_->next(answer_timeout_ms);
    if (!message) return tl::unexpected(message.error());
    if (!*message) {
      if (state_->closed) return tl::unexpected(gone());
      return fail(Errc::unreachable, "the keeper does not answer");
    }
    auto* part = std::get_if<Listed>(&**message);
    if (!part) {
      state_->kept.push_back(std::move(**message));
      continue;
    }
    if (part->request != request) continue;
    state_->newest_session = part->newest_session;
    for (auto& task : part->tasks) all.push_back(std::move(task));
    if (part->last) return all;
  }
}

Expected<OutputPiece> Client::read_output(const TaskKey& key, Stream stream,
                                          std::uint64_t offset,
                                          std::size_t bytes_max) const {
  return keeper::read_output(state_->directory + "/output", key, stream, offset,
                             bytes_max);
}

namespace {

void hand_over(const Handler& handler, const Message& message) {
  auto call = [](const auto& function, const auto& event) {
    if (function) function(event);
  };
  if (auto* started = std::get_if<Started>(&message)) {
    call(handler.started, *started);
  } else if (auto* failed = std::get_if<StartFailed>(&message)) {
    call(handler.start_failed, *failed);
  } else if (auto* exited = std::get_if<Exited>(&message)) {
    call(handler.exited, *exited);
  } else if (auto* output = std::get_if<Output>(&message)) {
    call(handler.output, *output);
  } else if (auto* refused = std::get_if<Refused>(&message)) {
    call(handler.refused, *refused);
  }
}

}  // namespace

Expected<std::size_t> Client::dispatch(const Handler& handler, int timeout_ms) {
  std::size_t count = 0;
  while (!state_->kept.empty()) {
    auto message = std::move(state_->kept.front());
    state_->kept.pop_front();
    hand_over(handler, message);
    ++count;
  }
  for (;;) {
    auto message = state_->next(count == 0 ? timeout_ms : 0);
    if (!message) return tl::unexpected(message.error());
    if (!*message) break;
    hand_over(handler, **message);
    ++count;
  }
  if (count == 0 && state_->closed) return tl::unexpected(gone());
  return count;
}

}  // namespace reeve::keeper

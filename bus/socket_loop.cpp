#include "bus/socket_loop.hpp"

#include <nats/nats.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <thread>
#include <utility>

#include "bus/parser_renewal.hpp"
#include "cluster/check.hpp"

namespace reeve::bus {
namespace {

using Clock = std::chrono::steady_clock;

// How often a silence is looked for, and asked to end by the kernel.
constexpr int looks_per_silence = 8;
constexpr int keepalive_seconds = 10;
constexpr int keepalives_unanswered = 3;

// Writings alive on this thread: what is published need not wake the loop.
thread_local int writings = 0;

// The kernel gives up a peer whose host is gone, while this side reads and
// while it writes: the library waits for both without an end.
void bound_silence(int socket, std::chrono::milliseconds silence) {
  const auto set = [&](int level, int name, int value) {
    (void)::setsockopt(socket, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, keepalive_seconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, keepalive_seconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, keepalives_unanswered);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(silence.count()));
}

// What an earlier failure on this thread left would be taken for the next's.
void forget_errors() {
  ::ERR_clear_error();
  errno = 0;
}

}  // namespace

// The library calls in with its own lock held, so nothing here may call the
// library while it holds `mutex`.
struct SocketLoop::State {
  State(bool encrypted, std::chrono::milliseconds longest,
        std::function<void()> after)
      : tls(encrypted),
        silence(longest),
        after_round(std::move(after)),
        wake(::eventfd(0, EFD_CLOEXEC)) {
    REEVE_CHECK(wake >= 0, "the host gives no event descriptor");
  }
  ~State() { ::close(wake); }

  static natsStatus attach(void** data, void* loop, natsConnection* to,
                           natsSock socket);
  static natsStatus set_reading(void* data, bool on);
  static natsStatus set_writing(void* data, bool on);
  static natsStatus detach(void* data);

  void ring() const {
    const std::uint64_t one = 1;
    while (::write(wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
  // The loop looks anew before it waits; others have to wake it.
  void changed() const {
    if (std::this_thread::get_id() != thread.get_id()) ring();
  }
  enum class Busy { wait, leave };
  void write(Busy when_busy);
  void read(natsConnection* from, int at);
  void end_silence(int at);
  bool round();
  void run() {
    while (round()) {
    }
  }

  const bool tls;
  const std::chrono::milliseconds silence;
  const std::function<void()> after_round;
  const int wake;
  // Taken before the library's lock and `mutex`. With TLS who reads has it,
  // too: OpenSSL serves one thread at a time.
  std::mutex writers;
  std::mutex mutex;
  natsConnection* connection = nullptr;
  int socket = -1;     // -1: not connected
  bool fresh = false;  // nothing was read from this socket yet
  bool writing = false;
  bool left = false;
  bool stopping = false;
  Clock::time_point heard;  // the last word of the peer; with TLS
  ParserRenewal parser;     // the loop's thread alone
  std::thread thread;
};

natsStatus SocketLoop::State::attach(void** data, void* loop,
                                     natsConnection* to, natsSock socket) {
  auto& self = *static_cast<State*>(loop);
  *data = &self;
  {
    const std::lock_guard lock(self.mutex);
    self.connection = to;
    self.socket = self.left ? -1 : static_cast<int>(socket);
    self.fresh = true;
    self.writing = false;
    self.heard = Clock::now();
  }
  if (self.tls) bound_silence(socket, self.silence);
  self.changed();
  return NATS_OK;
}

natsStatus SocketLoop::State::set_reading(void* data, bool on) {
  auto& self = *static_cast<State*>(data);
  if (on) return NATS_OK;  // `attach` came with the socket
  const std::lock_guard lock(self.mutex);
  self.socket = -1;
  self.changed();
  return NATS_OK;
}

natsStatus SocketLoop::State::set_writing(void* data, bool on) {
  auto& self = *static_cast<State*>(data);
  {
    const std::lock_guard lock(self.mutex);
    self.writing = on;
  }
  if (on && writings == 0) self.changed();
  return NATS_OK;
}

natsStatus SocketLoop::State::detach(void* data) {
  auto& self = *static_cast<State*>(data);
  const std::lock_guard lock(self.mutex);
  self.connection = nullptr;
  self.socket = -1;
  self.changed();
  return NATS_OK;
}

// One thread at a time, and only with something to write: the library takes a
// write of nothing for a broken connection.
void SocketLoop::State::write(Busy when_busy) {
  std::unique_lock one(writers, std::defer_lock);
  // Who reads with TLS may be waiting for the rest of a record.
  if (!tls || when_busy == Busy::wait)
    one.lock();
  else if (!one.try_lock())
    return;
  natsConnection* to = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!writing || socket < 0) return;
    to = connection;
  }
  if (tls) forget_errors();
  natsConnection_ProcessWriteEvent(to);
}

void SocketLoop::State::read(natsConnection* from, int at) {
  std::unique_lock one(writers, std::defer_lock);
  if (tls) one.lock();
  bool anew = false;
  {
    const std::lock_guard lock(mutex);
    if (socket != at) return;
    anew = std::exchange(fresh, false);
    heard = Clock::now();
  }
  if (tls) forget_errors();
  parser.read(from, anew);
}

// A socket that is shut ends the next read, and the library connects anew.
void SocketLoop::State::end_silence(int at) {
  const std::lock_guard lock(mutex);
  if (socket != at || at < 0 || Clock::now() - heard < silence) return;
  ::shutdown(at, SHUT_RDWR);
}

bool SocketLoop::State::round() {
  pollfd files[2] = {{wake, POLLIN, 0}, {-1, POLLIN, 0}};
  natsConnection* to = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    to = connection;
    files[1].fd = socket;
    if (writing) files[1].events |= POLLOUT;
  }
  const int ready =
      ::poll(files, 2,
             tls ? static_cast<int>(silence.count()) / looks_per_silence : -1);
  if (tls) end_silence(files[1].fd);
  if (ready <= 0) return true;
  std::uint64_t count = 0;
  if (files[0].revents != 0) (void)!::read(wake, &count, sizeof count);
  if ((files[1].revents & POLLOUT) != 0) write(Busy::wait);
  if ((files[1].revents & ~POLLOUT) != 0) read(to, files[1].fd);
  after_round();
  return true;
}

SocketLoop::SocketLoop(bool tls, std::chrono::milliseconds silence,
                       std::function<void()> after_round)
    : state_(std::make_unique<State>(tls, silence, std::move(after_round))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

SocketLoop::~SocketLoop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->ring();
  state_->thread.join();
}

void SocketLoop::attach_to(natsOptions* options) {
  const auto status = natsOptions_SetEventLoop(
      options, state_.get(), State::attach, State::set_reading,
      State::set_writing, State::detach);
  REEVE_CHECK(status == NATS_OK, "the bus library takes an event loop");
}

SocketLoop::Writing::Writing() {
  ++writings;
}
SocketLoop::Writing::~Writing() {
  --writings;
}

void SocketLoop::leave() {
  if (!state_->tls) return;
  state_->write(State::Busy::wait);
  const std::lock_guard one(state_->writers);
  const std::lock_guard lock(state_->mutex);
  state_->left = true;
  state_->socket = -1;
}

void SocketLoop::write_in_turn() {
  state_->write(State::Busy::wait);
}

void SocketLoop::write() {
  state_->write(State::Busy::leave);
  const std::lock_guard lock(state_->mutex);
  if (state_->writing && state_->socket >= 0) state_->changed();
}

bool SocketLoop::await_room() const {
  pollfd file{-1, POLLOUT, 0};
  {
    const std::lock_guard lock(state_->mutex);
    file.fd = state_->socket;
  }
  if (file.fd < 0) return false;
  constexpr int look_again_ms = 100;
  ::poll(&file, 1, look_again_ms);
  return true;
}

void SocketLoop::wake() const {
  state_->changed();
}

void SocketLoop::break_off() {
  const std::lock_guard lock(state_->mutex);
  if (state_->socket >= 0) ::shutdown(state_->socket, SHUT_RDWR);
}

}  // namespace reeve::bus

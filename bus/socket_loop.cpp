#include "bus/socket_loop.hpp"

#include <nats/nats.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <thread>

#include "cluster/check.hpp"

namespace reeve::bus {
namespace {

// Writings alive on this thread: what is published need not wake the loop.
thread_local int writings = 0;

}  // namespace

// The library calls in with its own lock held, so nothing here may call the
// library while it holds `mutex`.
struct SocketLoop::State {
  explicit State(std::function<void()> after)
      : after_round(std::move(after)), wake(::eventfd(0, EFD_CLOEXEC)) {
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
  void write();
  bool round();
  void run() {
    while (round()) {
    }
  }

  const std::function<void()> after_round;
  const int wake;
  std::mutex writers;  // taken before the library's lock and `mutex`
  std::mutex mutex;
  natsConnection* connection = nullptr;
  int socket = -1;  // -1: not connected
  bool writing = false;
  bool stopping = false;
  std::thread thread;
};

natsStatus SocketLoop::State::attach(void** data, void* loop,
                                     natsConnection* to, natsSock socket) {
  auto& self = *static_cast<State*>(loop);
  *data = &self;
  {
    const std::lock_guard lock(self.mutex);
    self.connection = to;
    self.socket = socket;
    self.writing = false;
  }
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
void SocketLoop::State::write() {
  const std::lock_guard one(writers);
  natsConnection* to = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!writing || socket < 0) return;
    to = connection;
  }
  natsConnection_ProcessWriteEvent(to);
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
  if (::poll(files, 2, -1) <= 0) return true;
  std::uint64_t count = 0;
  if (files[0].revents != 0) (void)!::read(wake, &count, sizeof count);
  if ((files[1].revents & POLLOUT) != 0) write();
  if ((files[1].revents & ~POLLOUT) != 0) natsConnection_ProcessReadEvent(to);
  after_round();
  return true;
}

SocketLoop::SocketLoop(std::function<void()> after_round)
    : state_(std::make_unique<State>(std::move(after_round))) {
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

void SocketLoop::write() {
  state_->write();
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

}  // namespace reeve::bus

#include "actors/agent/keeper_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "actors/agent/keeper/files.hpp"
#include "cluster/check.hpp"

namespace reeve::agent {

namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  if (to.empty()) {
    to = std::move(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()),
              std::make_move_iterator(from.end()));
  }
}

}  // namespace

struct KeeperLink::State {
  struct Orders {
    std::vector<TaskSpec> launches;
    std::vector<StopTask> stops;
    std::vector<SignalTask> signals;
    std::vector<TaskKey> forgets;
    std::uint64_t heard = 0;  // 0: no news
  };

  State(keeper::ClientConfig of, Handlers to)
      : config(std::move(of)), handlers(std::move(to)) {
    wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    REEVE_CHECK(static_cast<bool>(wake), "the host gives no event descriptor");
    config.connected = [this](int socket) { return hold(socket); };
    handler.started = [this](const keeper::Started& e) { said.push_back(e); };
    handler.start_failed = [this](const keeper::StartFailed& e) {
      said.push_back(e);
    };
    handler.exited = [this](const keeper::Exited& e) {
      if (handlers.ended) handlers.ended(e.key);
      said.push_back(e);
    };
    handler.output = handlers.output;
    handler.refused = [this](const keeper::Refused& e) { said.push_back(e); };
  }

  void ring() {
    const std::uint64_t one = 1;
    while (::write(wake.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
  }

  // Until something is said or ordered; the bell is silent afterwards.
  void wait(int fd, int timeout_ms) {
    pollfd both[2] = {{wake.get(), POLLIN, 0}, {fd, POLLIN, 0}};
    ::poll(both, fd >= 0 ? 2 : 1, timeout_ms);
    std::uint64_t count = 0;
    while (::read(wake.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
  }

  Orders take_orders() {
    const std::lock_guard lock(mutex);
    return std::exchange(orders, {});
  }

  // What was ordered before its list is read is not meant for this keeper.
  std::uint64_t begin_connection() {
    const std::lock_guard lock(mutex);
    orders = {};
    return ++connection;
  }

  bool stopped() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  // A copy, since the client closes its own where it gives up.
  bool hold(int socket) {
    const std::lock_guard lock(mutex);
    held.reset(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    return !stopping;
  }

  void disconnect() {
    client.reset();
    const std::lock_guard lock(mutex);
    held.reset();
  }

  // A keeper that is stopped takes and says nothing: whoever waits for it in
  // the kernel hears that the connection is closed.
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      if (held) ::shutdown(held.get(), SHUT_RDWR);
    }
    ring();
  }

  Status connect();
  Status serve();
  void deliver();
  void run();

  keeper::ClientConfig config;
  const Handlers handlers;
  keeper::Handler handler;
  keeper::Fd wake;
  std::optional<keeper::Client> client;
  std::vector<KeeperEvent> said;  // not delivered

  std::mutex mutex;
  Orders orders;
  std::uint64_t connection = 0;  // counted
  keeper::Fd held;               // the client's socket
  bool stopping = false;
  std::thread thread;
};

void KeeperLink::State::deliver() {
  if (!said.empty()) handlers.events(std::exchange(said, {}));
}

Status KeeperLink::State::connect() {
  auto opened = keeper::Client::open(config);
  if (!opened) return tl::unexpected(opened.error());
  client.emplace(std::move(*opened));
  const std::uint64_t number = begin_connection();
  auto tasks = client->list();
  if (!tasks) return tl::unexpected(tasks.error());
  const Newest newest{Epoch{client->newest_epoch()},
                      SessionId{client->newest_session()}};
  said.push_back(KeeperReady{std::move(*tasks), newest, client->limits(),
                             client->keeper_pid(), number});
  return {};
}

// One round: what is ordered goes out, what is said comes in.
Status KeeperLink::State::serve() {
  const Orders now = take_orders();
  // First: it says how long what is launched may run on.
  if (now.heard != 0)
    if (auto sent = client->heard(now.heard); !sent) return sent;
  if (!now.launches.empty())
    if (auto sent = client->launch(now.launches); !sent) return sent;
  for (const StopTask& one : now.stops)
    if (auto sent = client->stop(one.key, one.grace_ms); !sent) return sent;
  for (const SignalTask& one : now.signals)
    if (auto sent = client->signal(one.key, one.signo); !sent) return sent;
  if (!now.forgets.empty())
    if (auto sent = client->forget(now.forgets); !sent) return sent;
  auto count = client->dispatch(handler, 0);
  deliver();
  if (!count) return tl::unexpected(count.error());
  return {};
}

void KeeperLink::State::run() {
  bool told = false;
  while (!stopped()) {
    auto status = client ? serve() : connect();
    if (!status) {
      disconnect();
      if (stopped()) break;
      // One sentence for each loss, not for each try.
      if (!std::exchange(told, true))
        said.push_back(KeeperLost{status.error()});
      deliver();
      wait(-1, keeper_retry_ms);
      continue;
    }
    if (told) told = false;
    if (!said.empty()) continue;  // just connected: it may have said more
    wait(client->fd(), forget_wait_ms);
  }
}

KeeperLink::KeeperLink(keeper::ClientConfig config, Handlers handlers)
    : state_(std::make_unique<State>(std::move(config), std::move(handlers))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

KeeperLink::~KeeperLink() {
  state_->stop();
  state_->thread.join();
}

void KeeperLink::perform(std::uint64_t connection,
                         std::vector<TaskSpec> launches,
                         std::vector<StopTask> stops,
                         std::vector<SignalTask> signals,
                         std::vector<TaskKey> forgets, std::uint64_t heard) {
  // Nobody waits for a task to be forgotten.
  const bool urgent = !launches.empty() || !stops.empty() || !signals.empty();
  if (!urgent && forgets.empty() && heard == 0) return;
  {
    const std::lock_guard lock(state_->mutex);
    if (connection != state_->connection) return;
    append(state_->orders.launches, std::move(launches));
    append(state_->orders.stops, std::move(stops));
    append(state_->orders.signals, std::move(signals));
    append(state_->orders.forgets, std::move(forgets));
    state_->orders.heard = std::max(state_->orders.heard, heard);
  }
  if (urgent) state_->ring();
}

}  // namespace reeve::agent

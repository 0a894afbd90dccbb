#include "actors/agent/keeper/server.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>

#include "actors/agent/keeper/socket.hpp"
#include "actors/agent/keeper/supervisor.hpp"

namespace reeve::keeper {
namespace {

enum class Source : std::uint64_t { listener, signals, reports, client, task };

// What epoll hands back: the source, the stream, and which one.
std::uint64_t token(Source source, std::uint32_t id,
                    Stream stream = Stream::out) {
  return static_cast<std::uint64_t>(source) << 56 |
         static_cast<std::uint64_t>(stream) << 48 | id;
}

struct Client {
  Fd socket;
  FrameReader in;
  std::string out;       // not yet taken by the kernel
  std::size_t sent = 0;  // of `out`
  bool welcomed = false;
  bool gone = false;
};

class Server {
 public:
  Status open(ServerConfig config);
  Status run();

 private:
  void watch(int fd, std::uint64_t data, std::uint32_t events = EPOLLIN);
  void on_event(const epoll_event& event);
  void accept_clients();
  void on_signals();
  void read_client(std::uint32_t id, Client& client);
  void perform(std::uint32_t id, Client& client, Message message);
  void say(Client& client, const Message& message);
  void emit(const Message& message);
  void send_all();
  void flush(std::uint32_t id, Client& client);
  void list(Client& client, std::uint32_t request);
  void begin_shutdown(std::uint32_t grace_ms);

  Fd lock_;
  Fd epoll_;
  Fd listener_;
  Fd signals_;
  std::unique_ptr<Supervisor> supervisor_;
  std::map<std::uint32_t, Client> clients_;
  std::uint32_t next_client_ = 0;
  std::string frame_;
  bool ending_ = false;
};

// Held by the process, not by its children: fcntl locks are not inherited.
Expected<Fd> take_lock(const std::string& directory) {
  auto path = directory + "/" + lock_name;
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return tl::unexpected(system_error("opening " + path, errno));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_SETLK, &lock) != 0) {
    ::fcntl(fd.get(), F_GETLK, &lock);
    return fail(Errc::busy, "a keeper of " + directory +
                                " lives already, with pid " +
                                std::to_string(lock.l_pid));
  }
  return fd;
}

Status Server::open(ServerConfig config) {
  ::umask(077);
  if (::mkdir(config.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return tl::unexpected(system_error("making " + config.directory, errno));
  }
  char real[PATH_MAX];
  if (!::realpath(config.directory.c_str(), real)) {
    return tl::unexpected(system_error("finding " + config.directory, errno));
  }
  config.directory = real;
  auto lock = take_lock(config.directory);
  if (!lock) return tl::unexpected(lock.error());
  lock_ = std::move(*lock);
  auto privilege = settle_privilege();
  if (!privilege) return tl::unexpected(privilege.error());
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  auto supervisor = Supervisor::open(
      {config.directory, config.hidden, config.daemon_pid},
      std::move(*privilege), [this](const Message& m) { emit(m); },
      [this](int fd, std::uint32_t id, Stream stream) {
        watch(fd, token(Source::task, id, stream));
      });
  if (!supervisor) return tl::unexpected(supervisor.error());
  supervisor_ = std::move(*supervisor);
  auto listener = listen_in(config.directory);
  if (!listener) return tl::unexpected(listener.error());
  listener_ = std::move(*listener);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGTERM);
  signals_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  watch(listener_.get(), token(Source::listener, 0));
  watch(signals_.get(), token(Source::signals, 0));
  watch(supervisor_->report_fd(), token(Source::reports, 0));
  return {};
}

void Server::watch(int fd, std::uint64_t data, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

Status Server::run() {
  constexpr int events_max = 128;
  epoll_event events[events_max];
  while (!(ending_ && supervisor_->idle())) {
    bool spare = !ending_ && supervisor_->wants_spare();
    int wait_ms = spare ? 0 : supervisor_->wait_ms(boot_now_ns());
    int count = ::epoll_wait(epoll_.get(), events, events_max, wait_ms);
    if (count < 0 && errno != EINTR) {
      return tl::unexpected(system_error("waiting for events", errno));
    }
    for (int at = 0; at < count; ++at) on_event(events[at]);
    supervisor_->on_time(boot_now_ns());
    supervisor_->end_round();
    send_all();
    if (spare && count == 0) supervisor_->make_spare();
  }
  supervisor_->end_round();
  send_all();
  return {};
}

void Server::on_event(const epoll_event& event) {
  auto source = static_cast<Source>(event.data.u64 >> 56);
  auto id = static_cast<std::uint32_t>(event.data.u64);
  switch (source) {
    case Source::listener: return accept_clients();
    case Source::signals: return on_signals();
    case Source::reports: return supervisor_->on_reports();
    case Source::task:
      return supervisor_->on_output(
          id, static_cast<Stream>(event.data.u64 >> 48 & 0xff));
    case Source::client: break;
  }
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  if (event.events & EPOLLOUT) flush(id, found->second);
  if (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    read_client(id, found->second);
  }
}

void Server::accept_clients() {
  for (;;) {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (clients_.size() >= clients_max || !peer_is_trusted(socket.get())) {
      continue;
    }
    auto id = next_client_++;
    watch(socket.get(), token(Source::client, id));
    clients_[id].socket = std::move(socket);
  }
}

void Server::on_signals() {
  signalfd_siginfo info{};
  bool children = false;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) children = true;
    if (info.ssi_signo == SIGTERM) begin_shutdown(terminate_grace_ms);
  }
  if (children) supervisor_->on_children();
}

void Server::begin_shutdown(std::uint32_t grace_ms) {
  ending_ = true;
  supervisor_->stop_all(grace_ms);
}

void Server::read_client(std::uint32_t id, Client& client) {
  char buffer[64 * 1024];
  for (;;) {
    auto got = ::read(client.socket.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      client.gone = true;
      break;
    }
    client.in.feed({buffer, static_cast<std::size_t>(got)});
    if (static_cast<std::size_t>(got) < sizeof buffer) break;
  }
  for (;;) {
    auto message = client.in.next();
    if (!message) {
      client.gone = true;
      return;
    }
    if (!*message) return;
    perform(id, client, std::move(**message));
  }
}

void Server::perform(std::uint32_t, Client& client, Message message) {
  if (auto* hello = std::get_if<Hello>(&message)) {
    say(client, supervisor_->welcome());
    client.welcomed = hello->version == protocol_version;
  } else if (!client.welcomed) {
    client.gone = true;
  } else if (auto* launch = std::get_if<Launch>(&message)) {
    if (ending_) {
      say(client, Refused{launch->spec.key, Errc::busy,
                          "the keeper is ending and starts nothing"});
    } else {
      supervisor_->handle(std::move(*launch));
    }
  } else if (auto* stop = std::get_if<Stop>(&message)) {
    supervisor_->handle(*stop);
  } else if (auto* signal = std::get_if<Signal>(&message)) {
    supervisor_->handle(*signal);
  } else if (auto* forget = std::get_if<Forget>(&message)) {
    supervisor_->handle(*forget);
  } else if (auto* heard = std::get_if<Heard>(&message)) {
    supervisor_->handle(*heard);
  } else if (auto* keep = std::get_if<KeepOutput>(&message)) {
    supervisor_->handle(*keep);
  } else if (auto* request = std::get_if<List>(&message)) {
    list(client, request->request);
  } else if (auto* shutdown = std::get_if<Shutdown>(&message)) {
    begin_shutdown(shutdown->grace_ms);
  } else {
    client.gone = true;  // an answer is no request
  }
}

void Server::list(Client& client, std::uint32_t request) {
  encode_list(request, supervisor_->newest_session(), supervisor_->statuses(),
              client.out);
}

void Server::say(Client& client, const Message& message) {
  encode(message, client.out);
}

void Server::emit(const Message& message) {
  bool live = std::holds_alternative<Output>(message);
  frame_.clear();
  for (auto& [id, client] : clients_) {
    if (!client.welcomed) continue;
    auto backlog = client.out.size() - client.sent;
    if (live && !hears_live_output(backlog)) continue;
    if (frame_.empty()) encode(message, frame_);
    client.out += frame_;
  }
}

void Server::send_all() {
  for (auto at = clients_.begin(); at != clients_.end();) {
    auto& [id, client] = *at;
    if (!client.out.empty()) flush(id, client);
    if (is_cut_off(client.out.size() - client.sent)) client.gone = true;
    at = client.gone ? clients_.erase(at) : std::next(at);
  }
}

void Server::flush(std::uint32_t id, Client& client) {
  while (client.sent < client.out.size()) {
    auto n = ::send(client.socket.get(), client.out.data() + client.sent,
                    client.out.size() - client.sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) client.gone = true;
    if (n < 0) break;
    client.sent += static_cast<std::size_t>(n);
  }
  bool waiting = client.sent < client.out.size();
  if (!waiting) {
    client.out.clear();
    client.sent = 0;
  } else if (client.sent > live_backlog_bytes_max) {
    client.out.erase(0, client.sent);
    client.sent = 0;
  }
  epoll_event event{};
  event.events = waiting ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = token(Source::client, id);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.socket.get(), &event);
}

}  // namespace

Status serve(ServerConfig config, const std::function<void()>& ready) {
  Server server;
  if (auto opened = server.open(std::move(config)); !opened) return opened;
  ready();
  return server.run();
}

}  // namespace reeve::keeper

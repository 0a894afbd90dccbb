#include "bus/server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <fstream>
#include <thread>
#include <vector>

#include "bus/backoff.hpp"
#include "bus/child.hpp"
#include "bus/connection.hpp"
#include "bus/private_file.hpp"
#include "bus/server_config.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds ready_timeout{20'000};
constexpr milliseconds stop_grace{5'000};
constexpr RetryOptions restart_waits{milliseconds(100), milliseconds(10'000)};
constexpr milliseconds log_check_interval{60'000};
constexpr std::size_t old_logs_max = 2;
constexpr int free_port_tries = 5;

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    port = ntohs(address.sin_port);
  ::close(fd);
  return port;
}

// What server.json says of the last server.
struct Record {
  ProcessIdentity process;
  int port = 0;
};

Record read_record(const fs::path& file) {
  const auto text = read_private_file(file);
  if (!text) return {};
  json::error_code error;
  const json::value value = json::parse(*text, error);
  const json::object* object = error ? nullptr : value.if_object();
  const auto number = [&](const char* key) -> std::int64_t {
    const json::value* found = object ? object->if_contains(key) : nullptr;
    return found && found->is_int64() ? found->as_int64() : 0;
  };
  return {{static_cast<int>(number("pid")),
           static_cast<std::uint64_t>(number("start_ticks"))},
          static_cast<int>(number("port"))};
}

Status write_record(const fs::path& file, const Record& record) {
  const json::object object{
      {"pid", record.process.pid},
      {"start_ticks", static_cast<std::int64_t>(record.process.start_ticks)},
      {"port", record.port}};
  return write_private_file(file, json::serialize(object) + "\n");
}

// The end of a small text file, for an error message.
std::string tail_of(const fs::path& file) {
  constexpr std::size_t tail_bytes_max = 500;
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.size() > tail_bytes_max) text.erase(0, text.size() - tail_bytes_max);
  return text;
}

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& given)
      : options(given),
        directory(fs::absolute(given.data_directory) / "bus"),
        stop_event(::eventfd(0, EFD_CLOEXEC)) {}
  ~Impl() { ::close(stop_event); }

  Status prepare();
  Status load_or_make(const std::string& principal, const char* file,
                      Credentials& credentials);
  std::string config_text() const;
  bool adopt(const Record& record);
  Status start();
  Status start_on_some_port(int port_before);
  Status launch();
  Status wait_ready();
  bool answers(milliseconds timeout) const;
  Status save();
  void watch();
  void restart();
  bool stop_requested(milliseconds timeout) const;
  void end_watch();
  void prune_logs() const;
  void tell(const std::string& text) const {
    if (options.on_event) options.on_event(text);
  }

  const ServerOptions options;
  const fs::path directory;
  const int stop_event;
  std::string program;
  int port = 0;
  Credentials daemon;
  Credentials user;
  bool adopted = false;

  Child child;  // the watcher's, while there is one
  std::atomic<int> pid{0};
  std::atomic<std::uint64_t> restarts{0};
  std::thread watcher;
};

Status Server::Impl::load_or_make(const std::string& principal,
                                  const char* file, Credentials& credentials) {
  auto loaded = load_credentials(directory / file);
  if (loaded && loaded->principal == principal &&
      loaded->cell == options.cell) {
    credentials = *loaded;
    return {};
  }
  // A file that others could read, or that is broken, is replaced: what it
  // held is void once the server has the new password.
  credentials = {"", principal, make_password(), options.cell};
  return {};
}

Status Server::Impl::prepare() {
  if (!valid_name(options.cell) || !valid_name(options.principal))
    return fail(Errc::usage,
                fmt::format("cell '{}' and user '{}' must be 1 to 64 of "
                            "letters, digits, '.', '_', '@', '-'",
                            options.cell, options.principal));
  if (options.principal == daemon_principal)
    return fail(Errc::usage, fmt::format("the user name '{}' is the daemon's "
                                         "own: choose another",
                                         daemon_principal));
  if (options.port < 0 || options.port > 65'535)
    return fail(Errc::usage,
                fmt::format("port {} is not in 0 to 65535", options.port));
  program = find_program(options.program);
  if (program.empty())
    return fail(Errc::unsupported,
                fmt::format("{} was not found: apt-get install nats-server, "
                            "or name its path",
                            options.program));
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || ::chmod(directory.c_str(), 0700) != 0)
    return fail(Errc::io, fmt::format("make {}: {}", directory.string(),
                                      error ? error.message() : "chmod 0700"));
  auto status =
      load_or_make(std::string(daemon_principal), "reeved.json", daemon);
  if (status) status = load_or_make(options.principal, "client.json", user);
  return status;
}

std::string Server::Impl::config_text() const {
  return server_config(
      options.cell, port, directory / "server.log",
      {daemon_user(options.cell, daemon.password),
       plain_user(options.cell, user.principal, user.password)});
}

bool Server::Impl::answers(milliseconds timeout) const {
  ConnectionOptions to;
  to.url = daemon.url;
  to.user = daemon.principal;
  to.password = daemon.password;
  to.name = "reeved start";
  to.connect_timeout = timeout;
  const auto connection = Connection::connect(to);
  return connection && (*connection)->flush(timeout);
}

// A server that is ours but differs in anything is ended, for the port.
bool Server::Impl::adopt(const Record& record) {
  const fs::path config = directory / "server.conf";
  auto found = Child::find(record.process, config.string());
  if (!found) return false;
  port = record.port;
  daemon.url = user.url = fmt::format("nats://127.0.0.1:{}", port);
  const auto present = read_private_file(config);
  if (present && *present == config_text() &&
      (options.port == 0 || options.port == port) && answers(stop_grace)) {
    child = std::move(*found);
    pid = child.identity().pid;
    adopted = true;
    return true;
  }
  found->terminate(stop_grace);
  return false;
}

Status Server::Impl::launch() {
  auto made =
      Child::spawn({program, "-c", (directory / "server.conf").string()},
                   directory / "server.out");
  if (!made) return tl::unexpected(made.error());
  child = std::move(*made);
  pid = child.identity().pid;
  // Before it answers, so that a crash of ours here leaves no orphan.
  auto status =
      write_record(directory / "server.json", {child.identity(), port});
  if (status) status = wait_ready();
  if (!status) child.terminate(stop_grace);
  return status;
}

Status Server::Impl::wait_ready() {
  const auto deadline = Clock::now() + ready_timeout;
  while (Clock::now() < deadline) {
    if (answers(milliseconds(1'000))) return {};
    if (stop_requested(milliseconds(0)))
      return fail(Errc::unreachable, "stopped while the bus server started");
    if (child.ended(milliseconds(10)))
      return fail(Errc::unreachable,
                  fmt::format("the bus server {} ended at its start ({}): {}{}",
                              program, child.how_it_ended(),
                              tail_of(directory / "server.out"),
                              tail_of(directory / "server.log")));
  }
  return fail(Errc::unreachable,
              fmt::format("the bus server (pid {}) does not answer at {} after "
                          "{} ms; see {}",
                          pid.load(), daemon.url, ready_timeout.count(),
                          (directory / "server.log").string()));
}

Status Server::Impl::start() {
  daemon.url = user.url = fmt::format("nats://127.0.0.1:{}", port);
  auto status = write_private_file(directory / "server.conf", config_text());
  if (status) status = launch();
  if (status) status = save();
  return status;
}

// A port that is asked for is used or fails; a free one may be taken by
// another between finding and using it.
Status Server::Impl::start_on_some_port(int port_before) {
  if (options.port != 0) {
    port = options.port;
    return start();
  }
  Status status;
  for (int i = 0; i < free_port_tries; ++i) {
    port = i == 0 && port_before != 0 ? port_before : free_port();
    std::error_code ignored;
    fs::remove(directory / "server.log", ignored);
    status = start();
    if (status) break;
  }
  return status;
}

Status Server::Impl::save() {
  auto status = save_credentials(directory / "reeved.json", daemon);
  if (status) status = save_credentials(directory / "client.json", user);
  return status;
}

bool Server::Impl::stop_requested(milliseconds timeout) const {
  pollfd watched{stop_event, POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(timeout.count())) > 0;
}

void Server::Impl::watch() {
  for (;;) {
    pollfd watched[] = {{stop_event, POLLIN, 0}, {child.pidfd(), POLLIN, 0}};
    ::poll(watched, 2, static_cast<int>(log_check_interval.count()));
    if (watched[0].revents != 0) return;
    prune_logs();
    if (watched[1].revents != 0) restart();
  }
}

void Server::Impl::restart() {
  child.ended(milliseconds(0));
  tell(fmt::format("bus server (pid {}) ended: {}; starting it again",
                   pid.load(), child.how_it_ended()));
  Backoff backoff(restart_waits);
  for (;;) {
    if (stop_requested(backoff.next(random_jitter()))) return;
    const auto status = launch();
    if (status) break;
    tell(status.error().text);
  }
  restarts.fetch_add(1);
  tell(fmt::format("bus server is back (pid {})", pid.load()));
}

// The server sets a full log aside by itself and never removes it.
void Server::Impl::prune_logs() const {
  std::vector<fs::path> old;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("server.log.", 0) == 0) old.push_back(entry.path());
  }
  if (old.size() <= old_logs_max) return;
  std::sort(old.begin(), old.end());  // their names end in the time
  old.resize(old.size() - old_logs_max);
  for (const fs::path& file : old) fs::remove(file, error);
}

void Server::Impl::end_watch() {
  if (!watcher.joinable()) return;
  ::eventfd_write(stop_event, 1);
  watcher.join();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->prune_logs();
  impl_->watcher = std::thread([raw = impl_.get()] { raw->watch(); });
}

Server::~Server() {
  stop();
}

Expected<std::unique_ptr<Server>> Server::start_or_adopt(
    const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  auto status = impl->prepare();
  if (!status) return tl::unexpected(status.error());
  const Record record = read_record(impl->directory / "server.json");
  if (impl->adopt(record))
    status = impl->save();
  else
    status = impl->start_on_some_port(record.port);
  if (!status) return tl::unexpected(status.error());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::end_orphan(const fs::path& data_directory) {
  const fs::path directory = fs::absolute(data_directory) / "bus";
  const Record record = read_record(directory / "server.json");
  auto found =
      Child::find(record.process, (directory / "server.conf").string());
  if (!found) return 0;
  found->terminate(stop_grace);
  return record.process.pid;
}

std::string Server::url() const {
  return impl_->daemon.url;
}
int Server::port() const {
  return impl_->port;
}
int Server::pid() const {
  return impl_->pid;
}
bool Server::adopted() const {
  return impl_->adopted;
}
std::uint64_t Server::restarts() const {
  return impl_->restarts;
}

Credentials Server::credentials(Role role) const {
  return role == Role::daemon ? impl_->daemon : impl_->user;
}

void Server::stop() {
  impl_->end_watch();
  if (!impl_->child.valid()) return;
  impl_->child.terminate(stop_grace);
  impl_->child = Child();
  std::error_code ignored;
  const Status cleared =
      write_record(impl_->directory / "server.json", {{}, impl_->port});
  if (!cleared)
    std::filesystem::remove(impl_->directory / "server.json", ignored);
}

void Server::release() {
  impl_->end_watch();
  impl_->child = Child();
}

}  // namespace reeve::bus

#include "bus/server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "bus/confinement.hpp"
#include "bus/connection.hpp"
#include "bus/nkey.hpp"
#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "bus/server_impl.hpp"
#include "bus/server_process.hpp"
#include "bus/server_program.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds ready_timeout{20'000};
constexpr int free_port_tries = 5;
constexpr int killed_starts_max = 3;

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

// The end of a small text file, for an error message.
std::string tail_of(const fs::path& file) {
  constexpr std::size_t tail_bytes_max = 500;
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.size() > tail_bytes_max) text.erase(0, text.size() - tail_bytes_max);
  return text;
}

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool is_wildcard(std::string_view host) {
  return host == "0.0.0.0" || host == "::";
}

// Where this host itself reaches a server that listens at `host`.
std::string local_host(const std::string& host) {
  if (!is_wildcard(host)) return host;
  return is_ipv6(host) ? "localhost" : "127.0.0.1";
}

// `advertised` is a host, or a host and a port.
Address advertised_address(const std::string& advertised, int port) {
  const auto parsed = parse_address(advertised);
  return parsed ? *parsed : Address{advertised, port};
}

// All that follows it differs when other users may connect, and nothing else.
constexpr std::string_view users_begin = "authorization {";

// And this line when there are other servers.
constexpr std::string_view routes_begin = "\nroutes: ";

// What a living server cannot be told.
std::string fixed_part(std::string_view config) {
  std::string text(config.substr(0, config.find(users_begin)));
  const std::size_t at = text.find(routes_begin);
  if (at != std::string::npos) text.erase(at, text.find('\n', at + 1) - at);
  return text;
}

}  // namespace

Expected<std::string> Server::Impl::load_or_make(std::string_view principal,
                                                 const char* file,
                                                 Credentials& credentials) {
  auto loaded = load_credentials(directory / file);
  if (loaded && loaded->principal == principal &&
      loaded->cell == options.cell) {
    credentials = *loaded;
    credentials.urls.clear();
    credentials.ca.clear();
  } else {
    // A file that others could read, or that is broken, is replaced: what it
    // held is void once the server has the new key.
    credentials = {
        {}, std::string(principal), make_user_key().seed, options.cell, {}};
  }
  return public_key_of(credentials.seed);
}

Status Server::Impl::check_options() const {
  if (!valid_name(options.cell) || !valid_name(options.principal))
    return fail(Errc::usage,
                fmt::format("cell '{}' and user '{}' must be 1 to 64 of "
                            "letters, digits, '.', '_', '@', '-'",
                            options.cell, options.principal));
  if (options.principal == daemon_principal ||
      options.principal == system_principal)
    return fail(Errc::usage, fmt::format("the user name '{}' is the daemon's "
                                         "own: choose another",
                                         options.principal));
  if (options.port < 0 || options.port > 65'535)
    return fail(Errc::usage,
                fmt::format("port {} is not in 0 to 65535", options.port));
  if (!valid_host(options.host))
    return fail(Errc::usage,
                fmt::format("'{}' is no address to listen at", options.host));
  if (options.advertised.size() >= credentials_urls_max)
    return fail(
        Errc::usage,
        fmt::format("{} names for other hosts to reach the bus by: at "
                    "most {}",
                    options.advertised.size(), credentials_urls_max - 1));
  for (const std::string& one : options.advertised)
    if (!valid_url("tls://" + address_text(advertised_address(one, 1))))
      return fail(
          Errc::usage,
          fmt::format("other hosts cannot reach the bus by '{}': give a "
                      "name or an IPv4 address, maybe with a port",
                      one));
  if (options.cluster && !tls)
    return fail(Errc::usage,
                "servers on loopback make no cluster: listen at an address "
                "that the others reach");
  return {};
}

Status Server::Impl::prepare() {
  if (auto good = check_options(); !good) return good;
  auto found = find_server_program(options.program);
  if (!found) return tl::unexpected(found.error());
  program = std::move(*found);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || ::chmod(directory.c_str(), 0700) != 0)
    return fail(Errc::io, fmt::format("make {}: {}", directory.string(),
                                      error ? error.message() : "chmod 0700"));
  if (options.jetstream) {
    auto good = check_jetstream_version(program, directory / "server.version");
    if (!good) return good;
  }
  users = read_users(directory);
  const auto own = load_or_make(daemon_principal, "reeved.json", daemon);
  if (!own) return tl::unexpected(own.error());
  const auto users_own = load_or_make(options.principal, "client.json", user);
  if (!users_own) return tl::unexpected(users_own.error());
  own_users = {{daemon.principal, Role::daemon, *own, {}},
               {user.principal, Role::user, *users_own, {}}};
  if (!options.jetstream) return {};
  const auto of_system = load_or_make(system_principal, "system.json", system);
  if (!of_system) return tl::unexpected(of_system.error());
  system_key = *of_system;
  return {};
}

std::vector<std::string> Server::Impl::certificate_names() const {
  std::vector<std::string> names = {"localhost", "127.0.0.1",
                                    local_host(options.host)};
  for (const std::string& one : options.advertised)
    names.push_back(advertised_address(one, 0).host);
  return names;
}

// Whether it was made anew.
Expected<bool> Server::Impl::keep_certificate(bool anew) {
  if (!tls) return false;
  const std::string name =
      options.server_name.empty() ? options.cell : options.server_name;
  auto kept = keep_certificates(directory, options.cell, name,
                                certificate_names(), wall_seconds(), anew);
  if (!kept) return tl::unexpected(kept.error());
  if (daemon.ca.empty()) daemon.ca = user.ca = system.ca = kept->ca;
  return kept->renewed;
}

// The user of client.json is known to this server alone: the cell's others
// would send it away.
void Server::Impl::set_urls() {
  const char* scheme = tls ? "tls" : "nats";
  const auto url = [&](const Address& address) {
    return fmt::format("{}://{}", scheme, address_text(address));
  };
  daemon.urls = system.urls = {url({local_host(options.host), port})};
  user.urls = daemon.urls;
  if (!tls) return;
  for (const std::string& one : options.advertised) {
    const std::string next = url(advertised_address(one, port));
    if (next != user.urls.front()) user.urls.push_back(next);
  }
}

std::string Server::Impl::config_text() const {
  ServerConfig config;
  config.cell = options.cell;
  config.server_name = options.server_name.empty() ? "reeve-" + options.cell
                                                   : options.server_name;
  config.listen = {options.host, port};
  config.log_file = directory / "server.log";
  config.users = own_users;
  for (const ServerUser& one : users) {
    const bool own = std::any_of(own_users.begin(), own_users.end(),
                                 [&](const ServerUser& mine) {
                                   return mine.public_key == one.public_key;
                                 });
    if (!own) config.users.push_back(one);
  }
  if (tls) config.tls = tls_files(directory);
  config.system_key = system_key;
  config.cluster = options.cluster;
  if (config.cluster) config.cluster->routes = routes;
  config.jetstream = options.jetstream;
  config.jetstream_directory = directory / "jetstream";
  return server_config(config);
}

Status Server::Impl::answers(milliseconds timeout) const {
  ConnectionOptions to;
  to.credentials = daemon;
  to.name = "reeved start";
  to.connect_timeout = timeout;
  const auto connection = Connection::connect(to);
  if (!connection) return tl::unexpected(connection.error());
  return (*connection)->flush(timeout);
}

// A server that is ours and has the same settings is told who may connect now
// and what its certificate is; one that differs is ended, for the port. So is
// one of an older program that has more rights than it needs.
Expected<bool> Server::Impl::adopt(const ServerRecord& record) {
  const fs::path config = directory / "server.conf";
  auto found = find_server_process(record.process, config);
  if (!found) return false;
  port = record.port;
  set_urls();
  const auto renewed = keep_certificate(false);
  if (!renewed) return tl::unexpected(renewed.error());
  const auto present = read_private_file(config, users_file_bytes_max);
  const std::string text = config_text();
  child = std::move(*found);
  pid = child.identity().pid;
  bool taken = present && fixed_part(*present) == fixed_part(text) &&
               (options.port == 0 || options.port == port) && is_confined(pid);
  if (taken && (*renewed || *present != text))
    taken = write_private_file(config, text) && reload();
  if (taken && pid != record.process.pid)
    taken =
        write_server_record(directory, {child.identity(), port}).has_value();
  if (taken && answers(server_stop_grace)) {
    adopted = true;
    return true;
  }
  child.terminate(server_stop_grace);
  child = Child();
  return false;
}

// What kills it before it answers is none of its settings: it is started again,
// as it would be later.
Status Server::Impl::launch() {
  Status status;
  for (int i = 0; i < killed_starts_max; ++i) {
    status = launch_once();
    if (status || !child.was_killed()) break;
  }
  if (!status) child.terminate(server_stop_grace);
  return status;
}

Status Server::Impl::launch_once() {
  const int route_port = options.cluster ? options.cluster->listen.port : port;
  auto made = Child::spawn_confined(
      {program, "-c", (directory / "server.conf").string()},
      directory / "server.out",
      needed_capabilities(directory, {port, route_port}));
  if (!made) return tl::unexpected(made.error());
  child = std::move(*made);
  pid = child.identity().pid;
  // Before it answers, so that a crash of ours here leaves no orphan.
  auto status = write_server_record(directory, {child.identity(), port});
  if (status) status = wait_ready();
  return status;
}

Status Server::Impl::wait_ready() {
  const auto deadline = Clock::now() + ready_timeout;
  Status last;
  while (Clock::now() < deadline) {
    last = answers(milliseconds(1'000));
    if (last) return {};
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
              fmt::format("the bus server (pid {}) did not answer within {} "
                          "ms: {}; see {}",
                          pid.load(), ready_timeout.count(),
                          last ? "" : last.error().text,
                          (directory / "server.log").string()));
}

Status Server::Impl::start() {
  set_urls();
  const auto made = keep_certificate(false);
  if (!made) return tl::unexpected(made.error());
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
  if (status && options.jetstream)
    status = save_credentials(directory / "system.json", system);
  return status;
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
  const ServerRecord record = read_server_record(impl->directory);
  const auto adopted = impl->adopt(record);
  if (!adopted) return tl::unexpected(adopted.error());
  if (*adopted)
    status = impl->save();
  else
    status = impl->start_on_some_port(record.port);
  if (!status) return tl::unexpected(status.error());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::end_orphan(const fs::path& data_directory) {
  const fs::path directory = fs::absolute(data_directory) / "bus";
  const ServerRecord record = read_server_record(directory);
  auto found = find_server_process(record.process, directory / "server.conf");
  if (!found) return 0;
  found->terminate(server_stop_grace);
  return found->identity().pid;
}

std::string Server::url() const {
  return impl_->daemon.urls.front();
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
bool Server::tls() const {
  return impl_->tls;
}
std::uint64_t Server::reloads() const {
  return impl_->reloads;
}
std::uint64_t Server::restarts() const {
  return impl_->restarts;
}

Credentials Server::credentials(Role role) const {
  return role == Role::daemon ? impl_->daemon : impl_->user;
}

Credentials Server::system_credentials() const {
  return impl_->system;
}

void Server::set_routes(std::vector<Address> routes) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->wanted.routes = std::move(routes);
  }
  ::eventfd_write(impl_->work_event, 1);
}

Status Server::set_users(std::vector<ServerUser> users) {
  if (auto good = check_users(users); !good) return good;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->wanted.users = std::move(users);
  }
  ::eventfd_write(impl_->work_event, 1);
  return {};
}

void Server::renew_certificate() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->wanted.certificate = true;
  }
  ::eventfd_write(impl_->work_event, 1);
}

void Server::start_anew() {
  impl_->anew_wanted = true;
  ::eventfd_write(impl_->work_event, 1);
}

void Server::stop() {
  impl_->end_watch();
  if (!impl_->child.valid()) return;
  impl_->child.terminate(server_stop_grace);
  impl_->child = Child();
  std::error_code ignored;
  const Status cleared =
      write_server_record(impl_->directory, {{}, impl_->port});
  if (!cleared)
    std::filesystem::remove(impl_->directory / "server.json", ignored);
}

void Server::release() {
  impl_->end_watch();
  impl_->child = Child();
}

}  // namespace reeve::bus

#include "bus/jetstream_support.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>

#include "bus/jetstream.hpp"
#include "bus/server_config.hpp"
#include "bus/server_program.hpp"
#include "cluster/process_stat.hpp"

namespace reeve::bus::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds answer_timeout{2'000};
constexpr milliseconds leader_timeout{20'000};
constexpr int start_tries = 5;

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  BOOST_REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  BOOST_REQUIRE(
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

Expected<std::string> find_program_with_jetstream() {
  const char* given = std::getenv("REEVE_NATS_SERVER");
  auto program = find_server_program(given ? given : "nats-server");
  if (!program) return program;
  const TemporaryDirectory scratch;
  auto status = check_jetstream_version(*program, scratch.path() / "version");
  if (!status) return tl::unexpected(status.error());
  return program;
}

const Expected<std::string>& program_with_jetstream() {
  static const Expected<std::string> found = find_program_with_jetstream();
  return found;
}

}  // namespace

boost::unit_test::decorator::precondition needs_jetstream() {
  return boost::unit_test::decorator::precondition(
      [](boost::unit_test::test_unit_id) {
        const auto& program = program_with_jetstream();
        boost::test_tools::assertion_result result(program.has_value());
        if (!program) result.message() << program.error().text;
        return result;
      });
}

JetStreamServers::JetStreamServers(int count) {
  program_ = program_with_jetstream().value();
  servers_.resize(static_cast<std::size_t>(count));
  // A port may be taken by another between finding and using it.
  for (int i = 0; !try_to_start(); ++i) BOOST_REQUIRE(i < start_tries);
}

JetStreamServers::~JetStreamServers() {
  for (One& one : servers_) {
    one.process.signal(SIGKILL);
    one.process.ended(patience);
  }
}

fs::path JetStreamServers::folder(int server) const {
  return directory_.path() / fmt::format("n{}", server);
}

void JetStreamServers::write_config(int server) const {
  ServerConfig config;
  config.cell = "c";
  config.server_name = fmt::format("n{}", server);
  config.listen = {"127.0.0.1", servers_[server].port};
  config.log_file = folder(server) / "log";
  config.users = {{"reeved", Role::daemon, key_.public_key, ""}};
  config.jetstream = JetStreamOptions{};
  config.jetstream_directory = folder(server) / "jetstream";
  if (count() > 1) {
    config.cluster =
        ClusterOptions{{"127.0.0.1", servers_[server].route_port}, {}};
    for (const One& one : servers_)
      if (&one != &servers_[server])
        config.cluster->routes.push_back({"127.0.0.1", one.route_port});
  }
  std::ofstream(folder(server) / "conf") << server_config(config);
}

// Two first: a third that comes while they elect their first leader may stay
// outside for good (nats-server 2.10.27), and seldom does even so.
bool JetStreamServers::try_to_start() {
  constexpr int together = 2;
  for (One& one : servers_) {
    one.port = free_port();
    one.route_port = free_port();
  }
  for (int i = 0; i < count(); ++i) {
    fs::create_directories(folder(i));
    write_config(i);
    start(i);
    if (i + 1 < std::min(together, count())) continue;
    if (await_leader() && (i + 1 < count() || await_peers())) continue;
    for (int k = 0; k <= i; ++k) {
      kill(k);
      fs::remove_all(folder(k));
      servers_[k].process = Child();
    }
    return false;
  }
  return true;
}

// False when one of the started servers has ended or finds no leader.
bool JetStreamServers::await_leader() {
  const auto deadline = std::chrono::steady_clock::now() + leader_timeout;
  const auto ready = [&](int server) {
    ConnectionOptions options;
    options.credentials = {
        {fmt::format("nats://127.0.0.1:{}", servers_[server].port)},
        "reeved",
        key_.seed,
        "c",
        ""};
    const auto connection = Connection::connect(options);
    if (!connection) return false;
    const auto jetstream = JetStream::open(**connection);
    return jetstream &&
           (*jetstream)->request("STREAM.NAMES", {}, answer_timeout);
  };
  for (int i = 0; i < count() && servers_[i].process.valid(); ++i)
    while (!ready(i)) {
      if (servers_[i].process.ended(milliseconds(50)) ||
          std::chrono::steady_clock::now() > deadline)
        return false;
    }
  return true;
}

// False when not all of them take part in streams.
bool JetStreamServers::await_peers() const {
  const auto connection = connect();
  const auto jetstream = JetStream::open(*connection);
  BOOST_REQUIRE(jetstream.has_value());
  const bool all =
      (*jetstream)
          ->ensure_stream({{"name", "probe"},
                           {"subjects", boost::json::array{"probe"}},
                           {"retention", "limits"},
                           {"discard", "old"},
                           {"storage", "memory"},
                           {"num_replicas", count()}},
                          true, answer_timeout, leader_timeout)
          .has_value();
  (void)(*jetstream)->request("STREAM.DELETE.probe", {}, answer_timeout);
  return all;
}

void JetStreamServers::start(int server) {
  auto process =
      Child::spawn({program_, "-c", (folder(server) / "conf").string()},
                   folder(server) / "output");
  BOOST_REQUIRE(process.has_value());
  servers_[server].process = std::move(*process);
}

void JetStreamServers::signal(int server, int number) {
  servers_[server].process.signal(number);
  // One that runs stops a moment later.
  if (number != SIGSTOP) return;
  const auto pid = servers_[server].process.identity().pid;
  BOOST_REQUIRE(eventually([&] {
    std::ifstream in(fmt::format("/proc/{}/stat", pid));
    std::string text;
    std::getline(in, text);
    const auto stat = cluster::process_stat(text);
    return stat && stat->is_stopped();
  }));
}

void JetStreamServers::kill(int server) {
  signal(server, SIGKILL);
  BOOST_REQUIRE(servers_[server].process.ended(patience));
}

std::unique_ptr<Connection> JetStreamServers::connect(int first) const {
  ConnectionOptions options;
  options.name = "test";
  options.low_latency = true;
  options.credentials = {{}, "reeved", key_.seed, "c", ""};
  for (int i = 0; i < count(); ++i)
    options.credentials.urls.push_back(fmt::format(
        "nats://127.0.0.1:{}", servers_[(first + i) % count()].port));
  std::unique_ptr<Connection> connection;
  BOOST_REQUIRE(eventually([&] {
    auto made = Connection::connect(options);
    if (made) connection = std::move(*made);
    return made.has_value();
  }));
  return connection;
}

std::optional<boost::json::object> JetStreamServers::cluster_of(
    const std::string& stream) const {
  const auto connection = connect();
  const auto jetstream = JetStream::open(*connection);
  BOOST_REQUIRE(jetstream.has_value());
  const auto info =
      (*jetstream)->request("STREAM.INFO." + stream, {}, answer_timeout);
  if (!info) return std::nullopt;
  const boost::json::value* cluster = info->if_contains("cluster");
  return cluster ? cluster->as_object() : boost::json::object();
}

int JetStreamServers::leader_of(const std::string& stream) const {
  if (count() == 1) return 0;
  const auto cluster = cluster_of(stream);
  const auto* leader = cluster ? cluster->if_contains("leader") : nullptr;
  if (leader == nullptr || leader->as_string().size() != 2) return -1;
  return leader->as_string()[1] - '0';
}

bool JetStreamServers::whole(const std::string& stream) const {
  const auto cluster = cluster_of(stream);
  const auto* others = cluster ? cluster->if_contains("replicas") : nullptr;
  if (others == nullptr) return false;
  int current = 0;
  for (const boost::json::value& one : others->as_array())
    if (one.at("current").as_bool() && !one.as_object().contains("offline"))
      ++current;
  return current == count() - 1;
}

void JetStreamServers::step_down(const std::string& stream) const {
  const auto connection = connect();
  const auto jetstream = JetStream::open(*connection);
  BOOST_REQUIRE(jetstream.has_value());
  (void)(*jetstream)
      ->request("STREAM.LEADER.STEPDOWN." + stream, {}, answer_timeout);
}

void JetStreamServers::remove(const std::string& stream) const {
  const auto connection = connect();
  const auto jetstream = JetStream::open(*connection);
  BOOST_REQUIRE(jetstream.has_value());
  BOOST_REQUIRE((*jetstream)
                    ->request("STREAM.DELETE." + stream, {}, answer_timeout)
                    .has_value());
}

}  // namespace reeve::bus::testing

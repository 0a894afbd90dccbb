// Many node daemons in one process: each joins by a token, has the bus
// connections of reeved on a node that joined (tools/daemon/links.hpp), its
// agent (actors/agent) and a keeper of its own, a process. They share one
// actor system, and declare what --cpus and --memory say instead of what the
// host has.
//
//   fleet --token TOKEN --data DIRECTORY --programs DIRECTORY
//         [--first N] [--count N] [--cpus N] [--memory BYTES]
//
// Answers each line on standard input with one of JSON: "report" is what all
// have done so far; "mark" begins a new count of who is back. Ends with its
// input.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <caf/actor_system.hpp>
#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

#include "bus/client.hpp"
#include "bus/nkey.hpp"
#include "bus/quarantine.hpp"
#include "cluster/check.hpp"
#include "cluster/identities/identities.hpp"
#include "schema/wire.hpp"
#include "tools/daemon/actor_config.hpp"
#include "tools/daemon/agents.hpp"
#include "tools/daemon/links.hpp"
#include "tools/member/token_text.hpp"
#include "tools/program.hpp"

namespace {

using namespace reeve;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto join_timeout = 60s;
constexpr auto admission_timeout = 120s;
constexpr auto admission_pause = 200ms;
constexpr unsigned enders = 16;  // keepers that are ended at once

struct Given {
  std::string token;
  fs::path data;
  fs::path programs;
  unsigned first = 1;
  unsigned count = 50;
  unsigned cpus = 64;
  std::uint64_t memory_bytes = 512ull << 30;
};

schema::Id128 random_id() {
  std::uint64_t words[2] = {};
  REEVE_CHECK(::getrandom(words, sizeof words, 0) == sizeof words,
              "no random bytes from the kernel");
  return {words[0], words[1]};
}

// One node: what NodeDaemon has beside metrics and the lock of its directory.
class Node {
 public:
  Node(const Given& given, bus::Credentials credentials,
       bus::Quarantine& quarantine)
      : credentials_(std::move(credentials)) {
    tools::AgentsOptions how;
    how.config.agent.name =
        cluster::agent_of(credentials_.principal).value_or("");
    how.config.agent.cpu_milli = given.cpus * 1000;
    how.config.agent.memory_bytes = given.memory_bytes;
    how.data = given.data / how.config.agent.name;
    how.programs = given.programs;
    how.links = &links_;
    how.quarantine = &quarantine;
    how.subjects = bus::Subjects(credentials_.cell);
    how.on_status = [this](const agent::AgentStatus& status) {
      registrations_ = status.counters.registrations;
      resends_ = status.counters.resends;
    };
    fs::create_directories(how.data);
    agents_.emplace(std::move(how));
  }

  Status open() {
    auto opened = tools::Links::open_node(credentials_, nullptr);
    if (!opened) return tl::unexpected(opened.error());
    links_ = std::move(*opened);
    return {};
  }
  Status serve(caf::actor_system& system) {
    return agents_->spawn_real(system);
  }
  void end() { agents_->end(); }
  void end_keeper() { agents_->end_keeper(); }
  void close() { links_.close(); }

  // Its two connections' figures, one sum.
  bus::Stats stats() const {
    bus::Stats sum;
    for (const auto* link : links()) {
      const bus::Stats one = (*link)->stats();
      sum.published += one.published;
      sum.published_bytes += one.published_bytes;
      sum.received += one.received;
      sum.received_bytes += one.received_bytes;
      sum.reconnects += one.reconnects;
    }
    return sum;
  }
  unsigned connected() const {
    unsigned sum = 0;
    for (const auto* link : links()) sum += (*link)->connected() ? 1 : 0;
    return sum;
  }
  std::uint64_t registrations() const { return registrations_; }
  std::uint64_t resends() const { return resends_; }

  void mark() {
    reconnects_at_mark_ = stats().reconnects;
    registrations_at_mark_ = registrations_;
  }
  // Both connections were made anew since the mark.
  bool connected_again() const {
    return connected() == links().size() &&
           stats().reconnects >= reconnects_at_mark_ + links().size();
  }
  bool registered_again() const {
    return registrations_ > registrations_at_mark_;
  }

 private:
  std::array<const std::unique_ptr<bus::Connection>*, 2> links() const {
    return {&links_.events, &links_.answers};
  }

  const bus::Credentials credentials_;
  tools::Links links_;
  std::optional<tools::Agents> agents_;
  std::atomic<std::uint64_t> registrations_{0};
  std::atomic<std::uint64_t> resends_{0};
  std::uint64_t reconnects_at_mark_ = 0;
  std::uint64_t registrations_at_mark_ = 0;
};

using Nodes = std::vector<std::unique_ptr<Node>>;

Status join(bus::Client& client, const std::string& name,
            const std::string& key) {
  flatbuffers::FlatBufferBuilder builder(256);
  const auto body =
      schema::CreateJoinDirect(builder, name.c_str(), key.c_str());
  const schema::Id128 id = random_id();
  const auto root =
      schema::CreateCommand(builder, &id, schema::CommandBody::Join,
                            body.Union(), &tools::this_program().protocol);
  const auto answer =
      client.command(schema::finish(builder, root), join_timeout);
  if (!answer) return tl::unexpected(answer.error());
  const auto* reply = schema::verified<schema::Reply>(*answer);
  if (reply->rejection() == nullptr) return {};
  return fail(Errc::rejected,
              std::string(schema::text(reply->rejection()->text())));
}

// All by one connection, as `reeve join` does each by one of its own.
Expected<Nodes> join_all(const Given& given, bus::Quarantine& quarantine) {
  const auto token = tools::parse_join_token(given.token);
  if (!token) return tl::unexpected(token.error());
  const std::string as = cluster::token_principal(token->id);
  bus::ConnectionOptions how;
  how.credentials = {token->urls, as, token->seed, token->cell, token->ca};
  how.low_latency = true;
  const auto connection = bus::Connection::connect(how);
  if (!connection) return tl::unexpected(connection.error());
  bus::Client client(**connection, bus::Subjects(token->cell), as);
  Nodes nodes;
  for (unsigned i = 0; i < given.count; ++i) {
    const std::string name = fmt::format("n{:05}", given.first + i);
    const bus::UserKey key = bus::make_user_key();
    if (auto joined = join(client, name, key.public_key); !joined)
      return tl::unexpected(joined.error());
    nodes.push_back(std::make_unique<Node>(
        given,
        bus::Credentials{
            token->urls,
            cluster::principal_of(cluster::IdentityRole::agent, name), key.seed,
            token->cell, token->ca},
        quarantine));
  }
  return nodes;
}

// The bus reads of new members a moment after the cell has them in its log.
Status open_admitted(Node& node) {
  const auto until = std::chrono::steady_clock::now() + admission_timeout;
  for (;;) {
    auto opened = node.open();
    if (opened || std::chrono::steady_clock::now() > until) return opened;
    std::this_thread::sleep_for(admission_pause);
  }
}

void say(const std::string& line) {
  std::cout << line << std::endl;
}

void report(const Nodes& nodes) {
  bus::Stats sum;
  std::uint64_t resends = 0, registrations = 0;
  unsigned connected = 0, registered = 0, again = 0, registered_again = 0;
  for (const auto& node : nodes) {
    const bus::Stats one = node->stats();
    sum.published += one.published;
    sum.published_bytes += one.published_bytes;
    sum.received += one.received;
    sum.received_bytes += one.received_bytes;
    sum.reconnects += one.reconnects;
    resends += node->resends();
    registrations += node->registrations();
    connected += node->connected();
    registered += node->registrations() > 0 ? 1 : 0;
    again += node->connected_again() ? 1 : 0;
    registered_again += node->registered_again() ? 1 : 0;
  }
  say(fmt::format(
      R"({{"nodes":{},"connected":{},"registered":{},"connected_again":{},)"
      R"("registered_again":{},"published":{},"published_bytes":{},)"
      R"("received":{},"received_bytes":{},"reconnects":{},"resends":{},)"
      R"("registrations":{}}})",
      nodes.size(), connected, registered, again, registered_again,
      sum.published, sum.published_bytes, sum.received, sum.received_bytes,
      sum.reconnects, resends, registrations));
}

// Keepers take their time to end: some at once.
void end_keepers(const Nodes& nodes) {
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < enders; ++i)
    threads.emplace_back([&] {
      for (std::size_t at; (at = next++) < nodes.size();)
        nodes[at]->end_keeper();
    });
  for (std::thread& one : threads) one.join();
}

Status run(const Given& given) {
  bus::Quarantine quarantine;
  auto joined = join_all(given, quarantine);
  if (!joined) return tl::unexpected(joined.error());
  const Nodes nodes = std::move(*joined);
  say(R"({"joined":true})");
  tools::ActorConfig config(0);
  Status status;
  {
    caf::actor_system actors(config);
    for (const auto& node : nodes) {
      status = open_admitted(*node);
      if (status) status = node->serve(actors);
      if (!status) break;
    }
    if (status) say(R"({"serving":true})");
    for (std::string line; status && std::getline(std::cin, line);) {
      if (line == "mark")
        for (const auto& node : nodes) node->mark();
      report(nodes);
    }
    for (const auto& node : nodes) node->end();
    actors.await_all_actors_done();
  }
  end_keepers(nodes);
  for (const auto& node : nodes) node->close();
  return status;
}

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Plays many node daemons of a Reeve cell."};
  Given given;
  app.add_option("--token", given.token)->required();
  app.add_option("--data", given.data)->required();
  app.add_option("--programs", given.programs)->required();
  app.add_option("--first", given.first);
  app.add_option("--count", given.count);
  app.add_option("--cpus", given.cpus);
  app.add_option("--memory", given.memory_bytes);
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  raise_open_files();
  spdlog::set_default_logger(spdlog::stderr_logger_mt("fleet"));
  spdlog::set_level(spdlog::level::warn);
  const Status done = run(given);
  if (done) return 0;
  std::cerr << "fleet: " << done.error().text << '\n';
  return 1;
}

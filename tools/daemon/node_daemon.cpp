#include "tools/daemon/node_daemon.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <caf/actor_system.hpp>

#include "bus/backoff.hpp"
#include "bus/connect_error.hpp"
#include "bus/credentials.hpp"
#include "bus/quarantine.hpp"
#include "bus/removal.hpp"
#include "cluster/identities/identities.hpp"
#include "store/owner.hpp"
#include "tools/daemon/actor_config.hpp"
#include "tools/daemon/agents.hpp"
#include "tools/daemon/links.hpp"
#include "tools/daemon/metrics_server.hpp"

namespace reeve::tools {
namespace {

using namespace std::chrono_literals;

constexpr bus::RetryOptions reach_waits{100ms, 5'000ms};
// Each of the servers, whether it knows the key.
constexpr auto ask_timeout = 2s;

std::string expelled_text(const bus::Credentials& credentials,
                          const std::string& data) {
  return fmt::format(
      "the cell {} does not know {} any more: it was removed. To let this host "
      "in again, run \"reeve leave --data {}\" here, empty that directory and "
      "join by a new token (reeve token create --role agent)",
      credentials.cell, credentials.principal, data);
}

class NodeDaemon : public Daemon {
 public:
  explicit NodeDaemon(DaemonOptions given) : options_(std::move(given)) {}

  Status begin();
  void stop_tasks() override;
  void kill_tasks() override;
  void finish(Leave leave) override;

 private:
  Status read_credentials();
  void open_agents();
  Status open_bus();
  Status expelled();
  Status serve_metrics();
  void learn_managers(const std::vector<std::string>& hosts);

  DaemonOptions options_;
  std::unique_ptr<store::Owner> owner_;
  bus::Credentials credentials_;
  std::vector<std::string> managers_;  // as they were told last
  std::atomic<bool> ending_{false};    // and not to begin anew
  std::unique_ptr<bus::Quarantine> quarantine_;
  NewestStats stats_;
  // Connections end before what their handlers use.
  Links links_;
  std::unique_ptr<MetricsServer> metrics_;
  std::unique_ptr<ActorConfig> config_;
  std::unique_ptr<caf::actor_system> system_;
  std::optional<Agents> agents_;
};

// The name by which this host joined is the name of its node.
Status NodeDaemon::read_credentials() {
  auto loaded =
      bus::load_credentials(bus::agent_credentials_path(options_.data));
  if (!loaded) return tl::unexpected(loaded.error());
  credentials_ = std::move(*loaded);
  std::string& name = options_.config.agent.name;
  if (!name.empty() && cluster::principal_of(cluster::IdentityRole::agent,
                                             name) != credentials_.principal)
    return fail(Errc::usage,
                fmt::format("the settings name this node '{}', and it joined "
                            "as '{}': take agent.name out of the settings, or "
                            "leave the cell and join again",
                            name, credentials_.principal));
  name = cluster::agent_of(credentials_.principal).value_or("");
  return {};
}

// Sent away by a server, it starts anew, and finds out here whether it was
// removed. Its tasks run on until that is sure.
Status NodeDaemon::open_bus() {
  bus::Backoff backoff(reach_waits);
  bus::Removal removal;
  for (bool told = false;; told = true) {
    auto opened = Links::open_node(credentials_, [anew = options_.start_anew] {
      anew("a bus server does not know this node's key any more");
    });
    if (opened) {
      links_ = std::move(*opened);
      return {};
    }
    const Error& why = opened.error();
    const bool refused = bus::is_unknown_key(why, credentials_);
    if (!refused && why.code != Errc::unreachable) return tl::unexpected(why);
    if (!told) spdlog::warn("{}; trying again until it answers", why.text);
    if (removal.confirmed(bus::ask_each(credentials_, ask_timeout),
                          std::chrono::steady_clock::now()))
      return expelled();
    const auto leave = options_.told_to_end(backoff.next(bus::random_jitter()));
    if (!leave) continue;
    if (*leave == Leave::nothing) agents_->end_keeper();
    return fail(Errc::unreachable, "told to end before the cell answered");
  }
}

// The keeper may run from before: the daemon was not there when it happened.
Status NodeDaemon::expelled() {
  const std::string text = expelled_text(credentials_, options_.data.string());
  agents_->end_keeper();
  options_.on_expelled(text);
  return fail(Errc::rejected, text);
}

Status NodeDaemon::serve_metrics() {
  if (options_.config.metrics.listen.empty()) return {};
  const bus::Subjects subjects(credentials_.cell);
  auto heard = links_.events->subscribe(
      subjects.stat(options_.config.agent.name),
      [this](const bus::Message& message) {
        if (schema::verified<schema::NodeStats>(message.data) != nullptr)
          stats_.take(message, std::chrono::steady_clock::now());
      });
  if (!heard) return heard;
  MetricsServerOptions how;
  how.listen = options_.config.metrics.listen;
  how.connections = {{"events", links_.events.get()},
                     {"answers", links_.answers.get()}};
  how.stats = &stats_;
  auto started = MetricsServer::start(std::move(how));
  if (!started) return tl::unexpected(started.error());
  metrics_ = std::move(*started);
  return {};
}

void NodeDaemon::open_agents() {
  bus::QuarantineOptions kept;
  kept.directory = options_.data / "quarantine";
  quarantine_ = std::make_unique<bus::Quarantine>(kept);
  AgentsOptions of_agents;
  of_agents.config = options_.config;
  of_agents.data = options_.data;
  of_agents.programs = options_.programs;
  of_agents.links = &links_;
  of_agents.quarantine = quarantine_.get();
  of_agents.subjects = bus::Subjects(credentials_.cell);
  of_agents.on_managers = [this](const auto& hosts) { learn_managers(hosts); };
  agents_.emplace(std::move(of_agents));
}

// By its token it knows those that there were then. A connection keeps the
// servers that it began with, so the process begins anew; its tasks run on.
void NodeDaemon::learn_managers(const std::vector<std::string>& hosts) {
  if (hosts == managers_) return;
  const auto news =
      bus::remember_servers(bus::agent_credentials_path(options_.data), hosts,
                            links_.answers->server());
  if (!news) {
    spdlog::warn("where the cell's managers are is not kept: {}",
                 news.error().text);
    return;
  }
  managers_ = hosts;
  if (*news && !ending_)
    options_.start_anew(fmt::format("the cell's managers are on {} now",
                                    fmt::join(hosts, ", ")));
}

Status NodeDaemon::begin() {
  const auto lock = options_.data / "owner";
  auto owner = store::Owner::take(lock);
  if (!owner && owner.error().code == Errc::busy)
    return fail(Errc::busy,
                fmt::format("process {} serves {} already: stop it first",
                            store::Owner::holder(lock).value_or(0),
                            options_.data.string()));
  if (!owner) return tl::unexpected(owner.error());
  owner_ = std::move(*owner);
  Status status = read_credentials();
  if (!status) return status;
  open_agents();
  status = open_bus();
  if (!status) return status;
  config_ = std::make_unique<ActorConfig>(0);
  system_ = std::make_unique<caf::actor_system>(*config_);
  status = agents_->spawn_real(*system_);
  if (status) status = serve_metrics();
  if (!status) finish(Leave::tasks);
  return status;
}

// The cell learns from their ends, or from the silence.
void NodeDaemon::stop_tasks() {
  ending_ = true;
  options_.on_stopped();
}

void NodeDaemon::kill_tasks() {
  ending_ = true;
  if (agents_ && agents_->kill_keeper())
    spdlog::warn("the keeper was killed with all that it ran");
}

void NodeDaemon::finish(Leave leave) {
  ending_ = true;
  metrics_.reset();
  links_.close_requests();
  if (system_) {
    if (agents_) agents_->end();
    system_->await_all_actors_done();
    system_.reset();
  }
  if (leave == Leave::nothing && agents_) agents_->end_keeper();
  links_.close();
  owner_.reset();
}

}  // namespace

Expected<std::unique_ptr<Daemon>> start_node(DaemonOptions options) {
  auto daemon = std::make_unique<NodeDaemon>(std::move(options));
  if (auto begun = daemon->begin(); !begun)
    return tl::unexpected(begun.error());
  return daemon;
}

}  // namespace reeve::tools

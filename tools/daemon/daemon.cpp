#include "tools/daemon/daemon.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <chrono>

#include "actors/agent/inventory.hpp"
#include "actors/agent/keeper/ending.hpp"
#include "actors/agent/shell.hpp"
#include "actors/journal/shell.hpp"
#include "actors/journal/snapshotter.hpp"
#include "actors/manager/shell.hpp"
#include "actors/scheduler/shell.hpp"
#include "actors/system/clock.hpp"
#include "actors/system/messages.hpp"
#include "bus/server.hpp"
#include "cluster/project.hpp"
#include "tools/daemon/ingress.hpp"
#include "tools/daemon/metrics_server.hpp"

namespace reeve::tools {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Messages that one actor handles before others get their turn.
constexpr std::size_t actor_throughput_max = 300;
constexpr std::size_t actor_threads = 2;
constexpr auto bus_flush_timeout = 2s;

struct Person {
  std::string name;
  std::uint32_t uid = 0;
};

Person whoever_runs_this() {
  const uid_t uid = ::geteuid();
  const passwd* entry = ::getpwuid(uid);
  return {entry ? entry->pw_name : fmt::format("uid-{}", uid), uid};
}

// CAF's default wakes a receiver up to 10 ms late while its sender is busy.
class ActorConfig : public caf::actor_system_config {
 public:
  explicit ActorConfig(std::size_t schedulers) {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", actor_threads + schedulers - 1);
    set("scheduler.max-throughput", actor_throughput_max);
  }
};

}  // namespace

struct Daemon::Impl {
  DaemonOptions options;
  Person owner = whoever_runs_this();

  std::shared_ptr<store::Log> log;
  std::unique_ptr<bus::Server> server;
  std::unique_ptr<bus::Subjects> subjects;
  std::unique_ptr<bus::Quarantine> quarantine;
  actors::Gate log_reads{journal::log_reads_waiting_max};
  std::unique_ptr<Ingress> ingress;
  NewestStats stats;
  // In the order of need: connections end before what their handlers use.
  std::unique_ptr<bus::Connection> events;
  std::unique_ptr<bus::Connection> answers;
  std::unique_ptr<bus::Connection> requests;
  std::unique_ptr<MetricsServer> metrics;

  std::shared_ptr<manager::Core> core;
  std::optional<ActorConfig> config;
  std::unique_ptr<caf::actor_system> system;
  caf::actor manager;
  std::vector<caf::actor> schedulers;
  actors::Journal journal;
  std::vector<caf::actor> agents;

  Status open_log();
  Status open_bus();
  Status start_core();
  void spawn_actors();
  Status spawn_agents();
  Status spawn_agent(agent::ShellOptions shell);
  Status serve_metrics();
  keeper::ClientConfig keeper_config() const;
  void end_keeper();
  void finish(Leave leave);

  Expected<std::unique_ptr<bus::Connection>> connect(const char* name,
                                                     bool low_latency);
  std::uint64_t newest_snapshot = 0;
};

Status Daemon::Impl::open_log() {
  store::LogOptions log_options;
  log_options.directory = options.data / "log";
  log_options.create_if_missing = true;
  log_options.floor_bytes = options.config.log.floor_bytes;
  log_options.snapshots_bytes_max = options.config.log.snapshots_bytes_max;
  auto opened = store::Log::open(log_options);
  if (!opened) return tl::unexpected(opened.error());
  log = std::move(*opened);
  return {};
}

Expected<std::unique_ptr<bus::Connection>> Daemon::Impl::connect(
    const char* name, bool low_latency) {
  const bus::Credentials credentials = server->credentials(bus::Role::daemon);
  bus::ConnectionOptions how;
  how.url = credentials.url;
  how.user = credentials.principal;
  how.password = credentials.password;
  how.name = name;
  how.low_latency = low_latency;
  how.handlers_on_reader = true;
  how.on_error = [](const Error& error) {
    spdlog::warn("bus: {}", error.text);
  };
  return bus::Connection::connect(how);
}

Status Daemon::Impl::open_bus() {
  bus::ServerOptions bus_options;
  bus_options.data_directory = options.data;
  bus_options.cell = options.config.cell;
  bus_options.port = static_cast<int>(options.config.port);
  bus_options.principal = owner.name;
  bus_options.on_event = [](const std::string& text) {
    spdlog::warn("bus server: {}", text);
  };
  auto started = bus::Server::start_or_adopt(bus_options);
  if (!started) return tl::unexpected(started.error());
  server = std::move(*started);
  subjects = std::make_unique<bus::Subjects>(options.config.cell);
  bus::QuarantineOptions kept;
  kept.directory = options.data / "quarantine";
  quarantine = std::make_unique<bus::Quarantine>(kept);
  for (auto [connection, name, low_latency] :
       {std::tuple{&events, "events", false},
        std::tuple{&answers, "answers", true},
        std::tuple{&requests, "requests", false}}) {
    auto connected = connect(name, low_latency);
    if (!connected) return tl::unexpected(connected.error());
    *connection = std::move(*connected);
  }
  return {};
}

Status Daemon::Impl::start_core() {
  const auto reader = log->reader();
  auto state = actors::fold_log(*reader, &newest_snapshot);
  if (!state) return tl::unexpected(state.error());
  spdlog::info("state at {} from a snapshot at {}",
               state->last_sequence().value, newest_snapshot);
  if (auto sound = state->check_invariants(); !sound) return sound;
  manager::Options manager_options;
  manager_options.waiting_max = options.config.manager.queue_sessions_max;
  core = std::make_shared<manager::Core>(std::move(*state), manager_options);
  return {};
}

void Daemon::Impl::spawn_actors() {
  config.emplace(options.config.manager.schedulers);
  system = std::make_unique<caf::actor_system>(*config);
  const std::uint32_t shares = options.config.manager.schedulers;
  std::vector<std::shared_ptr<cluster::Scheduler>> projections;
  for (std::uint32_t i = 0; i < shares; ++i)
    projections.push_back(std::make_shared<cluster::Scheduler>(
        cluster::SchedulerShare{i, shares}));
  cluster::tell_as_events(core->state(), [&](const schema::Event& event) {
    for (const auto& projection : projections) projection->apply(event);
  });
  core->start(options.config.cell, owner.name, owner.uid, "main",
              actors::wall_time());
  core->set_pids(::getpid(), server->pid());
  core->set_counter("quarantined", quarantine->count());
  core->set_counter("log_reads_dropped", log_reads.dropped());
  core->set_admission(log->admission_open());

  actors::ManagerOptions manager_options;
  manager_options.core = core;
  manager_options.answers = answers.get();
  manager_options.orders = answers.get();
  manager_options.quarantine = quarantine.get();
  manager_options.subjects = subjects.get();
  manager_options.log_reads = &log_reads;
  manager_options.on_fatal = options.on_fatal;
  manager_options.on_stopped = options.on_stopped;
  manager = actors::spawn_manager(*system, manager_options);
  for (auto& projection : projections)
    schedulers.push_back(actors::spawn_scheduler(*system, std::move(projection),
                                                 core->now(), manager));
  actors::JournalOptions journal_options;
  journal_options.log = log;
  journal_options.events = events.get();
  journal_options.answers = answers.get();
  journal_options.subjects = subjects.get();
  journal_options.log_reads = &log_reads;
  journal_options.snapshots.every_events =
      options.config.log.snapshot_every_events;
  journal_options.newest_snapshot = newest_snapshot;
  journal = actors::spawn_journal(*system, journal_options, manager);
}

keeper::ClientConfig Daemon::Impl::keeper_config() const {
  keeper::ClientConfig keeper;
  keeper.directory = options.config.agent.runtime_dir.empty()
                         ? (options.data / "node").string()
                         : options.config.agent.runtime_dir;
  keeper.program = (options.programs / "reeve-keeper").string();
  // Credentials and the log are nothing for tasks to see.
  keeper.hidden = {options.data.string()};
  keeper.kept_output_bytes_max = options.config.agent.kept_output_bytes_max;
  return keeper;
}

Status Daemon::Impl::spawn_agent(agent::ShellOptions shell) {
  shell.connection = answers.get();
  shell.live = events.get();
  shell.quarantine = quarantine.get();
  shell.subjects = *subjects;
  auto spawned = agent::spawn_agent(*system, std::move(shell));
  if (!spawned) return tl::unexpected(spawned.error());
  agents.push_back(std::move(*spawned));
  return {};
}

Status Daemon::Impl::spawn_agents() {
  agent::ShellOptions simulated;
  simulated.agent = "sim";
  simulated.simulated = true;
  if (auto spawned = spawn_agent(std::move(simulated)); !spawned)
    return spawned;
  const Config::Agent& settings = options.config.agent;
  if (!settings.enabled) return {};
  agent::ShellOptions real;
  auto node = agent::read_host({settings.name, settings.group,
                                settings.cpu_milli, settings.memory_bytes});
  if (!node) return tl::unexpected(node.error());
  real.node = std::move(*node);
  real.node.labels = settings.labels;
  real.agent = real.node.name;
  real.keeper = keeper_config();
  real.output_bytes_max = settings.output_bytes_max;
  real.on_status = [to = manager](const agent::AgentStatus& status) {
    caf::anon_send(
        to, actors::Reported{"keeper_pid",
                             static_cast<std::uint64_t>(status.keeper_pid)});
  };
  return spawn_agent(std::move(real));
}

Status Daemon::Impl::serve_metrics() {
  if (options.config.metrics.listen.empty()) return {};
  MetricsServerOptions how;
  how.listen = options.config.metrics.listen;
  how.connection = answers.get();
  how.subjects = *subjects;
  how.principal = server->credentials(bus::Role::daemon).principal;
  how.connections = {{"events", events.get()},
                     {"answers", answers.get()},
                     {"requests", requests.get()}};
  how.stats = &stats;
  auto started = MetricsServer::start(std::move(how));
  if (!started) return tl::unexpected(started.error());
  metrics = std::move(*started);
  spdlog::info("metrics at http://{}/metrics", options.config.metrics.listen);
  return {};
}

// Ends the keeper and whatever still runs under it.
void Daemon::Impl::end_keeper() {
  if (!options.config.agent.enabled) return;
  const auto ended = keeper::end_keeper(keeper_config());
  if (!ended) spdlog::error("{}", ended.error().text);
  if (ended && ended->killed)
    spdlog::warn(
        "the keeper, pid {}, did not end by itself: it was killed "
        "with all that it ran",
        ended->pid);
}

void Daemon::Impl::finish(Leave leave) {
  metrics.reset();
  requests.reset();
  // An actor with a thread of its own ends with the last who names it.
  ingress.reset();
  if (system) {
    for (const caf::actor& actor : agents)
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    agents.clear();
    caf::anon_send_exit(manager, caf::exit_reason::user_shutdown);
    for (const caf::actor& actor : {journal.committer, journal.reader})
      caf::anon_send(actor, actors::drain_atom::value);
    for (const caf::actor& actor : schedulers)
      caf::anon_send(actor, actors::drain_atom::value);
    manager = nullptr;
    schedulers.clear();
    journal = {};
    system->await_all_actors_done();
    system.reset();
  }
  if (leave == Leave::nothing) end_keeper();
  for (auto* connection : {&events, &answers}) {
    if (*connection) (void)(*connection)->flush(bus_flush_timeout);
    connection->reset();
  }
  if (log) {
    if (auto closed = log->close(); !closed)
      spdlog::error("log: {}", closed.error().text);
    log.reset();
  }
  if (!server) return;
  if (leave == Leave::nothing) {
    server->stop();
  } else {
    server->release();
  }
  server.reset();
}

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

Expected<std::unique_ptr<Daemon>> Daemon::start(DaemonOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  Status status = impl->open_log();
  if (status) status = impl->open_bus();
  if (status) status = impl->start_core();
  if (status) {
    impl->spawn_actors();
    impl->ingress.reset(new Ingress{
        *impl->requests, *impl->answers, *impl->quarantine, *impl->subjects,
        impl->server->credentials(bus::Role::daemon).principal, impl->manager,
        impl->journal.reader, impl->log_reads,
        impl->options.config.manager.mailbox_messages_max,
        [stats = &impl->stats](const bus::Message& message) {
          stats->take(message, std::chrono::steady_clock::now());
        }});
    status = open_ingress(*impl->ingress);
  }
  if (status) status = impl->spawn_agents();
  if (status) status = impl->serve_metrics();
  if (status) {
    actors::introduce(impl->manager,
                      {impl->journal.committer, impl->schedulers});
    return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
  }
  // A server that this start began serves nobody; one that was there may
  // have clients of a daemon to come.
  if (impl->server && !impl->server->adopted()) impl->server->stop();
  impl->finish(Leave::tasks);
  return tl::unexpected(status.error());
}

void Daemon::stop_tasks() {
  caf::anon_send(impl_->manager, actors::drain_atom::value);
}

void Daemon::kill_tasks() {
  if (!impl_->options.config.agent.enabled) return;
  if (keeper::kill_keeper(impl_->keeper_config().directory))
    spdlog::warn("the keeper was killed with all that it ran");
}

void Daemon::finish(Leave leave) {
  impl_->finish(leave);
}

}  // namespace reeve::tools

#include "tools/daemon/cell_daemon.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <mutex>
#include <utility>

#include "actors/agent/inventory.hpp"
#include "actors/journal/shell.hpp"
#include "actors/journal/snapshotter.hpp"
#include "actors/manager/shell.hpp"
#include "actors/member/shell.hpp"
#include "actors/scheduler/shell.hpp"
#include "actors/system/clock.hpp"
#include "actors/system/messages.hpp"
#include "bus/server.hpp"
#include "cluster/project.hpp"
#include "tools/daemon/actor_config.hpp"
#include "tools/daemon/agents.hpp"
#include "tools/daemon/epoch_note.hpp"
#include "tools/daemon/growth.hpp"
#include "tools/daemon/ingress.hpp"
#include "tools/daemon/links.hpp"
#include "tools/daemon/members.hpp"
#include "tools/daemon/metrics_server.hpp"
#include "tools/program.hpp"

namespace reeve::tools {
namespace {

namespace fs = std::filesystem;

// For what was answered last by a manager that leads no more.
constexpr std::chrono::milliseconds leaving_flush{200};

// For a bus server that ended while the daemon began.
constexpr std::chrono::milliseconds bus_back_wait{20'000};
constexpr std::chrono::milliseconds bus_back_pause{200};

struct Person {
  std::string name;
  std::uint32_t uid = 0;
};

Person whoever_runs_this() {
  const uid_t uid = ::geteuid();
  const passwd* entry = ::getpwuid(uid);
  return {entry ? entry->pw_name : fmt::format("uid-{}", uid), uid};
}

std::vector<bus::ServerUser> bus_users(
    const std::vector<cluster::BusIdentity>& members) {
  std::vector<bus::ServerUser> users;
  for (const cluster::BusIdentity& member : members) {
    bus::ServerUser& user = users.emplace_back();
    user.principal = member.principal;
    user.public_key = member.public_key;
    switch (member.role) {
      case cluster::BusRole::agent:
        user.role = bus::Role::agent;
        user.agent = member.name;
        break;
      case cluster::BusRole::manager: user.role = bus::Role::manager; break;
      case cluster::BusRole::user: user.role = bus::Role::user; break;
      case cluster::BusRole::token: user.role = bus::Role::token; break;
    }
  }
  return users;
}

class CellDaemon : public Daemon {
 public:
  explicit CellDaemon(DaemonOptions given) : options_(std::move(given)) {}

  Status begin();
  void stop_tasks() override;
  void kill_tasks() override;
  void finish(Leave leave) override;

 private:
  DaemonOptions options_;
  Person owner_ = whoever_runs_this();

  std::shared_ptr<store::Log> log_;
  std::unique_ptr<bus::Server> server_;
  std::unique_ptr<bus::Subjects> subjects_;
  std::unique_ptr<bus::Quarantine> quarantine_;
  actors::Gate log_reads_{journal::log_reads_waiting_max};
  std::unique_ptr<Ingress> ingress_;
  NewestStats stats_;
  // In the order of need: connections end before what their handlers use.
  Links links_;
  std::unique_ptr<MetricsServer> metrics_;

  std::shared_ptr<manager::Core> core_;
  std::unique_ptr<ActorConfig> config_;
  std::unique_ptr<caf::actor_system> system_;
  std::mutex manager_mutex_;
  caf::actor manager_;  // none while another leads
  std::vector<caf::actor> schedulers_;
  actors::Journal journal_;
  std::optional<Agents> agents_;
  std::unique_ptr<actors::MemberRunner> member_;  // of several managers

  bool several_ = false;  // see is_of_several
  // As its log had them at the start, then guarded by manager_mutex_.
  std::vector<cluster::ManagerIdentity> managers_;
  // Of one alone that others may join. The manager tells it who does.
  std::unique_ptr<Growth> growth_;
  std::string growth_complaint_;  // of its thread

  bool of_several() const { return several_; }
  bool may_grow() const {
    return !several_ && !options_.config.manager.members.empty();
  }
  std::string name() const {
    const auto& own = options_.config.manager;
    return own.members.empty() ? "main" : own.name;
  }
  Status open_log();
  Expected<cluster::State> read_log();
  Status open_bus();
  Status start_core(cluster::State state);
  void admit(const manager::SetBusIdentities& who);
  bool become_one_of_several();
  void open_system();
  void spawn_actors(const actors::Lead& lead);
  Status stand_by();
  void lead(const actors::Lead& lead);
  void step_down(const std::string& why);
  template <class Message>
  void tell_manager(Message message);
  Status open_ingress_now();
  Status open_links();
  void open_agents();
  Status serve_metrics();
  std::uint64_t newest_snapshot_ = 0;
};

Status CellDaemon::open_log() {
  if (auto done = set_aside_as_noted(options_.data); !done) return done;
  const auto id = make_way_for_noted_id(options_.data);
  if (!id) return tl::unexpected(id.error());
  store::LogOptions log_options;
  log_options.new_log_id = *id;
  log_options.directory = options_.data / "log";
  log_options.create_if_missing = true;
  log_options.floor_bytes = options_.config.log.floor_bytes;
  log_options.snapshots_bytes_max = options_.config.log.snapshots_bytes_max;
  auto opened = store::Log::open(log_options);
  if (!opened) return tl::unexpected(opened.error());
  log_ = std::move(*opened);
  forget_log_id(options_.data);
  return {};
}

Status CellDaemon::open_bus() {
  bus::ServerOptions bus_options;
  bus_options.data_directory = options_.data;
  bus_options.cell = options_.config.cell;
  bus_options.port = static_cast<int>(options_.config.port);
  if (const auto listen = bus::parse_address(options_.config.bus.listen)) {
    bus_options.host = listen->host;
    bus_options.port = listen->port;
  }
  bus_options.advertised = options_.config.bus.advertise;
  bus_options.principal = owner_.name;
  bus_options.on_event = [](const std::string& text) {
    spdlog::warn("bus server: {}", text);
  };
  join_members(options_.config, several_, managers_, bus_options);
  auto started = bus::Server::start_or_adopt(bus_options);
  if (!started) return tl::unexpected(started.error());
  server_ = std::move(*started);
  subjects_ = std::make_unique<bus::Subjects>(options_.config.cell);
  bus::QuarantineOptions kept;
  kept.directory = options_.data / "quarantine";
  quarantine_ = std::make_unique<bus::Quarantine>(kept);
  return open_links();
}

// The server may end in between: it is started again.
Status CellDaemon::open_links() {
  const auto credentials = server_->credentials(bus::Role::daemon);
  const auto deadline = std::chrono::steady_clock::now() + bus_back_wait;
  for (;;) {
    auto opened = Links::open(credentials);
    Status done;
    if (!opened) done = tl::unexpected(opened.error());
    if (done) links_ = std::move(*opened);
    if (done && of_several()) done = links_.open_members(credentials);
    if (done || done.error().code != Errc::unreachable ||
        std::chrono::steady_clock::now() >= deadline)
      return done;
    if (options_.told_to_end(bus_back_pause))
      return fail(Errc::unreachable, "told to end before the bus was there");
  }
}

Expected<cluster::State> CellDaemon::read_log() {
  const auto reader = log_->reader();
  auto state = actors::fold_log(*reader, &newest_snapshot_);
  if (!state) return state;
  spdlog::info("state at {} from a snapshot at {}",
               state->last_sequence().value, newest_snapshot_);
  if (auto sound = state->check_invariants(); !sound)
    return tl::unexpected(sound.error());
  // A cell stays its owner's, whoever runs the daemon from now on.
  if (!state->owner().empty()) owner_.name = state->owner();
  several_ = is_of_several(options_.config, options_.data);
  managers_ = managers_of(options_.config, state->identities());
  return state;
}

Status CellDaemon::start_core(cluster::State state) {
  manager::Options manager_options;
  manager_options.waiting_max = options_.config.manager.queue_sessions_max;
  manager_options.heartbeat_ns_max = options_.config.manager.node_lost_after_ns;
  manager_options.local_agents = {"sim"};
  manager_options.program = this_program();
  if (options_.config.agent.enabled) {
    auto name = agent::node_name(options_.config.agent.name);
    if (!name) return tl::unexpected(name.error());
    manager_options.local_agents.push_back(std::move(*name));
  }
  for (const cluster::ManagerIdentity& manager : managers_)
    manager_options.local_agents.push_back(manager.name);
  manager_options.managers = options_.config.manager.members;
  manager_options.managers_principal =
      server_->credentials(bus::Role::daemon).principal;
  manager_options.managers_inbox =
      bus::inbox_prefix(manager_options.managers_principal) + ".";
  // What one alone keeps is sent to those that join later.
  if (!options_.config.manager.members.empty())
    manager_options.batch_bytes_max = cluster::shared_commit_bytes_max;
  if (!of_several()) {
    const auto begun = noted_epoch(options_.data);
    if (!begun) return tl::unexpected(begun.error());
    manager_options.begun = *begun;
  }
  core_ = std::make_shared<manager::Core>(std::move(state), manager_options);
  core_->set_daemon_pid(::getpid());
  return {};
}

// Whom the log lets in, the bus server lets in.
void CellDaemon::admit(const manager::SetBusIdentities& who) {
  if (auto told = server_->set_users(bus_users(who.list)); !told)
    spdlog::error("the bus server does not take the members: {}",
                  told.error().text);
  if (options_.config.manager.members.empty() || who.managers.empty()) return;
  auto routes = routes_of(options_.config, who.managers);
  if (growth_) return growth_->await(std::move(routes));
  server_->set_routes(std::move(routes));
  if (member_) member_->set_managers(who.managers);
  const std::lock_guard lock(manager_mutex_);
  managers_ = who.managers;
}

// All goes on as after a crash: commands that were under way are sent again.
bool CellDaemon::become_one_of_several() {
  if (auto noted = note_several(options_.data); !noted) {
    if (std::exchange(growth_complaint_, noted.error().text) !=
        noted.error().text)
      spdlog::error(
          "other managers joined, and {} goes on alone until it is noted: {}",
          name(), noted.error().text);
    return false;
  }
  options_.start_anew(
      fmt::format("other managers joined: {} keeps the log with them", name()));
  return true;
}

void CellDaemon::open_system() {
  config_ =
      std::make_unique<ActorConfig>(options_.config.manager.schedulers - 1);
  system_ = std::make_unique<caf::actor_system>(*config_);
}

template <class Message>
void CellDaemon::tell_manager(Message message) {
  const std::lock_guard lock(manager_mutex_);
  if (manager_) caf::anon_send(manager_, std::move(message));
}

void CellDaemon::spawn_actors(const actors::Lead& lead) {
  const std::uint32_t shares = options_.config.manager.schedulers;
  std::vector<std::shared_ptr<cluster::Scheduler>> projections;
  for (std::uint32_t i = 0; i < shares; ++i)
    projections.push_back(std::make_shared<cluster::Scheduler>(
        cluster::SchedulerShare{i, shares}));
  cluster::tell_as_events(core_->state(), [&](const schema::Event& event) {
    for (const auto& projection : projections) projection->apply(event);
  });
  using Beginning = manager::Core::Beginning;
  core_->start(options_.config.cell, owner_.name, owner_.uid, name(),
               actors::wall_time(),
               lead.stream ? Beginning::begun : Beginning::to_be_written);
  core_->set_counter("quarantined", quarantine_->count());
  core_->set_counter("log_reads_dropped", log_reads_.dropped());
  core_->set_admission(log_->admission_open(), log_->room());

  actors::ManagerOptions manager_options;
  manager_options.core = core_;
  manager_options.answers = links_.answers.get();
  manager_options.orders = links_.answers.get();
  manager_options.quarantine = quarantine_.get();
  manager_options.subjects = subjects_.get();
  manager_options.log_reads = &log_reads_;
  manager_options.on_fatal = options_.on_fatal;
  // Without room for the note all else goes on.
  if (!of_several())
    manager_options.on_begun = [this](Epoch epoch) {
      return note_epoch(options_.data, epoch).has_value();
    };
  manager_options.on_stopped = options_.on_stopped;
  manager_options.on_identities = [this](const manager::SetBusIdentities& who) {
    admit(who);
  };
  manager_options.on_hand_over = [this](const std::string& to, auto answer) {
    if (member_) member_->hand_over(to, std::move(answer));
  };
  manager_options.bus_pid = [this] { return server_->pid(); };
  if (lead.stream) {
    manager_options.may_answer = [this] { return member_->may_answer(); };
    manager_options.leads = [this] { return member_->leads(); };
  }
  manager_options.on_drained = [this] { member_->drained(); };
  const auto manager = actors::spawn_manager(*system_, manager_options);
  {
    const std::lock_guard lock(manager_mutex_);
    manager_ = manager;
  }
  for (auto& projection : projections)
    schedulers_.push_back(actors::spawn_scheduler(
        *system_, std::move(projection), core_->now(), manager_));
  actors::JournalOptions journal_options;
  journal_options.log = log_;
  journal_options.events = links_.events.get();
  journal_options.answers = links_.answers.get();
  journal_options.subjects = subjects_.get();
  journal_options.log_reads = &log_reads_;
  journal_options.snapshots.every_events =
      options_.config.log.snapshot_every_events;
  journal_options.newest_snapshot = lead.newest_snapshot;
  journal_options.stream = lead.stream;
  journal_options.shared = lead.shared;
  {
    const std::lock_guard lock(manager_mutex_);
    journal_options.majority = actors::majority_text(managers_);
  }
  journal_options.on_fenced = [this](const bus::StreamOutcome& outcome) {
    member_->fenced(outcome);
  };
  journal_options.on_room = [this](bool room) { member_->set_room(room); };
  journal_options.on_alone = [this](bool alone) { member_->set_alone(alone); };
  journal_ = actors::spawn_journal(*system_, journal_options, manager_);
}

void CellDaemon::open_agents() {
  AgentsOptions of_agents;
  of_agents.config = options_.config;
  of_agents.data = options_.data;
  of_agents.programs = options_.programs;
  of_agents.links = &links_;
  of_agents.quarantine = quarantine_.get();
  of_agents.subjects = *subjects_;
  of_agents.on_status = [this](const agent::AgentStatus& status) {
    tell_manager(actors::Reported{
        "keeper_pid", static_cast<std::uint64_t>(status.keeper_pid)});
  };
  agents_.emplace(std::move(of_agents));
}

// ---- one manager among several

Status CellDaemon::stand_by() {
  actors::MemberOptions of_member;
  of_member.cell = options_.config.cell;
  of_member.name = name();
  of_member.managers = managers_;
  of_member.joined_by = options_.config.manager.joined_by;
  if (const auto named = cluster::managers_of(core_->state().identities());
      !named.empty())
    of_member.listed =
        std::any_of(named.begin(), named.end(),
                    [&](const auto& one) { return one.name == name(); });
  of_member.system = server_->system_credentials();
  of_member.owner = owner_.name;
  of_member.owner_uid = owner_.uid;
  of_member.principal = server_->credentials(bus::Role::daemon).principal;
  of_member.program = this_program();
  of_member.log = log_;
  of_member.core = core_;
  of_member.snapshots.every_events = options_.config.log.snapshot_every_events;
  of_member.newest_snapshot = newest_snapshot_;
  of_member.set_aside = last_set_aside(options_.data, name());
  of_member.connection = std::move(links_.members);
  of_member.bus_pid = [this] { return server_->pid(); };
  of_member.start_bus_anew = [this] { server_->start_anew(); };
  of_member.quarantine = quarantine_.get();
  of_member.subjects = subjects_.get();
  of_member.on_lead = [this](const actors::Lead& how) { lead(how); };
  of_member.on_membership = [this](manager::Membership now) {
    tell_manager(actors::MembershipIs{
        std::make_shared<manager::Membership>(std::move(now))});
  };
  of_member.on_query = [this](const std::string& principal,
                              bus::Message message) {
    tell_manager(actors::FromBus{actors::FromBus::Kind::query, principal,
                                 std::move(message)});
  };
  of_member.on_admission = [this](bool open) {
    tell_manager(actors::Admission{open});
  };
  of_member.on_identities = [this](const manager::SetBusIdentities& who) {
    admit(who);
  };
  of_member.on_expelled = options_.on_expelled;
  of_member.on_diverged = [this](std::uint64_t from, const std::string& why) {
    if (auto noted = note_set_aside(options_.data, from, why); !noted)
      return options_.on_fatal(noted.error().text);
    options_.start_anew(why);
  };
  of_member.on_log_id = [this](const store::LogId& id) {
    if (auto noted = note_log_id(options_.data, id); !noted)
      return options_.on_fatal(noted.error().text);
    options_.start_anew("the empty log here becomes a copy of the cell's");
  };
  of_member.on_step_down = [this](const std::string& why) { step_down(why); };
  member_ = std::make_unique<actors::MemberRunner>(std::move(of_member));
  return member_->start();
}

void CellDaemon::lead(const actors::Lead& how) {
  spawn_actors(how);
  Status status = open_ingress_now();
  if (status) status = agents_->spawn_simulated(*system_);
  if (!status)
    return options_.start_anew(
        fmt::format("{} cannot lead: {}", name(), status.error().text));
  actors::introduce(manager_, {journal_.committer, schedulers_});
}

// What was answered may leave; what waits may not.
void CellDaemon::step_down(const std::string& why) {
  (void)links_.answers->flush(leaving_flush);
  options_.start_anew(why);
}

Status CellDaemon::serve_metrics() {
  if (options_.config.metrics.listen.empty()) return {};
  MetricsServerOptions how;
  how.listen = options_.config.metrics.listen;
  how.connection = links_.answers.get();
  how.subjects = *subjects_;
  how.principal = server_->credentials(bus::Role::daemon).principal;
  how.connections = {{"events", links_.events.get()},
                     {"answers", links_.answers.get()},
                     {"requests", links_.requests.get()}};
  how.stats = &stats_;
  auto started = MetricsServer::start(std::move(how));
  if (!started) return tl::unexpected(started.error());
  metrics_ = std::move(*started);
  spdlog::info("metrics at http://{}/metrics", options_.config.metrics.listen);
  return {};
}

void CellDaemon::finish(Leave leave) {
  if (growth_) growth_->end();
  if (member_) member_->stop();
  metrics_.reset();
  links_.close_requests();
  // An actor with a thread of its own ends with the last who names it.
  ingress_.reset();
  if (system_) {
    if (agents_) agents_->end();
    if (manager_)
      caf::anon_send_exit(manager_, caf::exit_reason::user_shutdown);
    for (const caf::actor& actor : {journal_.committer, journal_.reader})
      if (actor) caf::anon_send(actor, actors::drain_atom::value);
    for (const caf::actor& actor : schedulers_)
      caf::anon_send(actor, actors::drain_atom::value);
    manager_ = nullptr;
    schedulers_.clear();
    journal_ = {};
    system_->await_all_actors_done();
    system_.reset();
  }
  growth_.reset();
  member_.reset();
  if (leave == Leave::nothing && agents_) agents_->end_keeper();
  links_.close();
  if (log_) {
    if (auto closed = log_->close(); !closed)
      spdlog::error("log: {}", closed.error().text);
    log_.reset();
  }
  if (!server_) return;
  if (leave == Leave::nothing) {
    server_->stop();
  } else {
    server_->release();
  }
  server_.reset();
}

Status CellDaemon::open_ingress_now() {
  ingress_.reset(new Ingress{
      *links_.requests, *links_.answers, *quarantine_, *subjects_,
      server_->credentials(bus::Role::daemon).principal, manager_,
      journal_.reader, log_reads_, options_.config.manager.mailbox_messages_max,
      [this](const bus::Message& message) {
        stats_.take(message, std::chrono::steady_clock::now());
      },
      member_ ? [this] { return member_->leads(); } : std::function<bool()>()});
  return open_ingress(*ingress_);
}

Status CellDaemon::begin() {
  Status status = open_log();
  if (!status) return status;
  auto state = read_log();
  status = state ? open_bus() : tl::unexpected(state.error());
  if (status) status = start_core(std::move(*state));
  if (status && may_grow())
    growth_ =
        std::make_unique<Growth>([this] { return become_one_of_several(); });
  if (status) {
    open_system();
    open_agents();
    if (!of_several()) {
      spawn_actors({nullptr, nullptr, newest_snapshot_});
      status = open_ingress_now();
      if (status) status = agents_->spawn_simulated(*system_);
    }
  }
  if (status) status = agents_->spawn_real(*system_);
  if (status) status = serve_metrics();
  if (status && of_several()) status = stand_by();
  if (status) {
    if (!of_several())
      actors::introduce(manager_, {journal_.committer, schedulers_});
    return {};
  }
  // A server that this start began serves nobody; one that was there may
  // have clients of a daemon to come.
  if (server_ && !server_->adopted()) server_->stop();
  finish(Leave::tasks);
  return status;
}

// One of several managers ends alone: who leads hands over first, and the cell
// learns of the ends of this host's tasks from its agent, or from its silence.
void CellDaemon::stop_tasks() {
  if (!of_several()) return tell_manager(actors::drain_atom::value);
  member_->leave([this] {
    (void)links_.answers->flush(leaving_flush);
    options_.on_stopped();
  });
}

void CellDaemon::kill_tasks() {
  if (agents_ && agents_->kill_keeper())
    spdlog::warn("the keeper was killed with all that it ran");
}

}  // namespace

Expected<std::unique_ptr<Daemon>> start_cell(DaemonOptions options) {
  auto daemon = std::make_unique<CellDaemon>(std::move(options));
  if (auto begun = daemon->begin(); !begun)
    return tl::unexpected(begun.error());
  return daemon;
}

}  // namespace reeve::tools

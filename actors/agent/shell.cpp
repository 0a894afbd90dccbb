#include "actors/agent/shell.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "actors/agent/cdi_file.hpp"
#include "actors/agent/gpu_records.hpp"
#include "actors/agent/gpu_stats.hpp"
#include "actors/agent/gpu_use.hpp"
#include "actors/agent/gpu_worker.hpp"
#include "actors/agent/inventory.hpp"
#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper_link.hpp"
#include "actors/agent/output_service.hpp"
#include "actors/system/gate.hpp"
#include "actors/system/traced.hpp"
#include "bus/connection.hpp"
#include "bus/verified.hpp"
#include "cluster/check.hpp"
#include "cluster/identities/identities.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
namespace {

struct OrderArrived {
  bus::Message message;
};
struct ReplyArrived {
  bus::Message message;
};
struct OutputAsked {
  bus::Message message;
  bool ended = false;
};
struct KeeperSaid {
  std::shared_ptr<const std::vector<KeeperEvent>> events;
};
struct GpusSampled {
  std::shared_ptr<const GpuReport> report;
};
struct GpuJobEnded {
  std::shared_ptr<const GpuJobDone> done;
};
struct Tick {
  std::uint64_t due = 0;
};
struct Wake {};

}  // namespace
}  // namespace reeve::agent

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::OrderArrived)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::ReplyArrived)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::OutputAsked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::KeeperSaid)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::GpusSampled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::GpuJobEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::Tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::agent::Wake)

namespace reeve::agent {
namespace {

Time wall_clock() {
  return Time{static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::system_clock::now().time_since_epoch())
          .count())};
}

std::uint64_t random_bits() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

// Keeps the file for container engines as well.
GpuWatchOptions watch_options(const ShellOptions& shell) {
  GpuWatchOptions options = shell.gpu_watch;
  options.tell_first = shell.node.gpus_awaited;
  if (!shell.mps_directory.empty())
    options.is_server = mps_servers(shell.mps_directory);
  if (shell.cdi_directory.empty()) return options;
  CdiFile file;
  file.directory = shell.cdi_directory;
  options.on_inventory = [file,
                          agent = shell.agent](const gpu::Inventory& found) {
    if (const Status kept = keep_cdi_file(file, found); !kept)
      spdlog::warn("agent {}: no CDI file for container engines: {}", agent,
                   kept.error().text);
  };
  return options;
}

// Whether an answer may go there: the request names it, and anyone may ask.
bool is_inbox(std::string_view reply) {
  return reply.starts_with("_INBOX.") && bus::valid_subject(reply);
}

// Where the node remembers its GPUs.
std::string records_of(const ShellOptions& options) {
  return options.keeper.directory + "/gpus";
}

Options core_options(const ShellOptions& shell) {
  Options options;
  options.agent = shell.agent;
  options.simulated = shell.simulated;
  options.node = shell.node;
  options.run = random_bits();
  options.seed = random_bits();
  options.output_bytes_max = shell.output_bytes_max;
  options.test_new = shell.test_new_gpus;
  options.program = shell.program;
  options.test_quarantined = shell.test_quarantined_gpus;
  options.gpu_jobs = !shell.simulated;
  if (options.gpu_jobs) options.owners = GpuRecords(records_of(shell)).owners();
  return options;
}

// The way to the actor for handlers that may outlive it: closed when it ends.
class Door {
 public:
  void open(caf::actor to) {
    const std::lock_guard lock(mutex_);
    to_ = std::move(to);
  }
  void close() { open(nullptr); }
  template <class Message>
  void pass(Message message) {
    const std::lock_guard lock(mutex_);
    if (to_) caf::anon_send(to_, std::move(message));
  }

  actors::Gate orders{orders_waiting_max};
  // Twice the bound is silence: those told to try again wait too.
  actors::Gate reads{2 * output_reads_waiting_max};

 private:
  std::mutex mutex_;
  caf::actor to_;
};

// Reads files, so it has a thread of its own.
class OutputShell : public actors::TracedActor {
 public:
  OutputShell(caf::actor_config& config, bus::Connection* connection,
              std::string directory, std::shared_ptr<Door> door)
      : TracedActor(config),
        connection_(connection),
        directory_(std::move(directory)),
        door_(std::move(door)) {}

  caf::behavior make_behavior() override {
    return {[this](const OutputAsked& asked) {
      const auto* read =
          schema::verified<schema::OutputRead>(asked.message.data);
      (void)connection_->publish(asked.message.reply,
                                 read_chunk(directory_, *read, asked.ended));
      door_->reads.leave();
    }};
  }
  const char* name() const override { return "agent-output"; }

 private:
  bus::Connection* const connection_;
  const std::string directory_;
  const std::shared_ptr<Door> door_;
};

class AgentShell : public actors::TracedActor {
 public:
  AgentShell(caf::actor_config& config, ShellOptions options,
             std::shared_ptr<Door> door, std::string reports_to,
             std::string registrations_to)
      : TracedActor(config),
        options_(std::move(options)),
        door_(std::move(door)),
        principal_(cluster::principal_of(cluster::IdentityRole::agent,
                                         options_.agent)),
        reports_to_(std::move(reports_to)),
        registrations_to_(std::move(registrations_to)),
        core_(core_options(options_)) {}

  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "agent"; }

 private:
  void begin();
  void on_keeper(const KeeperEvent& event);
  void on_output_asked(const OutputAsked& asked);
  void on_gpus(const GpuReport& report);
  void on_tick(Time now);
  void perform_soon();
  void perform(Time now);
  void publish(const SendCommand& command);
  void change_server(std::uint64_t unheard_ns);
  void arm(Time now);
  bus::Connection& bus() { return *options_.connection; }

  const ShellOptions options_;
  const std::shared_ptr<Door> door_;
  const std::string principal_;
  const std::string reports_to_;
  const std::string registrations_to_;
  Core core_;
  std::unique_ptr<KeeperLink> link_;
  std::unique_ptr<GpuWatch> gpus_;
  std::unique_ptr<GpuWorker> worker_;
  caf::actor output_;
  Time armed_;
  Time told_;
  bool wakes_ = false;  // a Wake is in the mailbox
  int keeper_pid_ = 0;
  std::uint64_t connection_ = 0;  // to the keeper
  std::uint64_t reconnects_ = 0;
  std::uint64_t send_failures_ = 0;
};

caf::behavior AgentShell::make_behavior() {
  door_->open(caf::actor_cast<caf::actor>(this));
  begin();
  return {
      [this](const OrderArrived& order) {
        door_->orders.leave();
        core_.on_order(
            *schema::verified<schema::AgentOrder>(order.message.data),
            wall_clock());
        perform_soon();
      },
      [this](const ReplyArrived& reply) {
        const auto* table = schema::verified<schema::Reply>(reply.message.data);
        if (table) core_.on_reply(*table, wall_clock());
        perform_soon();
      },
      [this](const KeeperSaid& said) {
        for (const KeeperEvent& event : *said.events) on_keeper(event);
        perform_soon();
      },
      [this](const OutputAsked& asked) { on_output_asked(asked); },
      [this](const GpusSampled& sampled) { on_gpus(*sampled.report); },
      [this](const GpuJobEnded& job) {
        core_.on_gpu_job(*job.done);
        perform_soon();
      },
      [this](const Tick& tick) {
        if (tick.due == armed_.value) armed_ = Time{};
        on_tick(wall_clock());
        perform_soon();
      },
      [this](Wake) {
        wakes_ = false;
        perform(wall_clock());
      },
  };
}

void AgentShell::begin() {
  const Time now = wall_clock();
  core_.set_host_time(keeper::boot_now_ns());
  reconnects_ = bus().stats().reconnects;
  if (options_.simulated) {
    core_.on_runtime_ready({}, {}, {}, now);
    return perform(now);
  }
  const std::string output = options_.keeper.directory + "/output";
  output_ = actors::spawn_shell<OutputShell, caf::detached>(
      system(), "agent-output/" + options_.agent,
      std::source_location::current(), options_.connection, output, door_);
  KeeperLink::Handlers handlers;
  handlers.events = [door = door_](std::vector<KeeperEvent> events) {
    door->pass(KeeperSaid{
        std::make_shared<const std::vector<KeeperEvent>>(std::move(events))});
  };
  // Live output goes straight to the bus: best effort, nothing is decided.
  handlers.output = [bus = options_.live, subjects = options_.subjects,
                     agent = options_.agent](const keeper::Output& piece) {
    (void)bus->publish(
        subjects.output(agent, piece.key.session, piece.key.rank),
        live_chunk(piece));
  };
  // These leave with the events of the end, which they must precede and which
  // follow soon.
  handlers.ended = [bus = options_.live, subjects = options_.subjects,
                    agent = options_.agent, output](const TaskKey& key) {
    const std::string subject = subjects.output(agent, key.session, key.rank);
    for (const auto stream : {keeper::Stream::out, keeper::Stream::err})
      (void)bus->queue(subject, last_chunk(output, key, stream));
  };
  link_ = std::make_unique<KeeperLink>(options_.keeper, std::move(handlers));
  gpus_ = std::make_unique<GpuWatch>(
      watch_options(options_), [door = door_](GpuReport report) {
        door->pass(
            GpusSampled{std::make_shared<const GpuReport>(std::move(report))});
      });
  worker_ = std::make_unique<GpuWorker>(
      GpuWorkerOptions{.sources = options_.gpu_watch.sources,
                       .directory = records_of(options_),
                       .is_server = mps_servers(options_.mps_directory),
                       .models = options_.gpu_models},
      [door = door_](GpuJobDone result) {
        door->pass(
            GpuJobEnded{std::make_shared<const GpuJobDone>(std::move(result))});
      });
  perform(now);
}

void AgentShell::on_exit() {
  door_->close();
  link_.reset();
  gpus_.reset();
  worker_.reset();
  if (output_) send_exit(output_, caf::exit_reason::user_shutdown);
  output_ = nullptr;
}

void AgentShell::on_keeper(const KeeperEvent& event) {
  if (const auto* ready = std::get_if<KeeperReady>(&event)) {
    keeper_pid_ = ready->keeper_pid;
    connection_ = ready->connection;
    spdlog::info("agent {}: tasks that the keeper (pid {}) holds: {}",
                 options_.agent, ready->keeper_pid, ready->tasks.size());
    core_.on_runtime_ready(ready->tasks, ready->newest, ready->limits,
                           wall_clock());
  } else if (const auto* lost = std::get_if<KeeperLost>(&event)) {
    keeper_pid_ = 0;
    spdlog::error("agent {}: no keeper: {}; trying again each second",
                  options_.agent, lost->error.text);
    core_.on_runtime_lost();
  } else if (const auto* started = std::get_if<keeper::Started>(&event)) {
    core_.on_started(started->key, started->pid, started->started_at,
                     started->note);
  } else if (const auto* failed = std::get_if<keeper::StartFailed>(&event)) {
    core_.on_start_failed(failed->key, failed->error);
  } else if (const auto* exited = std::get_if<keeper::Exited>(&event)) {
    core_.on_exited(exited->key, exited->facts);
  } else if (const auto* refused = std::get_if<keeper::Refused>(&event)) {
    core_.on_refused(refused->key, refused->code, refused->text);
  }
}

void AgentShell::on_output_asked(const OutputAsked& asked) {
  const auto* read = schema::verified<schema::OutputRead>(asked.message.data);
  std::string why;
  if (!output_)
    why = "agent " + options_.agent + " runs simulated tasks: no output";
  if (too_many_reads(door_->reads.waiting()))
    why = fmt::format("{} requests for output wait already: try again",
                      output_reads_waiting_max);
  if (why.empty()) {
    caf::anon_send(output_,
                   OutputAsked{asked.message,
                               core_.ended({read->session(), read->attempt(),
                                            read->rank()})});
    return;
  }
  door_->reads.leave();
  (void)bus().publish(asked.message.reply, refused_chunk(*read, why));
}

void AgentShell::on_gpus(const GpuReport& report) {
  for (const gpu::Change& change : report.changes)
    spdlog::warn("agent {}: {}", options_.agent, change.text);
  if (report.inventory) {
    Node node = core_.node();
    set_gpus(*report.inventory, options_.gpu_probe, options_.mps_directory,
             node);
    core_.on_node(std::move(node));
  }
  if (!report.gpus.empty())
    (void)bus().publish(
        options_.subjects.stat(options_.agent),
        node_stats(options_.agent, core_.node(), report.gpus, wall_clock()));
  std::vector<GpuFinding> findings;
  std::vector<GpuUse> uses;
  for (const WatchedGpu& gpu : report.gpus) {
    for (const gpu::Finding& finding : gpu.findings)
      findings.push_back({gpu.now.uuid, finding});
    uses.push_back({gpu.now.uuid, gpu.now.processes, gpu.unheld, gpu.servers});
  }
  core_.on_gpu_health(findings);
  // The processes are asked for then alone.
  if (report.thorough) core_.on_gpu_use(uses, parent_of);
  perform_soon();
}

void AgentShell::on_tick(Time now) {
  const auto reconnects = bus().stats().reconnects;
  if (reconnects != reconnects_) {
    reconnects_ = reconnects;
    core_.on_reconnected(now);
  }
  double load = 0;
  if (::getloadavg(&load, 1) == 1)
    core_.set_load_milli(static_cast<std::uint32_t>(load * 1000));
  core_.set_host_time(keeper::boot_now_ns());
  core_.on_tick(now);
  if (now.value < told_.value + second_ns || !options_.on_status) return;
  told_ = now;
  options_.on_status({core_.registered(), keeper_pid_, core_.tasks(),
                      core_.facts_waiting(), core_.counters()});
}

// Behind all that waits in the mailbox: what it leads to is one report.
void AgentShell::perform_soon() {
  if (!std::exchange(wakes_, true)) send(this, Wake{});
}

void AgentShell::perform(Time now) {
  Effects effects = core_.take_effects(now);
  if (link_)
    link_->perform(connection_, std::move(effects.launches),
                   std::move(effects.stops), std::move(effects.signals),
                   std::move(effects.forgets), effects.heard);
  for (GpuJob& job : effects.gpu_jobs) worker_->begin(std::move(job));
  for (const SendCommand& command : effects.commands) publish(command);
  if (!effects.heartbeat.empty())
    (void)bus().publish(options_.subjects.stat(options_.agent),
                        effects.heartbeat);
  if (!effects.managers.empty() && options_.on_managers)
    options_.on_managers(effects.managers);
  for (const std::string& message : effects.messages)
    spdlog::warn("agent {}: {}", options_.agent, message);
  if (effects.unheard_ns != 0) change_server(effects.unheard_ns);
  arm(now);
}

void AgentShell::change_server(std::uint64_t unheard_ns) {
  if (!bus().change_server()) return;
  if (options_.live != options_.connection)
    (void)options_.live->change_server();
  spdlog::warn(
      "agent {}: no manager was heard through this bus server for {} s: "
      "another one is tried",
      options_.agent, unheard_ns / second_ns);
}

// What does not leave now is sent again by the core.
void AgentShell::publish(const SendCommand& command) {
  const bool report = std::string_view(command.kind) == "report_facts";
  const auto sent = bus().publish_request(
      options_.subjects.command(principal_, command.kind),
      report ? reports_to_ : registrations_to_, command.bytes);
  if (!sent && send_failures_++ % 64 == 0)
    spdlog::warn("agent {}: {} is not sent: {}", options_.agent, command.kind,
                 sent.error().text);
}

void AgentShell::arm(Time now) {
  const std::uint64_t wait_ns = core_.wait_ns();
  const Time due{now.value + wait_ns};
  if (armed_.value != 0 && armed_ <= due) return;
  armed_ = due;
  delayed_send(this, std::chrono::nanoseconds(wait_ns), Tick{due.value});
}

// What comes from the bus, through the door.
bus::Connection::Handler replies_to(const std::shared_ptr<Door>& door,
                                    const std::string& principal) {
  return [door, principal](const bus::Message& message) {
    if (message.delivery == bus::Delivery::data) {
      door->pass(ReplyArrived{message.hold()});
    } else if (message.delivery == bus::Delivery::forbidden) {
      spdlog::error("these credentials may not act for {}", principal);
    }
  };
}

Status listen(const ShellOptions& options, const std::shared_ptr<Door>& door) {
  auto& bus = *options.connection;
  auto orders = bus::subscribe_verified<schema::AgentOrder>(
      bus, options.subjects.agent(options.agent, "order"), *options.quarantine,
      [door](const schema::AgentOrder&, const bus::Message& message) {
        if (door->orders.enter()) door->pass(OrderArrived{message.hold()});
      });
  if (!orders) return orders;
  return bus::subscribe_verified<schema::OutputRead>(
      bus, options.subjects.agent(options.agent, "output"), *options.quarantine,
      [door](const schema::OutputRead&, const bus::Message& message) {
        if (!is_inbox(message.reply)) return;
        if (door->reads.enter()) door->pass(OutputAsked{message.hold()});
      });
}

}  // namespace

Expected<caf::actor> spawn_agent(caf::actor_system& system,
                                 ShellOptions options) {
  REEVE_CHECK(options.connection && options.live && options.quarantine,
              "an agent needs a bus and a quarantine");
  auto door = std::make_shared<Door>();
  const std::string principal =
      cluster::principal_of(cluster::IdentityRole::agent, options.agent);
  const auto open = [&](const char* kind) {
    return options.connection->open_reply(
        options.subjects.command(principal, kind), replies_to(door, principal));
  };
  auto reports = open("report_facts");
  if (!reports) return tl::unexpected(reports.error());
  auto registrations = open("register_nodes");
  if (!registrations) return tl::unexpected(registrations.error());
  if (auto good = listen(options, door); !good)
    return tl::unexpected(good.error());
  const std::string name = "agent/" + options.agent;
  return actors::spawn_shell<AgentShell>(
      system, name, std::source_location::current(), std::move(options), door,
      *reports, *registrations);
}

}  // namespace reeve::agent

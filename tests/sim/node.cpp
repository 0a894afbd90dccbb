#include "tests/sim/node.hpp"

#include <utility>

#include "actors/agent/core_launch.hpp"
#include "schema/wire.hpp"

namespace reeve::sim {
namespace {

constexpr std::uint64_t mailbox_ns_max = 200'000;
constexpr std::uint64_t socket_ns_max = ms_ns;
constexpr std::uint64_t keeper_retry_ns = second_ns;

// Channels of an agent's process, each in order.
enum Channel { from_bus, to_keeper, from_keeper, wake };

agent::Node hardware_of(const std::string& name, std::uint32_t number,
                        std::uint32_t devices) {
  agent::Node node;
  node.name = name;
  node.labels = labels_of_node(number);
  node.cpu_milli = 8'000;
  node.memory_bytes = std::uint64_t{32} << 30;
  for (std::uint32_t i = 0; i < devices; ++i)
    node.devices.push_back({fmt::format("GPU-{}-{}", name, i),
                            "H100",
                            std::uint64_t{80} << 30,
                            0,
                            {}});
  return node;
}

}  // namespace

Labels labels_of_node(std::uint32_t number) {
  Labels labels = {{"rack", fmt::format("r{}", number % 2)}};
  if (number / 2 % 2 == 0) labels.emplace_back("disk", "nvme");
  return labels;
}

// "launch 7.1.0 8.1.0, epoch 3, seq 120"
std::string text_of(const schema::AgentOrder& order) {
  std::string text;
  const auto add = [&](const char* what, const auto* tasks) {
    if (!tasks) return;
    text += what;
    for (const auto* task : *tasks)
      text += fmt::format(" {}.{}.{}", task->session(), task->attempt(),
                          task->rank());
  };
  if (const auto* launch = order.body_as_LaunchOrder())
    add("launch", launch->tasks());
  if (const auto* stop = order.body_as_StopOrder()) add("stop", stop->tasks());
  if (const auto* signal = order.body_as_SignalOrder())
    add("signal", signal->tasks());
  if (const auto* list = order.body_as_ReconcileOrder()) {
    add("list", list->tasks());
    add(" unstarted", list->unstarted());
  }
  return fmt::format("{}, epoch {}, seq {}", text, order.epoch(), order.seq());
}

// What actors/agent/shell.cpp and keeper_link.cpp do around the core.
class AgentProcess : public Process {
 public:
  AgentProcess(World& world, Node& node)
      : Process(world.loop, world.random),
        world_(world),
        node_(node),
        core_({node.name_, node.simulated(), node.hardware_,
               world.random.next(), world.random.next(), 0}) {}

  void begin() {
    core_.set_host_time(world_.loop.now().value);
    if (node_.simulated()) {
      core_.on_runtime_ready({}, {}, {}, now());
      return perform();
    }
    connect_soon(world_.random.spread(ms_ns, second_ns));
    perform();
  }

  void receive(const Packet& packet) {
    send(from_bus, mailbox_ns_max, [this, packet] {
      if (packet.kind == Packet::Kind::order) hear(*packet.bytes);
      if (packet.kind == Packet::Kind::reply)
        core_.on_reply(*schema::verified<schema::Reply>(*packet.bytes), now());
      perform_soon();
    });
  }

  void break_link() {
    if (!connected_) return;
    connected_ = false;
    ++link_;
    node_.keeper_.listen(nullptr);
    send(from_keeper, socket_ns_max, [this] { core_.on_runtime_lost(); });
    connect_soon(keeper_retry_ns);
  }

  void reconnect() { reconnected_ = true; }
  const agent::Core& core() const { return core_; }
  bool connected() const { return connected_ || node_.simulated(); }

 private:
  Time now() const { return node_.clock_.now(); }

  void hear(const std::vector<std::byte>& bytes) {
    const auto& order = *schema::verified<schema::AgentOrder>(bytes);
    world_.loop.note("{}: hears {}", node_.name_, text_of(order));
    grant(order);
    const agent::Counters before = core_.counters();
    core_.on_order(order, now());
    const agent::Counters& after = core_.counters();
    world_.probes.hit(Probe::order_stale,
                      after.orders_stale - before.orders_stale);
    world_.probes.hit(Probe::order_early,
                      after.orders_early - before.orders_early);
    world_.probes.hit(Probe::list_stale,
                      after.lists_stale - before.lists_stale);
    world_.probes.hit(Probe::launch_known,
                      after.launches_known - before.launches_known);
    world_.probes.hit(Probe::launch_late,
                      after.launches_late - before.launches_late);
    world_.probes.hit(Probe::launch_void,
                      after.launches_void - before.launches_void);
    world_.probes.hit(Probe::surplus_stopped,
                      after.surplus_stopped - before.surplus_stopped);
    const bool obeyed = after.orders_early == before.orders_early &&
                        after.orders_stale == before.orders_stale;
    SIM_CHECK(!obeyed || order.epoch() >= obeyed_,
              "{} obeys epoch {} after epoch {}", node_.name_, order.epoch(),
              obeyed_);
    if (obeyed) obeyed_ = order.epoch();
  }

  // The keeper is told of devices by name alone.
  void grant(const schema::AgentOrder& order) {
    const auto* launch = order.body_as_LaunchOrder();
    if (!launch) return;
    for (const auto* task : *launch->tasks()) {
      std::vector<Grant> grants;
      if (task->devices())
        for (const auto* device : *task->devices())
          grants.push_back({device->index(), device->milli()});
      world_.oracle.task_granted(
          {task->session(), task->attempt(), task->rank()}, std::move(grants));
    }
  }

  void connect_soon(std::uint64_t delay_ns) {
    later(delay_ns, [this, link = link_] {
      if (link == link_) connect();
    });
  }

  void connect() {
    connected_ = true;
    Keeper& keeper = node_.keeper_;
    keeper.listen([this](const keeper::Message& message) {
      send(from_keeper, socket_ns_max, [this, link = link_, message] {
        if (link == link_) on_keeper(message);
      });
    });
    send(from_keeper, socket_ns_max,
         [this, tasks = keeper.list(), newest = keeper.newest(), link = link_] {
           heard_link_ = link;
           for (const auto& status : tasks)
             if (status.state == keeper::TaskState::running)
               world_.probes.hit(Probe::task_adopted);
           core_.on_runtime_ready(tasks, newest, {}, now());
           perform_soon();
         });
  }

  void on_keeper(const keeper::Message& message) {
    if (const auto* started = std::get_if<keeper::Started>(&message))
      core_.on_started(started->key, started->pid, started->started_at, {});
    else if (const auto* failed = std::get_if<keeper::StartFailed>(&message))
      core_.on_start_failed(failed->key, failed->error);
    else if (const auto* exited = std::get_if<keeper::Exited>(&message))
      core_.on_exited(exited->key, exited->facts);
    else if (const auto* refused = std::get_if<keeper::Refused>(&message))
      core_.on_refused(refused->key, refused->code, refused->text);
    perform_soon();
  }

  void perform_soon() {
    if (std::exchange(wakes_, true)) return;
    send(wake, mailbox_ns_max, [this] {
      wakes_ = false;
      perform();
    });
  }

  void perform() {
    agent::Effects effects = core_.take_effects(now());
    core_.check_invariants();
    order_keeper(effects);
    for (const agent::SendCommand& command : effects.commands)
      publish(Packet::Kind::command, command.bytes);
    if (!effects.heartbeat.empty())
      publish(Packet::Kind::heartbeat, effects.heartbeat);
    arm();
  }

  void order_keeper(const agent::Effects& effects) {
    // As KeeperLink: what is for an earlier connection is dropped.
    if (!connected_ || heard_link_ != link_) return;
    const auto tell = [&](Loop::Action action) {
      send(to_keeper, socket_ns_max,
           [this, link = link_, action = std::move(action)] {
             if (link == link_) action();
           });
    };
    Keeper& keeper = node_.keeper_;
    if (effects.heard != 0)
      tell([&keeper, at = Time{effects.heard}] { keeper.heard(at); });
    for (const auto& spec : effects.launches)
      tell([&keeper, spec] { keeper.launch(spec); });
    for (const auto& one : effects.stops)
      tell([&keeper, one] { keeper.stop(one.key, one.grace_ms); });
    for (const auto& one : effects.signals)
      tell([&keeper, one] { keeper.signal(one.key, one.signo); });
    for (const auto& key : effects.forgets)
      tell([&keeper, key] { keeper.forget(key); });
  }

  void publish(Packet::Kind kind, std::vector<std::byte> bytes) {
    world_.network.send(
        node_.end_, world_.daemon,
        {kind, node_.end_, "agent-" + node_.name_,
         fmt::format("{}", static_cast<std::uint32_t>(node_.end_)),
         std::make_shared<const std::vector<std::byte>>(std::move(bytes))});
  }

  void arm() {
    const Time due{now().value + core_.wait_ns()};
    if (armed_.value != 0 && armed_ <= due) return;
    armed_ = due;
    later(core_.wait_ns(), [this, due] {
      if (due == armed_) armed_ = Time{};
      core_.set_host_time(world_.loop.now().value);
      if (std::exchange(reconnected_, false)) core_.on_reconnected(now());
      core_.on_tick(now());
      perform_soon();
    });
  }

  World& world_;
  Node& node_;
  agent::Core core_;
  bool connected_ = false;
  std::uint64_t link_ = 1;
  std::uint64_t heard_link_ = 0;  // the newest that the core knows of
  bool wakes_ = false;
  bool reconnected_ = false;
  Time armed_;
  std::uint64_t obeyed_ = 0;
};

Node::Node(World& world, std::string name, std::uint32_t number, Kind kind)
    : world_(world),
      name_(std::move(name)),
      kind_(kind),
      clock_(world.loop),
      end_(world.network.attach(name_,
                                [this](const Packet& packet) {
                                  if (agent_) agent_->receive(packet);
                                })),
      hardware_(hardware_of(name_, number, world.plan.devices_per_node)),
      keeper_(world, name_, clock_) {
  world_.agents[name_] = end_;
}

Node::~Node() = default;

void Node::start_agent() {
  if (agent_ || world_.loop.now() < dead_until_) return;
  world_.loop.note("{}: the agent begins", name_);
  agent_ = std::make_shared<AgentProcess>(world_, *this);
  agent_->begin();
}

void Node::restart_agent_soon() {
  world_.loop.after(world_.random.spread(50 * ms_ns, minute_ns),
                    [this] { start_agent(); });
}

void Node::crash_agent() {
  if (!agent_) return;
  world_.probes.hit(Probe::agent_crashed);
  world_.loop.note("{}: the agent dies", name_);
  keeper_.listen(nullptr);
  agent_->die();
  agent_.reset();
  restart_agent_soon();
}

void Node::stay_dead(Time until) {
  dead_until_ = until;
  crash_agent();
  world_.loop.at(until, [this] { start_agent(); });
}

void Node::crash_keeper() {
  if (simulated()) return;
  world_.probes.hit(Probe::keeper_crashed);
  world_.loop.note("{}: the keeper dies", name_);
  if (agent_) agent_->break_link();
  keeper_.crash();
}

void Node::lose_power() {
  world_.probes.hit(Probe::node_lost_power);
  world_.loop.note("{}: power is lost", name_);
  if (agent_) {
    agent_->die();
    agent_.reset();
    restart_agent_soon();
  }
  if (!simulated()) keeper_.lose_power();
}

void Node::break_link() {
  if (!agent_ || simulated()) return;
  world_.probes.hit(Probe::link_broken);
  world_.loop.note("{}: the link to the keeper breaks", name_);
  agent_->break_link();
}

void Node::stall_agent(std::uint64_t duration_ns) {
  if (!agent_) return;
  world_.probes.hit(Probe::process_stalled);
  world_.loop.note("{}: the agent stands still for {} ms", name_,
                   duration_ns / ms_ns);
  agent_->stall(Time{world_.loop.now().value + duration_ns});
}

void Node::reconnected() {
  if (agent_) agent_->reconnect();
}

std::string Node::disorder() const {
  if (!agent_) return name_ + " has no agent";
  if (!agent_->connected()) return name_ + " has no link to its keeper";
  if (!agent_->core().registered()) return name_ + " is not registered";
  return {};
}

std::string Node::unrest() const {
  if (auto why = disorder(); !why.empty()) return why;
  const agent::Core& core = agent_->core();
  if (core.tasks() != 0)
    return fmt::format("{} remembers {} tasks, {} facts wait", name_,
                       core.tasks(), core.facts_waiting());
  if (!keeper_.idle())
    return fmt::format("the keeper of {} remembers {}", name_,
                       keeper_.first_task());
  return {};
}

}  // namespace reeve::sim

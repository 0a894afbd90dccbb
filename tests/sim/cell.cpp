#include "tests/sim/cell.hpp"

#include <utility>

namespace reeve::sim {
namespace {

constexpr std::uint64_t look_every_ns = second_ns;
constexpr std::uint64_t tend_every_ns = minute_ns;
constexpr std::uint64_t dead_tick_ns = 5 * minute_ns;
// Before sessions are submitted that have to succeed.
constexpr std::uint64_t settle_ns = 10 * minute_ns;

}  // namespace

Cell::Cell(std::uint64_t seed)
    : world_(seed), daemon_(world_), watcher_(world_) {
  for (std::uint32_t i = 0; i < world_.plan.nodes; ++i)
    nodes_.push_back(std::make_unique<Node>(world_, fmt::format("node-{}", i),
                                            i, Node::Kind::real));
  nodes_.push_back(
      std::make_unique<Node>(world_, "sim", 0, Node::Kind::simulated));
  for (std::uint32_t i = 0; i < world_.plan.clients; ++i)
    clients_.push_back(std::make_unique<Client>(world_, i));
}

void Cell::run() {
  daemon_.start();
  for (auto& node : nodes_) node->start_agent();
  for (auto& client : clients_) client->begin();
  watcher_.begin();
  schedule_faults();
  run_until(Time{world_.plan.faulty_ns});
  if (world_.plan.dead_ns != 0) live_without_agents();
  heal();
  run_until(Time{world_.loop.now().value + settle_ns});
  check_order();
  clients_.front()->submit_proofs();
  come_to_rest();
  clients_.front()->check_proofs();
  daemon_.check_log();
}

void Cell::run_until(Time end) {
  while (world_.loop.now() < end) world_.loop.step();
}

// ---- faults

void Cell::every(std::uint64_t mean_ns, std::function<void()> fault) {
  if (mean_ns == 0) return;
  world_.loop.after(world_.random.between(1, 2 * mean_ns),
                    [this, mean_ns, fault = std::move(fault)]() mutable {
                      if (!world_.faults) return;
                      fault();
                      every(mean_ns, std::move(fault));
                    });
}

void Cell::schedule_faults() {
  const Plan& plan = world_.plan;
  every(plan.partition_every_ns, [this] { partition(); });
  every(plan.daemon_crash_every_ns, [this] { daemon_.crash(); });
  every(plan.daemon_power_every_ns, [this] { daemon_.lose_power(); });
  every(plan.deposed_every_ns, [this] { daemon_.depose(); });
  every(plan.agent_crash_every_ns, [this] { any_node().crash_agent(); });
  every(plan.keeper_crash_every_ns, [this] { any_node().crash_keeper(); });
  every(plan.node_power_every_ns, [this] { any_node().lose_power(); });
  every(plan.link_break_every_ns, [this] { any_node().break_link(); });
  every(plan.stall_every_ns, [this] { stall(); });
  every(plan.clock_jump_every_ns, [this] { jump_clock(); });
  every(plan.disk_full_every_ns, [this] { fill_disk(); });
}

void Cell::partition() {
  Node& node = any_node();
  const Time until{world_.loop.now().value +
                   world_.random.spread(ms_ns, 5 * minute_ns)};
  const std::uint64_t direction = world_.random.below(3);
  world_.probes.hit(direction == 0 ? Probe::partition_both
                                   : Probe::partition_one);
  world_.loop.note("{}: cut off {} for {} ms", node.name(),
                   direction == 0   ? "both ways"
                   : direction == 1 ? "from the daemon"
                                    : "towards the daemon",
                   (until.value - world_.loop.now().value) / ms_ns);
  const bool breaks = world_.random.one_in(2);
  const auto sent =
      breaks ? Network::Meanwhile::lost : Network::Meanwhile::held;
  if (direction != 1)
    world_.network.cut(node.end(), world_.daemon, until, sent);
  if (direction != 2)
    world_.network.cut(world_.daemon, node.end(), until, sent);
  if (breaks) world_.loop.at(until, [&node] { node.reconnected(); });
}

void Cell::jump_clock() {
  const std::uint64_t at = world_.random.below(nodes_.size() + 1);
  HostClock& clock = at == 0
                         ? daemon_.clock()
                         : nodes_[static_cast<std::size_t>(at - 1)]->clock();
  auto by_ns =
      static_cast<std::int64_t>(world_.random.spread(10 * ms_ns, 2 * hour_ns));
  const bool back = world_.random.one_in(2);
  world_.probes.hit(back ? Probe::clock_jumped_back
                         : Probe::clock_jumped_forward);
  world_.loop.note("{}: the clock jumps {} by {} ms",
                   at == 0 ? std::string("daemon")
                           : nodes_[static_cast<std::size_t>(at - 1)]->name(),
                   back ? "back" : "forward", by_ns / 1'000'000);
  clock.jump(back ? -by_ns : by_ns);
}

void Cell::stall() {
  const std::uint64_t duration_ns =
      world_.random.spread(100 * ms_ns, 2 * minute_ns);
  if (world_.random.one_in(2)) return daemon_.stall(duration_ns);
  any_node().stall_agent(duration_ns);
}

void Cell::fill_disk() {
  daemon_.fill_disk(world_.random.one_in(2) ? Disk::Room::low
                                            : Disk::Room::none);
  world_.loop.after(world_.random.spread(100 * ms_ns, 2 * minute_ns),
                    [this] { daemon_.fill_disk(Disk::Room::enough); });
}

// For longer than any deadline; whatever waits has to come to an end.
void Cell::live_without_agents() {
  world_.loop.note("no agent lives for {} days", world_.plan.dead_ns / day_ns);
  world_.faults = false;
  world_.network.heal();
  daemon_.fill_disk(Disk::Room::enough);
  world_.tick_ns = dead_tick_ns;
  const Time end{world_.loop.now().value + world_.plan.dead_ns};
  for (auto& node : nodes_) node->stay_dead(end);
  run_until(end);
  world_.tick_ns = world_.plan.tick_ns;
}

// ---- the healthy phase

void Cell::heal() {
  world_.loop.note("nothing is wrong any more");
  world_.faults = false;
  world_.network.heal();
  daemon_.fill_disk(Disk::Room::enough);
  tend();
}

// What an admin does from time to time.
void Cell::tend() {
  clients_.front()->resume_nodes();
  clients_.front()->release_devices();
  clients_.front()->remove_quotas();
  clients_.front()->remove_reservations();
  clients_.front()->reset_policy();
  clients_.front()->declare_simulated_nodes();
  world_.loop.after(tend_every_ns, [this] { tend(); });
}

// Every part of the cell is back, however much is left to do.
void Cell::check_order() {
  std::string why = daemon_.disorder();
  for (const auto& node : nodes_)
    if (why.empty()) why = node->disorder();
  SIM_CHECK(why.empty(), "the cell does not recover: {}", why);
}

void Cell::come_to_rest() {
  const Time begun = world_.loop.now();
  while (true) {
    run_until(Time{world_.loop.now().value + look_every_ns});
    const std::string why = unrest();
    if (why.empty()) return;
    SIM_CHECK(world_.loop.now().value - begun.value < healthy_ns_max,
              "the cell does not come to rest: {}", why);
  }
}

std::string Cell::unrest() const {
  std::string why = daemon_.unrest();
  for (const auto& node : nodes_)
    if (why.empty()) why = node->unrest();
  for (const auto& client : clients_)
    if (why.empty()) why = client->unrest();
  if (why.empty()) why = watcher_.unrest();
  return why;
}

}  // namespace reeve::sim

#include "tests/sim/plan.hpp"

#include <algorithm>

namespace reeve::sim {
namespace {

constexpr std::uint64_t commands_max = 600;

// Never, in about half of the seeds.
std::uint64_t every(Random& random, std::uint64_t least, std::uint64_t most) {
  return random.one_in(2) ? 0 : random.spread(least, most);
}

std::uint32_t ppm(Random& random, std::uint32_t most) {
  if (random.one_in(2)) return 0;
  return static_cast<std::uint32_t>(random.spread(most / 1000 + 1, most));
}

void draw_size(Random& random, Plan& plan) {
  plan.nodes = static_cast<std::uint32_t>(random.between(1, 4));
  plan.devices_per_node = static_cast<std::uint32_t>(random.below(4));
  plan.simulated_nodes = static_cast<std::uint32_t>(random.below(3));
  plan.clients = static_cast<std::uint32_t>(random.between(1, 3));
  plan.faulty_ns = random.spread(5 * minute_ns, 8 * hour_ns);
  // Longer than any deadline by default.
  if (random.one_in(8)) plan.dead_ns = random.between(20, 70) * day_ns;
  // What is done after each step grows with the sessions there were.
  plan.command_every_ns =
      std::max(random.spread(200 * ms_ns, minute_ns),
               plan.faulty_ns * plan.clients / commands_max);
  plan.task_ns_max = random.spread(second_ns, 20 * minute_ns);
  plan.tick_ns = random.one_in(4) ? random.spread(200 * ms_ns, 20 * second_ns)
                                  : 200 * ms_ns;
  plan.snapshot_every_events = random.spread(16, 2'000);
  plan.quotas = random.one_in(2);
  plan.waiting_max = random.one_in(4) ? random.between(1, 20) : 100'000;
}

void draw_bus(Random& random, Plan& plan) {
  plan.latency_ns_max = random.spread(ms_ns / 4, 50 * ms_ns);
  plan.delay_ns_max = random.spread(50 * ms_ns, 30 * second_ns);
  plan.late_ppm = ppm(random, 200'000);
  plan.lost_ppm = ppm(random, 200'000);
  plan.doubled_ppm = ppm(random, 200'000);
  plan.partition_every_ns = every(random, 5 * second_ns, hour_ns);
}

void draw_processes(Random& random, Plan& plan) {
  plan.daemon_crash_every_ns = every(random, 5 * second_ns, hour_ns);
  plan.daemon_power_every_ns = every(random, 10 * second_ns, hour_ns);
  plan.deposed_every_ns = every(random, 10 * second_ns, hour_ns);
  plan.agent_crash_every_ns = every(random, 5 * second_ns, hour_ns);
  plan.keeper_crash_every_ns = every(random, 20 * second_ns, hour_ns);
  plan.node_power_every_ns = every(random, 20 * second_ns, hour_ns);
  plan.link_break_every_ns = every(random, 5 * second_ns, hour_ns);
  plan.stall_every_ns = every(random, 5 * second_ns, hour_ns);
  plan.clock_jump_every_ns = every(random, 20 * second_ns, hour_ns);
}

void draw_disk(Random& random, Plan& plan) {
  plan.sync_ns_max = random.spread(ms_ns / 2, 500 * ms_ns);
  plan.commit_cut_ppm = ppm(random, 50'000);
  plan.sync_fails_ppm = ppm(random, 20'000);
  plan.disk_full_every_ns = every(random, 20 * second_ns, hour_ns);
  plan.snapshot_damaged_ppm = ppm(random, 300'000);
}

void draw_tasks(Random& random, Plan& plan) {
  plan.start_fails_ppm = ppm(random, 200'000);
  plan.deaf_task_ppm = ppm(random, 300'000);
  plan.stuck_task_ppm = ppm(random, 50'000);
}

// The daemon lives all the time, and what runs does so for minutes.
void be_patient(Random& random, Plan& plan) {
  plan.daemon_crash_every_ns = plan.daemon_power_every_ns = 0;
  plan.deposed_every_ns = 0;
  plan.faulty_ns = random.between(2, 8) * hour_ns;
  plan.command_every_ns = plan.faulty_ns * plan.clients / commands_max;
  plan.task_ns_max = random.between(3, 20) * minute_ns;
}

void draw_wishes(Random& random, Plan& plan) {
  plan.arrays = random.one_in(2);
  plan.reservations = random.one_in(2);
  plan.policies = random.one_in(2);
  plan.wishes = random.one_in(2);
  plan.limits = random.one_in(2);
  plan.crowded = random.one_in(3);
  plan.promises = random.one_in(4);
  plan.patience = !plan.promises && random.one_in(8);
  if (plan.promises || plan.patience) {
    plan.policies = plan.promises;
    plan.limits = plan.crowded = true;
    plan.quotas = plan.reservations = false;
  }
  // What waits at the end takes hours, so not too many may.
  if (plan.crowded) {
    plan.task_ns_max = random.spread(10 * second_ns, 20 * minute_ns);
    plan.waiting_max =
        std::min<std::uint64_t>(plan.waiting_max, random.between(8, 30));
  }
  if (plan.patience) be_patient(random, plan);
  plan.quarantines = plan.devices_per_node > 0 && !plan.promises &&
                     !plan.patience && random.one_in(2);
}

}  // namespace

Plan draw_plan(Random& random) {
  Plan plan;
  draw_size(random, plan);
  draw_bus(random, plan);
  draw_processes(random, plan);
  draw_disk(random, plan);
  draw_tasks(random, plan);
  draw_wishes(random, plan);
  return plan;
}

}  // namespace reeve::sim

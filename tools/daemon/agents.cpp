#include "tools/daemon/agents.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "actors/agent/inventory.hpp"
#include "actors/agent/keeper/ending.hpp"
#include "tools/program.hpp"

namespace reeve::tools {

Agents::Agents(AgentsOptions options) : options_(std::move(options)) {}

keeper::ClientConfig Agents::keeper_config() const {
  const Config::Agent& settings = options_.config.agent;
  keeper::ClientConfig keeper;
  keeper.directory = settings.runtime_dir.empty()
                         ? (options_.data / "node").string()
                         : settings.runtime_dir;
  keeper.program = (options_.programs / "reeve-keeper").string();
  // Credentials and the log are nothing for tasks to see.
  keeper.hidden = {options_.data.string()};
  keeper.kept_output_bytes_max = settings.kept_output_bytes_max;
  return keeper;
}

Status Agents::spawn(caf::actor_system& system, agent::ShellOptions shell) {
  shell.connection = options_.links->answers.get();
  shell.live = options_.links->events.get();
  shell.quarantine = options_.quarantine;
  shell.subjects = options_.subjects;
  shell.program = this_program();
  auto spawned = agent::spawn_agent(system, std::move(shell));
  if (!spawned) return tl::unexpected(spawned.error());
  agents_.push_back(std::move(*spawned));
  return {};
}

Status Agents::spawn_simulated(caf::actor_system& system) {
  agent::ShellOptions simulated;
  simulated.agent = "sim";
  simulated.simulated = true;
  return spawn(system, std::move(simulated));
}

Status Agents::spawn_real(caf::actor_system& system) {
  const Config::Agent& settings = options_.config.agent;
  if (!settings.enabled) return {};
  agent::ShellOptions real;
  agent::HostOptions host{settings.name,      settings.group,
                          settings.cpu_milli, settings.memory_bytes,
                          settings.gpu_probe, settings.mps_directory};
  if (const std::string& file = settings.gpu_models; !file.empty()) {
    if (auto models = gpu::probe::Models::load(file))
      real.gpu_models = std::move(*models);
    else
      host.gpu_limits.push_back("GPUs are tested without agent.gpu_models: " +
                                models.error());
  }
  auto node = agent::read_host(host);
  if (!node) return tl::unexpected(node.error());
  real.node = std::move(*node);
  real.node.labels = settings.labels;
  real.agent = real.node.name;
  real.keeper = keeper_config();
  real.output_bytes_max = settings.output_bytes_max;
  real.gpu_probe = settings.gpu_probe;
  real.mps_directory = settings.mps_directory;
  real.cdi_directory = settings.cdi_directory.empty()
                           ? real.keeper.directory + "/cdi"
                           : settings.cdi_directory;
  real.test_new_gpus = settings.test_new_gpus;
  real.test_quarantined_gpus = settings.test_quarantined_gpus;
  real.on_status = options_.on_status;
  real.on_managers = options_.on_managers;
  return spawn(system, std::move(real));
}

void Agents::end() {
  for (const caf::actor& actor : agents_)
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  agents_.clear();
}

void Agents::end_keeper() {
  if (!options_.config.agent.enabled) return;
  const auto ended = keeper::end_keeper(keeper_config());
  if (!ended) spdlog::error("{}", ended.error().text);
  if (ended && ended->killed)
    spdlog::warn(
        "the keeper, pid {}, did not end by itself: it was killed "
        "with all that it ran",
        ended->pid);
}

bool Agents::kill_keeper() {
  return options_.config.agent.enabled &&
         keeper::kill_keeper(keeper_config().directory);
}

}  // namespace reeve::tools

// An agent's core with a test for its shell: what it lets out is gathered.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <string>
#include <utility>

#include "actors/agent/core.hpp"
#include "actors/agent/core_launch.hpp"
#include "actors/agent/test_orders.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {

using schema::EndReason;
using schema::FactKind;
using testing::Heard;
using testing::Orders;

constexpr Time noon{1'000 * second_ns};

inline keeper::ExitFacts exited_with(int code) {
  keeper::ExitFacts facts;
  facts.exit_code = code;
  facts.started_at = 10;
  facts.ended_at = 20;
  return facts;
}

// A real agent whose runtime is up and whose node is registered.
struct Agent {
  explicit Agent(bool simulated = false) : core(options(simulated)) {}
  explicit Agent(const Options& options) : core(options) {}

  static Options options(bool simulated) {
    Options all;
    all.agent = simulated ? "sim" : "n1";
    all.simulated = simulated;
    all.node.name = "n1";
    all.node.cpu_milli = 4000;
    all.node.devices = {{"GPU-a", "A100", 80, 0, {"/dev/nvidia3"}}};
    all.node.common_device_paths = {"/dev/nvidiactl"};
    all.node.labels = {{"rack", "r1"}};
    all.run = 77;
    all.seed = 1;
    return all;
  }

  void step() {
    Effects now_effects = core.take_effects(now);
    core.check_invariants();
    for (auto& command : now_effects.commands) {
      command_bytes = command.bytes.size();
      heard.take(command);
    }
    for (auto& spec : now_effects.launches) launched.push_back(std::move(spec));
    for (auto& one : now_effects.stops) stopped.push_back(one);
    for (auto& one : now_effects.signals) signalled.push_back(one);
    for (auto& key : now_effects.forgets) forgotten.push_back(key);
    if (now_effects.unheard_ns != 0) unheard.push_back(now_effects.unheard_ns);
    if (now_effects.heard != 0) heard_at.push_back(now_effects.heard);
    if (!now_effects.heartbeat.empty()) {
      ++heartbeats;
      const auto* beat =
          schema::verified<schema::Heartbeat>(now_effects.heartbeat);
      BOOST_REQUIRE(beat);
      seen = {beat->seen_epoch(), beat->seen_seq()};
      beat_sent = beat->sent();
    }
  }
  void order(const std::vector<std::byte>& bytes) {
    core.on_order(testing::order_of(bytes), now);
    step();
  }
  void answer(const schema::Id128& id, bool accepted = true) {
    const auto bytes = testing::make_reply(id, accepted);
    core.on_reply(testing::reply_of(bytes), now);
    step();
  }
  void answer_report() { answer(heard.report_id); }
  void answer_registration() { answer(heard.registration_id); }
  void tick(std::uint64_t ns) {
    now.value += ns;
    core.on_tick(now);
    step();
  }
  void ready(const std::vector<keeper::TaskStatus>& tasks = {}) {
    core.on_runtime_ready(tasks, {}, {"no cgroups"}, now);
    step();
  }
  // All that a fresh agent without tasks needs to be registered.
  void registered() {
    ready();
    answer_registration();
    order(Orders(1).list(heard.boot, {}));
    answer_registration();
    BOOST_REQUIRE(core.registered());
  }

  Time now = noon;
  Core core;
  Heard heard;
  std::vector<TaskSpec> launched;
  std::vector<StopTask> stopped;
  std::vector<SignalTask> signalled;
  std::vector<TaskKey> forgotten;
  std::vector<std::uint64_t> heard_at;
  std::vector<std::uint64_t> unheard;
  std::uint64_t beat_sent = 0;  // of the last heartbeat
  int heartbeats = 0;
  std::pair<std::uint64_t, std::uint64_t> seen;  // of the last heartbeat
  std::size_t command_bytes = 0;                 // of the last one
};

struct Ready : Agent {
  Ready() { registered(); }
};

struct Simulated : Agent {
  Simulated() : Agent(true) {
    ready();
    answer_registration();
    order(Orders(1).list(heard.boot, {}));
  }
};

inline const TaskKey one{5, 1, 0};
inline const TaskKey two{6, 1, 0};

}  // namespace reeve::agent

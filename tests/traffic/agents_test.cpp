// An agent of now hears what an earlier release's manager ordered, and does
// what its agents did. How its tasks end is taken from what those reported.
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <set>

#include "actors/agent/core.hpp"
#include "tests/traffic/kept.hpp"

namespace reeve::traffic::agents_test {
namespace {

using keeper::TaskKey;
using Keys = std::set<std::string>;

class Today {
 public:
  Today(std::string name, bool simulated)
      : name_(std::move(name)), simulated_(simulated) {}

  void hear(const Message& message) {
    if (message.kind() == "evt") {
      const auto& event = schema::event_of(message.bytes());
      now_ = std::max(now_, Time{event.time_at()});
    } else if (message.kind() == "cmd" &&
               message.token(1) == "agent-" + name_) {
      hear_own(*message.as<schema::Command>());
    } else if (message.kind() == "agent" && message.token(1) == name_ &&
               message.token(2) == "order" && core_) {
      const auto* order = message.as<schema::AgentOrder>();
      BOOST_REQUIRE(order != nullptr);
      note(*order);
      core_->on_order(*order, now_);
    }
    if (!core_) return;
    core_->on_tick(now_);
    step();
  }

  const agent::Core& core() const { return *core_; }
  bool began() const { return core_.has_value(); }
  Keys ordered;   // to be launched
  Keys to_stop;   // while they ran
  Keys launched;  // asked of the runtime
  Keys stopped;
  Keys started_told;
  Keys ended_told;
  std::uint64_t stale = 0;  // orders and lists that it did not take

 private:
  void hear_own(const schema::Command& command) {
    if (const auto* nodes = command.body_as_RegisterNodes())
      if (!core_ || nodes->boot()->high() != run_) begin(*nodes);
    const auto* report = command.body_as_ReportFacts();
    if (!report || simulated_ || !core_) return;
    for (const auto* fact : *report->facts()) {
      const TaskKey key{fact->session(), fact->attempt(), fact->rank()};
      const auto found = running_.find(keeper::to_string(key));
      if (fact->kind() != schema::FactKind::exited || found == running_.end())
        continue;
      keeper::ExitFacts facts;
      facts.exit_code = fact->facts()->exit_code();
      facts.signal = fact->facts()->signal();
      facts.started_at = found->second.started_at;
      facts.ended_at = now_.value;
      running_.erase(found);
      core_->on_exited(key, facts);
    }
  }

  // A run of the agent begins, with what its keeper holds.
  void begin(const schema::RegisterNodes& nodes) {
    run_ = nodes.boot()->high();
    agent::Options options;
    options.agent = name_;
    options.simulated = simulated_;
    options.run = run_;
    options.seed = 1;
    if (nodes.nodes()->size() > 0) {
      const auto& spec = *nodes.nodes()->Get(0);
      options.node.name = spec.name()->str();
      options.node.cpu_milli = spec.cpu_milli();
      options.node.memory_bytes = spec.memory_bytes();
      if (spec.devices())
        for (const auto* device : *spec.devices())
          options.node.devices.push_back({device->uuid()->str(),
                                          device->model()->str(),
                                          device->memory_bytes(),
                                          0,
                                          {}});
    }
    if (core_) take_counters();
    core_.emplace(std::move(options));
    std::vector<keeper::TaskStatus> tasks;
    for (const auto& [text, status] : running_) tasks.push_back(status);
    core_->on_runtime_ready(tasks, {}, {}, now_);
  }

  void note(const schema::AgentOrder& order) {
    if (const auto* launch = order.body_as_LaunchOrder())
      for (const auto* task : *launch->tasks())
        ordered.insert(keeper::to_string(
            {task->session(), task->attempt(), task->rank()}));
    if (const auto* stop = order.body_as_StopOrder())
      for (const auto* task : *stop->tasks()) {
        const auto key =
            keeper::to_string({task->session(), task->attempt(), task->rank()});
        if (running_.contains(key)) to_stop.insert(key);
      }
  }

  void step() {
    for (;;) {
      agent::Effects effects = core_->take_effects(now_);
      core_->check_invariants();
      if (effects.commands.empty() && effects.launches.empty() &&
          effects.stops.empty())
        return;
      for (const auto& spec : effects.launches) {
        launched.insert(keeper::to_string(spec.key));
        keeper::TaskStatus& status = running_[keeper::to_string(spec.key)];
        status.key = spec.key;
        status.state = keeper::TaskState::running;
        status.pid = 4242;
        status.started_at = now_.value;
        core_->on_started(spec.key, status.pid, status.started_at, "");
      }
      for (const auto& stop : effects.stops)
        stopped.insert(keeper::to_string(stop.key));
      for (const auto& command : effects.commands) accept(command);
    }
  }

  void accept(const agent::SendCommand& sent) {
    const auto* command = schema::verified<schema::Command>(sent.bytes);
    BOOST_REQUIRE(command != nullptr);
    if (const auto* report = command->body_as_ReportFacts())
      for (const auto* fact : *report->facts()) {
        const auto key = keeper::to_string(
            TaskKey{fact->session(), fact->attempt(), fact->rank()});
        if (fact->kind() == schema::FactKind::started)
          started_told.insert(key);
        else
          ended_told.insert(key);
      }
    flatbuffers::FlatBufferBuilder builder;
    const auto bytes =
        schema::finish(builder, schema::CreateReply(builder, &sent.id, 1));
    core_->on_reply(*schema::verified<schema::Reply>(bytes), now_);
  }

  void take_counters() {
    stale += core_->counters().orders_stale + core_->counters().launches_void;
  }

  std::string name_;
  bool simulated_;
  std::optional<agent::Core> core_;
  std::uint64_t run_ = 0;
  Time now_;
  std::map<std::string, keeper::TaskStatus> running_;
};

Today after(const Kept& kept, std::string name, bool simulated) {
  Today today(std::move(name), simulated);
  for (const Message& message : kept.messages) today.hear(message);
  BOOST_REQUIRE(today.began());
  return today;
}

BOOST_AUTO_TEST_SUITE(agents_of_now)

BOOST_AUTO_TEST_CASE(a_node_does_what_it_was_ordered_then) {
  for (const Kept& kept : all_kept()) {
    const Today today = after(kept, "n1", false);
    BOOST_TEST(today.ordered.size() >= 4u);
    BOOST_TEST((today.launched == today.ordered), kept);
    BOOST_TEST((today.started_told == today.ordered), kept);
    BOOST_TEST((today.ended_told == today.ordered), kept);
    BOOST_TEST(today.to_stop.size() >= 2u);
    for (const std::string& key : today.to_stop)
      BOOST_TEST(today.stopped.contains(key), kept << ": " << key);
    BOOST_TEST(today.stale == 0u);
    BOOST_TEST(today.core().registered());
    BOOST_TEST(today.core().counters().lists_stale == 0u);
  }
}

BOOST_AUTO_TEST_CASE(simulated_nodes_do_what_they_were_ordered_then) {
  for (const Kept& kept : all_kept()) {
    const Today today = after(kept, "sim", true);
    BOOST_TEST(today.ordered.size() >= 4u);
    BOOST_TEST((today.started_told == today.ordered), kept);
    BOOST_TEST((today.ended_told == today.ordered), kept);
    BOOST_TEST(today.core().registered());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::traffic::agents_test

// The agent's core between a model of the manager and a model of the keeper.
//
// Faults: each message between manager and agent may be lost, doubled, or
// overtaken by any other; the agent may crash at any step and begin anew from
// what the keeper remembers; the manager may be succeeded by another one. Then
// a healthy phase, in which everything must end.
//
// One seed: REEVE_AGENT_SEED=17 agent_core_test --run_test=*model*
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "actors/agent/core.hpp"
#include "actors/agent/keeper/protocol.hpp"
#include "actors/agent/test_orders.hpp"

namespace reeve::agent::core_model_test {
namespace {

using testing::HeardFact;
using testing::Orders;

// What the manager holds true of each task; it decides as decide_fact does.
struct ManagedTask {
  enum class Phase { placed, started, exited } phase = Phase::placed;
  bool cancelled = false;
};

// As the keeper: starts a key once, remembers ends until they are forgotten.
struct KeptTask {
  bool running = true;
  bool forgotten = false;
  keeper::ExitFacts facts;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) { restart_agent(); }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    faults_ = false;
    for (int i = 0; i < 4'000 && !quiet(); ++i) step();
    BOOST_REQUIRE(quiet());
    for (const auto& [key, task] : managed_)
      BOOST_TEST((task.phase == ManagedTask::Phase::exited),
                 keeper::to_string(key));
    for (const auto& [key, task] : kept_)
      BOOST_TEST(task.forgotten, keeper::to_string(key));
  }
  std::size_t tasks() const { return managed_.size(); }
  int crashes = 0;
  int adopted = 0;

 private:
  struct ToAgent {
    std::vector<std::byte> order;  // empty: a reply
    schema::Id128 reply;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(int percent) {
    return faults_ && below(100) < static_cast<std::uint64_t>(percent);
  }

  void step() {
    now_.value += second_ns / 10;
    if (faults_ && below(4) == 0) place();
    if (faults_ && below(10) == 0) cancel();
    if (below(20) == 0) resend();
    if (below(faults_ ? 6 : 2) == 0) exit_one();
    if (chance(3)) restart_agent();
    if (chance(2)) ++epoch_;
    const std::uint64_t messages = below(faults_ ? 4 : 40);
    for (std::uint64_t i = 0; i < messages; ++i) deliver_to_agent();
    if (below(2) == 0) deliver_to_manager();
    if (below(2) == 0) deliver_event();
    core_->on_tick(now_);
    perform();
  }

  bool quiet() const {
    return core_->tasks() == 0 && core_->registered() &&
           std::all_of(managed_.begin(), managed_.end(), [](const auto& one) {
             return one.second.phase == ManagedTask::Phase::exited;
           });
  }

  // ---- the agent

  void restart_agent() {
    ++crashes;
    events_.clear();
    Options options;
    options.agent = "n1";
    options.node.name = "n1";
    options.node.devices = {{"GPU-a", "A100", 80, 0, {}}};
    options.run = random_();
    options.seed = random_();
    core_ = std::make_unique<Core>(options);
    launched_.clear();
    std::vector<keeper::TaskStatus> list;
    for (const auto& [key, task] : kept_) {
      if (task.forgotten) continue;
      keeper::TaskStatus status;
      status.key = key;
      status.state =
          task.running ? keeper::TaskState::running : keeper::TaskState::exited;
      status.exit = task.facts;
      list.push_back(status);
      adopted += task.running ? 1 : 0;
    }
    core_->on_runtime_ready(list, {Epoch{keeper_epoch_}, {}}, {}, now_);
    perform();
  }

  void perform() {
    const Effects effects = core_->take_effects(now_);
    core_->check_invariants();
    for (const TaskSpec& spec : effects.launches) launch(spec);
    for (const StopTask& one : effects.stops) stop(one.key);
    for (const TaskKey& key : effects.forgets) forget(key);
    for (const SendCommand& command : effects.commands)
      send(to_manager_, command.bytes);
  }

  // ---- the keeper

  void launch(const TaskSpec& spec) {
    BOOST_REQUIRE_MESSAGE(launched_.insert(spec.key).second,
                          "launched twice: " + keeper::to_string(spec.key));
    keeper_epoch_ = std::max(keeper_epoch_, spec.epoch);
    const auto known = kept_.find(spec.key);
    if (known == kept_.end() && chance(10)) {
      launched_.erase(spec.key);
      events_.push_back(keeper::Refused{spec.key, Errc::no_space, "full"});
    } else if (known == kept_.end()) {
      kept_[spec.key].facts.started_at = now_.value;
      events_.push_back(keeper::Started{spec.key, 9, now_.value, {}});
    } else if (known->second.forgotten) {
      events_.push_back(keeper::Refused{spec.key, Errc::rejected, "ended"});
    } else if (known->second.running) {
      events_.push_back(keeper::Started{spec.key, 9, now_.value, {}});
    } else {
      events_.push_back(keeper::Exited{spec.key, known->second.facts});
    }
  }

  void stop(const TaskKey& key) {
    const auto known = kept_.find(key);
    if (known == kept_.end() || known->second.forgotten) {
      events_.push_back(keeper::Refused{key, Errc::not_found, "not here"});
      return;
    }
    if (!known->second.running) return;
    // The one thing that must never happen to a task that is wanted.
    const ManagedTask& task = managed_.at(key);
    BOOST_REQUIRE_MESSAGE(
        task.cancelled || task.phase == ManagedTask::Phase::exited,
        "stopped though it is wanted: " + keeper::to_string(key));
    finish(key, known->second, 15);
  }

  void finish(const TaskKey& key, KeptTask& task, int signal) {
    task.running = false;
    task.facts.signal = signal;
    task.facts.ended_at = now_.value;
    events_.push_back(keeper::Exited{key, task.facts});
  }

  void forget(const TaskKey& key) {
    const auto known = kept_.find(key);
    if (known == kept_.end()) return;
    BOOST_REQUIRE(!known->second.running);
    // Nobody would ever hear of it again.
    BOOST_REQUIRE((managed_.at(key).phase == ManagedTask::Phase::exited));
    known->second.forgotten = true;
  }

  void exit_one() {
    for (auto& [key, task] : kept_) {
      if (!task.running || below(3) != 0) continue;
      finish(key, task, 0);
      return;
    }
  }

  void deliver_event() {
    if (events_.empty()) return;
    const keeper::Message event = events_.front();
    events_.erase(events_.begin());
    if (const auto* started = std::get_if<keeper::Started>(&event))
      core_->on_started(started->key, started->pid, started->started_at, {});
    else if (const auto* exited = std::get_if<keeper::Exited>(&event))
      core_->on_exited(exited->key, exited->facts);
    else if (const auto* refused = std::get_if<keeper::Refused>(&event))
      core_->on_refused(refused->key, refused->code, refused->text);
    perform();
  }

  // ---- the manager

  void order(std::vector<std::byte> bytes) {
    send(to_agent_, ToAgent{std::move(bytes), {}});
  }

  void place() {
    const TaskKey key{++last_session_, 1, 0};
    managed_[key] = {};
    ++sequence_;
    order(Orders(epoch_).at(sequence_).launch({key}));
  }

  void cancel() {
    for (auto& [key, task] : managed_) {
      if (task.phase == ManagedTask::Phase::exited || below(4) != 0) continue;
      task.cancelled = true;
      ++sequence_;
      order(Orders(epoch_).at(sequence_).stop({key}));
      return;
    }
  }

  void resend() {
    for (const auto& [key, task] : managed_) {
      if (task.phase == ManagedTask::Phase::exited) continue;
      if (task.cancelled)
        order(Orders(epoch_).at(sequence_).stop({key}));
      else if (task.phase == ManagedTask::Phase::placed)
        order(Orders(epoch_).at(sequence_).launch({key}));
    }
  }

  void on_fact(const HeardFact& fact) {
    const auto found = managed_.find(fact.key());
    BOOST_REQUIRE(found != managed_.end());
    ManagedTask& task = found->second;
    ++sequence_;
    const bool start = fact.kind == schema::FactKind::started;
    if (task.phase == ManagedTask::Phase::exited) {
      if (start) order(Orders(epoch_).at(sequence_).stop({fact.key()}));
      return;
    }
    if (start) {
      task.phase = ManagedTask::Phase::started;
      return;
    }
    // What the agent calls unknown must be gone, or never begin.
    if (fact.kind == schema::FactKind::unknown) {
      const auto kept = kept_.find(fact.key());
      BOOST_REQUIRE(kept == kept_.end() || !kept->second.running ||
                    task.cancelled);
    }
    task.phase = ManagedTask::Phase::exited;
  }

  void deliver_to_manager() {
    if (to_manager_.empty()) return;
    const auto bytes = take(to_manager_);
    const schema::Command& command = testing::command_of(bytes);
    testing::Heard heard;
    heard.take({*command.id(), "", bytes});
    for (const HeardFact& fact : heard.facts) on_fact(fact);
    send(to_agent_, ToAgent{{}, *command.id()});
    if (heard.registrations == 0 || heard.reconciled) return;
    std::vector<TaskKey> started;
    std::vector<TaskKey> unstarted;
    for (const auto& [key, task] : managed_) {
      if (task.phase == ManagedTask::Phase::started) started.push_back(key);
      if (task.phase == ManagedTask::Phase::placed) unstarted.push_back(key);
    }
    order(Orders(epoch_).at(sequence_).list(heard.boot, started, unstarted));
  }

  void deliver_to_agent() {
    if (to_agent_.empty()) return;
    const ToAgent message = take(to_agent_);
    if (message.order.empty()) {
      const auto reply = testing::make_reply(message.reply, !chance(5));
      core_->on_reply(testing::reply_of(reply), now_);
    } else {
      core_->on_order(testing::order_of(message.order), now_);
    }
    perform();
  }

  // ---- the bus between them

  template <class Message>
  void send(std::vector<Message>& queue, Message message) {
    if (chance(10)) return;
    if (chance(10)) queue.push_back(message);
    queue.push_back(std::move(message));
  }

  template <class Message>
  Message take(std::vector<Message>& queue) {
    const std::size_t at = chance(40) ? below(queue.size()) : 0;
    Message message = std::move(queue[at]);
    queue.erase(queue.begin() + static_cast<long>(at));
    return message;
  }

  std::mt19937_64 random_;
  bool faults_ = true;
  Time now_{1'000 * second_ns};
  std::uint64_t epoch_ = 1;
  std::uint64_t keeper_epoch_ = 0;
  std::uint64_t last_session_ = 0;
  std::uint64_t sequence_ = 1;  // of the manager's log
  std::unique_ptr<Core> core_;
  std::set<TaskKey> launched_;  // by this run of the agent
  std::map<TaskKey, ManagedTask> managed_;
  std::map<TaskKey, KeptTask> kept_;
  std::vector<keeper::Message> events_;
  std::vector<ToAgent> to_agent_;
  std::vector<std::vector<std::byte>> to_manager_;
};

BOOST_AUTO_TEST_CASE(model_tasks_start_once_and_every_end_is_told) {
  std::uint64_t first = 1;
  std::uint64_t last = 150;
  if (const char* seed = std::getenv("REEVE_AGENT_SEED"))
    first = last = std::strtoull(seed, nullptr, 10);
  std::size_t tasks = 0;
  int crashes = 0;
  int adopted = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    BOOST_TEST_CONTEXT("REEVE_AGENT_SEED=" << seed) {
      World world(seed);
      world.run(400);
      tasks += world.tasks();
      crashes += world.crashes;
      adopted += world.adopted;
    }
  }
  // The faults did happen.
  BOOST_TEST(tasks > 0u);
  BOOST_TEST(crashes > static_cast<int>(last - first));
  BOOST_TEST((adopted > 0 || first == last));
}

}  // namespace
}  // namespace reeve::agent::core_model_test
